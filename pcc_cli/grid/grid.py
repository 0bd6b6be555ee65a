"""What a grid is, and how voxels become coordinates again.

kind "step"        index = voxel * stride + offset                       modulo 2**64
                   x = index * numerator / denominator + origin          `base.py`
                   point = x rounded to `rounding`, then converted to `dtype`
kind "float_bits"  index is the order-preserving integer image of a float (`images.py`)
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np

from pcc_cli.errors import FormatError
from pcc_cli.geometry import Array
from pcc_cli.grid.base import Base, Triple
from pcc_cli.grid.images import from_image

KINDS = ("step", "float_bits")
DTYPES = (
    *("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
    *("float16", "float32", "float64"),
)
RESIDUALS = (None, "negative_zero", "low_bits")
CHUNK = 1 << 15  # rows worked on at once: three float64 columns of them stay in the L2 cache


@dataclass(frozen=True)
class Grid:
    """The grid of one cloud; `restore` is its meaning.

    kind : "step" or "float_bits"
    dtype : type of the source coordinates
    rounding : type that holds every coordinate: "float32" too for doubles that only hold floats,
               and for "step" of integer sources that integer type
    numerator, denominator, origin : the `Base`, per axis, in source units
    stride : base steps between neighbouring voxels, per axis
    offset : index of voxel 0, per axis
    exact : whether every point is kept bit for bit
    residual : what travels beside the voxels, an (n, 3) unsigned column for each axis:
               None; "negative_zero": uint8, 1 where the source has -0.0;
               "low_bits": uint32, the low half of 64-bit float images
    """

    kind: str
    dtype: str
    rounding: str
    numerator: Triple = (1.0, 1.0, 1.0)
    denominator: Triple = (1.0, 1.0, 1.0)
    origin: Triple = (0.0, 0.0, 0.0)
    stride: tuple[int, int, int] = (1, 1, 1)
    offset: tuple[int, int, int] = (0, 0, 0)
    exact: bool = True
    residual: str | None = None

    @property
    def base(self) -> Base:
        """The arithmetic of kind "step"."""
        return Base(self.numerator, self.denominator, self.origin)

    @property
    def steps(self) -> Triple:
        """Distance of neighbouring voxels per axis, in source units; of kind "step" only."""
        x, y, z = (a * b for a, b in zip(self.stride, self.base.steps, strict=True))
        return x, y, z

    def to_json(self) -> dict[str, Any]:
        """All fields, triples as lists."""
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in asdict(self).items()
        }

    @classmethod
    def from_json(cls, data: Any) -> Grid:
        """The grid of `to_json`; FormatError when a field is missing, unknown or out of bounds."""
        names = {field.name for field in fields(cls)}
        if not isinstance(data, dict) or set(data) != names:
            raise FormatError("the grid of the file does not have the fields of this format")
        values: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in data.items()
        }
        grid = cls(**values)
        if not grid._is_valid():
            raise FormatError("the grid of the file has a field with an impossible value")
        return grid

    def _is_valid(self) -> bool:
        steps = (self.numerator, self.denominator)
        return (
            self.kind in KINDS
            and self.dtype in DTYPES
            and self.rounding in DTYPES
            and self.residual in RESIDUALS
            and isinstance(self.exact, bool)
            and all(_is_triple(step, float) and min(step) > 0 for step in steps)
            and _is_triple(self.origin, float)
            and all(math.isfinite(x) for step in (*steps, self.origin) for x in step)
            and _is_triple(self.stride, int)
            and all(0 < stride < 1 << 63 for stride in self.stride)
            and _is_triple(self.offset, int)
            and all(-(1 << 63) <= offset < 1 << 64 for offset in self.offset)
            and _types_agree(self)
        )


def _is_triple(value: Any, kind: type) -> bool:
    return isinstance(value, tuple) and len(value) == 3 and all(type(x) is kind for x in value)


def _types_agree(grid: Grid) -> bool:
    """Whether `rounding`, `dtype`, `kind` and `residual` make sense together."""
    integers = np.dtype(grid.dtype).kind in "iu"
    if grid.kind == "float_bits":
        wide = grid.rounding == "float64"
        known = grid.rounding in ("float32", "float64") and not integers
        return known and (grid.residual == "low_bits") == wide
    if integers:
        return grid.rounding == grid.dtype and grid.residual is None
    return grid.rounding in ("float32", "float64") and grid.residual != "low_bits"


def chunks(rows: int) -> Iterator[slice]:
    """Consecutive slices that cover `rows`."""
    for start in range(0, rows, CHUNK):
        yield slice(start, min(start + CHUNK, rows))


def restore(voxels: Array, grid: Grid, residual: Array | None = None) -> Array:
    """The points of `voxels`, (n, 3) in the type of the source.

    voxels : (n, 3) integers, 0 .. 2**32 - 1
    residual : (n, 3) as `grid.residual` says; FormatError when it is missing or of another shape
    """
    if (residual is None) != (grid.residual is None):
        raise FormatError("the residual of the coordinates is missing, or not announced")
    if residual is not None and (residual.shape != voxels.shape or residual.dtype.kind != "u"):
        raise FormatError(f"the residual is {residual.shape} {residual.dtype}, not that of voxels")
    points = np.empty(voxels.shape, dtype=grid.dtype)
    for rows in chunks(len(voxels)):
        part = None if residual is None else residual[rows]
        # Only a damaged file overflows here; its digest tells.
        with np.errstate(over="ignore", invalid="ignore"):
            points[rows] = _restore_chunk(voxels[rows], grid, part)
    return points


def _restore_chunk(voxels: Array, grid: Grid, residual: Array | None) -> Array:
    wrapped = [offset % (1 << 64) for offset in grid.offset]
    index = voxels.astype(np.uint64)
    if grid.stride != (1, 1, 1):
        index *= np.array(grid.stride, dtype=np.uint64)
    index += np.array(wrapped, dtype=np.uint64)
    if grid.kind == "float_bits":
        return from_image(index, residual, grid.rounding)
    if grid.rounding[0] in "iu":
        return _restore_integers(index, grid)
    points = grid.base.coordinates(index.view(np.int64)).astype(grid.rounding)
    if residual is not None:
        points[residual != 0] = -0.0
    return points


def _restore_integers(index: Array, grid: Grid) -> Array:
    """Integers from (n, 3) uint64 indices: exactly for a base step of 1, else the nearest."""
    if grid.base == Base():
        return index.astype(grid.rounding)  # modulo 2**64, so the sign comes out right
    limits = np.iinfo(grid.rounding)
    values = grid.base.coordinates(index.view(np.int64))
    return np.rint(values).clip(limits.min, limits.max).astype(grid.rounding)
