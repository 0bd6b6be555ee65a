"""Choose the grid of a cloud: the exact one it lies on, or one fine enough.

The order of choices, for floats:

1. a grid that gives every coordinate back bit for bit (`detect.py`), unless it is finer than the
   step or the bits that the caller asked for;
2. `lossless`: integer images of the floats (`images.py`);
3. the step that the caller asked for, or 2**bits voxels along the longest axis;
4. a step of a 16th of the point spacing (`spacing.py`); where even this is finer than what the
   floats resolve, the exact binary grid of the floats themselves.

Integers lie on a grid of step 1 already, so only 1 and 3 concern them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from pcc_cli.errors import InputError
from pcc_cli.geometry import Array
from pcc_cli.grid.base import Base, as_floats, uniform
from pcc_cli.grid.detect import (
    INDEX_LIMIT,
    VOXEL_LIMIT,
    Match,
    as_triple,
    detect,
    divided,
    match,
    match_integers,
)
from pcc_cli.grid.grid import Grid, chunks, restore
from pcc_cli.grid.images import to_image
from pcc_cli.grid.spacing import default_step, point_spacing


class Fit(NamedTuple):
    """A cloud on its grid.

    voxels : (n, 3) int64 in 0 .. 2**32 - 1, in the order of the points
    grid : how to undo it
    max_error : largest distance from a point to its restored one, source units; 0.0 if exact
    residual : (n, 3) unsigned, what `restore` needs beside the voxels, or None
    """

    voxels: Array
    grid: Grid
    max_error: float
    residual: Array | None


def fit(
    points: Array,
    *,
    step: float | None = None,
    bits: int | None = None,
    lossless: bool = False,
    scales: Sequence[float] | None = None,
    offsets: Sequence[float] | None = None,
) -> Fit:
    """The voxels of `points`, (n, 3) integers or floats.

    step : largest distance between neighbouring voxels, source units
    bits : most bits of a voxel on the longest axis, 1 to 32
    lossless : keep every bit of every coordinate
    scales, offsets : 3 numbers each, where the source file names its grid (LAS)

    A step or a number of bits is an upper bound: coordinates that lie on a coarser grid are
    kept exactly. InputError when coordinates are not finite, need over 32 bits an axis, or the
    options contradict each other.
    """
    _check_options(step, bits, lossless)
    _check_coordinates(points)
    if not len(points):
        return _empty(points)
    wanted = _wanted_step(points, step, bits)
    if points.dtype.kind in "iu":
        return _fit_integers(points, wanted, from_corner=bits is not None)
    values = _narrowed(points)
    found = detect(values, points.dtype.name, _declared(scales, offsets))
    if found is not None and _is_coarse_enough(found.voxels, points, wanted):
        return _exact(found)
    if wanted is None and not lossless:
        wanted = _default_step(values)
        found = match(values, _power_of_two(wanted), points.dtype.name) if wanted else None
        if found is not None:
            return _exact(found)
    if not wanted:  # lossless, or all points coincide
        return _fit_images(values, points.dtype.name)
    return _quantized(points, values.dtype.name, wanted, bits is not None)


def _fit_integers(points: Array, wanted: float | None, from_corner: bool) -> Fit:
    found = match_integers(points)
    if found is not None and _is_coarse_enough(found.voxels, points, wanted):
        return _exact(found)
    return _quantized(points, points.dtype.name, wanted or 1.0, from_corner)


def _check_options(step: float | None, bits: int | None, lossless: bool) -> None:
    if (step is not None) + (bits is not None) + lossless > 1:
        raise InputError("choose one of a step, a number of bits and lossless")
    if step is not None and not 0 < step < math.inf:
        raise InputError(f"the step must be a positive number, not {step}")
    if bits is not None and not 1 <= bits <= 32:
        raise InputError(f"the bits of an axis must be from 1 to 32, not {bits}")


def _declared(scales: Sequence[float] | None, offsets: Sequence[float] | None) -> Base | None:
    """The base that the source names, if it is one."""
    if scales is None or offsets is None or len(scales) != 3 or len(offsets) != 3:
        return None
    usable = all(0 < scale < math.inf for scale in scales) and np.isfinite(offsets).all()
    return (
        Base(as_floats(np.array(scales)), origin=as_floats(np.array(offsets))) if usable else None
    )


def _check_coordinates(points: Array) -> None:
    if points.dtype.kind == "f" and points.dtype.itemsize > 8:
        raise InputError(f"coordinates of type {points.dtype} are not supported, float64 is")
    if points.dtype.kind != "f" or np.isfinite(points).all():
        return
    bad = np.flatnonzero(~np.isfinite(points).all(axis=1))
    raise InputError(
        f"{len(bad)} of {len(points)} points have NaN or infinite coordinates, "
        f"the first is point {bad[0]}: remove them first"
    )


def _narrowed(points: Array) -> Array:
    """The same values in float32 if that holds them all, else in float64."""
    if points.dtype.itemsize <= 4:
        return points.astype(np.float32, copy=False)
    for rows in chunks(len(points)):
        part = points[rows]
        if (np.abs(part) > np.finfo(np.float32).max).any():
            return points
        if (part.astype(np.float32) != part).any():
            return points
    return points.astype(np.float32)


def _empty(points: Array) -> Fit:
    name = points.dtype.name
    rounding = "float32" if name == "float16" else name
    return Fit(np.zeros((0, 3), np.int64), Grid("step", name, rounding), 0.0, None)


def _exact(found: Match) -> Fit:
    return Fit(found.voxels, found.grid, 0.0, found.residual)


def _extent(points: Array) -> float:
    """Length of the longest axis, source units."""
    low, high = points.min(axis=0), points.max(axis=0)
    return max(float(b) - float(a) for a, b in zip(low, high, strict=True))


def _wanted_step(points: Array, step: float | None, bits: int | None) -> float | None:
    """The step that the caller asked for; None if none, or if all points coincide."""
    if bits is None and step is None:
        return None
    extent = _extent(points)
    if extent == math.inf:
        raise InputError("the coordinates span more than a float64 holds: use --lossless")
    return step if bits is None else extent / ((1 << bits) - 1) or None


def _is_coarse_enough(voxels: Array, points: Array, wanted: float | None) -> bool:
    """Whether an exact grid spends no more voxels than the wanted step would."""
    return wanted is None or float(voxels.max()) <= _extent(points) / wanted + 0.5


def _default_step(values: Array) -> float | None:
    spacing = point_spacing(values)
    return default_step(spacing) if spacing else None


def _power_of_two(step: float) -> Base:
    """The largest power of two that is at most `step`."""
    exponent = math.frexp(step)[1] - 1
    return uniform(math.ldexp(1.0, max(exponent, 0)), math.ldexp(1.0, max(-exponent, 0)))


def _rational(step: float) -> Base:
    """`step` as the quotient of integers that its decimal spelling names, 0.016 as 2 / 125.

    Dividing rounds once, so that coordinates come out as the floats nearest to round decimals.
    """
    fraction = Fraction(repr(float(step)))
    if max(fraction.numerator, fraction.denominator) >= INDEX_LIMIT:
        return uniform(step)
    return uniform(float(fraction.numerator), float(fraction.denominator))


def _fit_images(values: Array, dtype: str) -> Fit:
    image, low = to_image(values)
    start = as_triple(image.min(axis=0))
    image -= np.array(start)
    residual = None if low is None else "low_bits"
    grid = Grid("float_bits", dtype, values.dtype.name, offset=start, residual=residual)
    return Fit(image, grid, 0.0, low)


def _quantized(points: Array, rounding: str, step: float, from_corner: bool) -> Fit:
    """Points rounded to multiples of `step`, counted from their least corner or from 0."""
    low, high = points.min(axis=0), points.max(axis=0)
    base = uniform(step)._replace(origin=as_floats(low)) if from_corner else _rational(step)
    with np.errstate(over="ignore"):  # infinite is too wide as well
        first, last = base.indices(low), base.indices(high)
    limit = max(np.abs(first).max(), np.abs(last).max())
    if (last - first).max() >= VOXEL_LIMIT or limit >= INDEX_LIMIT:
        raise InputError(_too_wide(points, step))
    index = np.empty(points.shape, dtype=np.int64)
    for rows in chunks(len(points)):
        index[rows] = base.indices(points[rows])
    index -= first.astype(np.int64)
    # Voxel-filtered scans lie near a coarse grid, off by their own rounding: no need to pay twice.
    voxels, stride = divided(index)
    grid = Grid("step", points.dtype.name, rounding, *base, stride, as_triple(first))
    error, exact = _measured(points, voxels, grid)
    return Fit(voxels, replace(grid, exact=exact), error, None)


def _measured(points: Array, voxels: Array, grid: Grid) -> tuple[float, bool]:
    """The largest distance of a point to its restored one, and whether all are the same bits."""
    square, exact = 0.0, True
    for rows in chunks(len(points)):
        restored = restore(voxels[rows], grid)
        distance = restored.astype(np.float64) - points[rows].astype(np.float64)
        square = max(square, float((distance**2).sum(axis=1).max()))
        exact = exact and restored.tobytes() == points[rows].tobytes()
    return math.sqrt(square), exact


def _too_wide(points: Array, step: float) -> str:
    extent = _extent(points)
    return (
        f"the coordinates span {extent:g} units, which is over 2**32 steps of {step:g}: "
        f"give a step of at least {extent / (VOXEL_LIMIT - 1):.3g} (--precision), "
        "or remove the outliers"
    )
