"""Columns of numbers: fields of several components, and types that hold given values."""

from __future__ import annotations

import numpy as np
from numpy.typing import DTypeLike

from pcc_cli.geometry import Array

_INTEGERS = ("u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8")


def names_of(field: str, count: int | None) -> list[str]:
    """The columns of a field: itself when it is one number, else name_0, name_1 and so on."""
    return [field] if count is None else [f"{field}_{i}" for i in range(count)]


def native(column: Array) -> Array:
    """The values contiguous and in the byte order of this machine."""
    return np.ascontiguousarray(column, dtype=column.dtype.newbyteorder("="))


def same(column: Array, kind: DTypeLike) -> Array | None:
    """`column` as type `kind` if every value survives that, else None; NaN equals NaN."""
    with np.errstate(over="ignore", invalid="ignore"):
        other = column.astype(kind)
        kept = (other == column) | (column != column)
    if column.dtype.kind == "f" and other.dtype.kind != "f":
        kept &= np.isfinite(column)
    elif {column.dtype.kind, other.dtype.kind} == {"i", "u"}:
        kept &= (other < 0) == (column < 0)  # numpy compares int64 and uint64 as floats
    return other if kept.all() else None


def as_integers(column: Array) -> Array | None:
    """A float column in the narrowest integer type, None if a value is no integer or is -0.0."""
    if not len(column) or not np.isfinite(column).all() or (column != np.rint(column)).any():
        return None
    if (np.abs(column) >= 1 << 53).any() or (np.signbit(column) & (column == 0)).any():
        return None
    low, high = int(column.min()), int(column.max())
    fitting = (k for k in _INTEGERS if np.iinfo(k).min <= low and high <= np.iinfo(k).max)
    return column.astype(next(fitting))


def words(values: Array) -> list[str]:
    """Each number in the shortest spelling that reads back equal; whole floats as integers."""
    if values.dtype.kind == "f":
        whole = (values == np.rint(values)) & (np.abs(values) < 1 << 53)
        if not (whole & ~(np.signbit(values) & (values == 0))).all():
            found: list[str] = values.astype(str).tolist()
            return found
        values = values.astype(np.int64)
    return list(map(str, values.tolist()))
