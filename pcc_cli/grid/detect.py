"""Find the grid that coordinates already lie on, so that they can be kept bit for bit.

A candidate is a base (`base.py`). A grid of millimetres is 1 / 1000 when a program divided or
parsed decimals, 0.001 / 1 when it multiplied in float64, and 0.0010000000474974513 / 1 when it
multiplied in float32. The three differ in last bits, and all occur. A candidate counts only if
every coordinate comes out equal. Coarser grids, such as 5 mm, are found through the finer one:
`stride` is what all indices have in common.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from pcc_cli.geometry import Array
from pcc_cli.grid.base import Base, uniform
from pcc_cli.grid.grid import Grid, chunks

SAMPLE_ROWS = 256  # a wrong candidate hardly ever survives them, so few full passes are made
EVIDENCE_BITS = 32  # a match less surprising than this is taken for chance
VOXEL_LIMIT = 1 << 32
INDEX_LIMIT = float(1 << 53)  # float64 counts exactly up to here
DECIMALS = 6
BINARY_DIGITS = 20


class Match(NamedTuple):
    """voxels (n, 3) int64 from 0, the exact grid, and the mask of negative zeros if any."""

    voxels: Array
    grid: Grid
    residual: Array | None


def candidates() -> Iterator[Base]:
    """Bases worth trying, by falling step, the most usual arithmetic first."""
    steps = [(1.0, 10.0**digits) for digits in range(DECIMALS + 1)]
    for digits in range(1, DECIMALS + 1):
        for multiple in (1, 2, 5):
            decimal = float(f"{multiple}e-{digits}")
            steps += [(decimal, 1.0), (float(np.float32(decimal)), 1.0)]
    steps += [(1.0, 2.0**digits) for digits in range(1, BINARY_DIGITS + 1)]
    for step in sorted(steps, key=lambda step: -step[0] / step[1]):
        yield uniform(*step)


def detect(values: Array, dtype: str, declared: Base | None = None) -> Match | None:
    """The first candidate that reproduces all of `values`, or None.

    values : (n, 3) float32 or float64, finite, n > 0
    dtype : type of the source, for the grid
    declared : the base that the source file names, tried first
    """
    found = None if declared is None else match(values, declared, dtype)
    if found is not None:
        return found
    sample = values[:: max(len(values) // SAMPLE_ROWS, 1)]
    for base in candidates():
        if _reproduces(sample, base) and _is_evident(sample, base):
            found = match(values, base, dtype)
            if found is not None:
                return found
    return None


def match(values: Array, base: Base, dtype: str) -> Match | None:
    """All of `values` on the grid of one base; None if one of them is off it."""
    index = np.empty(values.shape, dtype=np.int64)
    negative_zero: Array | None = None
    for rows in chunks(len(values)):
        part = values[rows]
        if not _reproduces(part, base):
            return None
        index[rows] = base.indices(part)
        signs = np.signbit(part) & (part == 0)
        if signs.any():
            if negative_zero is None:
                negative_zero = np.zeros(values.shape, dtype=np.uint8)
            negative_zero[rows] = signs
    low = index.min(axis=0)
    index -= low
    voxels, stride = divided(index)
    if voxels.max() >= VOXEL_LIMIT:
        return None
    residual = None if negative_zero is None else "negative_zero"
    grid = Grid("step", dtype, values.dtype.name, *base, stride, as_triple(low), residual=residual)
    return Match(voxels, grid, negative_zero)


def match_integers(points: Array) -> Match | None:
    """Integers on the grid of step 1 and its multiples; None if an axis needs over 32 bits.

    points : (n, 3) of any integer type, n > 0
    """
    low = as_triple(points.min(axis=0))
    # Modulo 2**64 the difference to the least value is right whatever the type and sign.
    wrapped = np.array([start % (1 << 64) for start in low], dtype=np.uint64)
    index = points.astype(np.uint64)
    index -= wrapped
    voxels, stride = divided(index)
    if voxels.max() >= VOXEL_LIMIT:
        return None
    dtype = points.dtype.name
    grid = Grid("step", dtype, dtype, stride=stride, offset=low)
    return Match(voxels.view(np.int64), grid, None)


def as_triple(values: Array) -> tuple[int, int, int]:
    """Three Python integers."""
    x, y, z = (int(value) for value in values)
    return x, y, z


def _reproduces(values: Array, base: Base) -> bool:
    """Whether rounding to the grid and back gives equal values (-0.0 equals 0.0 here)."""
    with np.errstate(over="ignore", invalid="ignore"):  # coordinates near the end of the range
        index = base.indices(values)
        back = base.coordinates(index).astype(values.dtype)
    return bool((back == values).all() and np.abs(index).max() < INDEX_LIMIT)


def _is_evident(values: Array, base: Base) -> bool:
    """Whether a match of these values with a uniform base says something about the grid.

    A float of magnitude m has its neighbours about m / 2**24 away (float32). Where these are
    farther apart than the step, every float matches; elsewhere a float matches by chance with
    probability spacing / step, so that a match is worth log2(step / spacing) bits. A step of 1
    needs no evidence: nobody is surprised by integers.
    """
    step = base.steps[0]
    if step == 1:
        return True
    nonzero = values[values != 0]
    surprise = np.log2(step / np.spacing(np.abs(nonzero)).astype(np.float64))
    return float(surprise.clip(min=0).sum()) >= EVIDENCE_BITS


def divided(index: Array) -> tuple[Array, tuple[int, int, int]]:
    """The indices divided by their greatest common divisor on each axis, and those divisors."""
    sample = index[:: max(len(index) // SAMPLE_ROWS, 1)]
    stride = np.gcd.reduce(sample, axis=0)  # 1 settles it; anything else is a hope only
    if (stride != 1).any():
        stride = np.gcd.reduce(index, axis=0)
        stride[stride == 0] = 1
        index //= stride
    return index, as_triple(stride)
