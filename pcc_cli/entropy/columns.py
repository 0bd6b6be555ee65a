"""One column of numbers to bytes and back, exactly: reversible steps, byte planes, zstandard.

Every number is first taken as an unsigned integer of its own width (floats as order-preserving
images, so that close values have close images and NaNs keep their payload). Steps then make the
integers small, and the planes of their bytes are compressed:

    table   each value becomes its rank among the distinct values, which are stored before it
    minus   the difference to a reference column of the same type, which is decoded first
    delta   the difference to the value before

All arithmetic is modulo 2**width, so no step can overflow, and differences are folded
(0, -1, 1, -2 ... to 0, 1, 2, 3 ...). The encoder tries the sensible chains and keeps the smallest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from pcc_cli.entropy import zstd
from pcc_cli.errors import FormatError, InputError
from pcc_cli.fields import integer, member
from pcc_cli.geometry import Array

TYPES = ("|i1", "|u1", "<i2", "<u2", "<i4", "<u4", "<i8", "<u8", "<f2", "<f4", "<f8")
TABLE_LIMIT = 1 << 16  # distinct values; ranks then fit two bytes
CHAINS = ("", "delta", "minus", "minus delta", "table", "table delta")


@dataclass(frozen=True)
class Column:
    """A coded column.

    steps : the chain, words separated by blanks
    table : number of distinct values stored in front (0 without the step `table`)
    table_bytes : size of that table in `data`
    """

    steps: str
    data: bytes
    table: int = 0
    table_bytes: int = 0

    def to_json(self) -> dict[str, Any]:
        """All but the data."""
        head = {"table": self.table, "table_bytes": self.table_bytes} if self.table else {}
        return {"steps": self.steps, **head}

    @classmethod
    def from_json(cls, record: Any, data: bytes) -> Column:
        """The column that `record` describes; FormatError when it cannot be one."""
        steps = member(record, "steps", str)
        if steps not in CHAINS:
            raise FormatError(f"unknown steps '{steps}' of a column")
        if "table" not in steps:
            return cls(steps, data)
        table = integer(record, "table", 1, TABLE_LIMIT)
        return cls(steps, data, table, integer(record, "table_bytes", 1, len(data)))


def encode(values: Array, level: int, reference: Array | None = None) -> Column:
    """The smallest coding of `values` (n,), any integer or float type of 1 to 8 bytes.

    reference : (n,) of the same type, known to the decoder beforehand
    """
    image = to_image(values)
    candidates = [
        Column("", _pack(image, level)),
        Column("delta", _pack(_delta(image), level)),
    ]
    if reference is not None:
        rest = image - to_image(reference)
        candidates.append(Column("minus", _pack(fold(rest), level)))
        candidates.append(Column("minus delta", _pack(_delta(rest), level)))
    if image.itemsize > 1:
        candidates.extend(_with_table(image, level))
    return min(candidates, key=lambda column: len(column.data))


def decode(
    column: Column, count: int, dtype: np.dtype[Any], reference: Array | None = None
) -> Array:
    """The (count,) values of type `dtype` in `column`; FormatError when it cannot hold them."""
    steps = column.steps.split()
    width = np.dtype(f"<u{dtype.itemsize}")
    body = column.data[column.table_bytes :]
    if "table" in steps:
        table, width = _unpack_table(column, width), np.dtype("<u2")
    image = _unpack(body, count, width)
    if "delta" in steps:
        image = np.cumsum(unfold(image), dtype=width)
    elif "minus" in steps:
        image = unfold(image)
    if "minus" in steps:
        if reference is None:
            raise FormatError("a column refers to another one that is not there")
        image = image + to_image(reference)
    if "table" in steps:
        if count and int(image.max()) >= len(table):
            raise FormatError("a column names a value beyond its table")
        image = table[image]
    return from_image(image, dtype)


def type_name(dtype: np.dtype[Any]) -> str:
    """The name of `dtype` on disk, little-endian; InputError for a type that is not stored."""
    name: str = dtype.newbyteorder("<").str
    if name not in TYPES:
        raise InputError(f"numbers of type {dtype} cannot be stored")
    return name


def type_of(name: str) -> np.dtype[Any]:
    """The type with the name `name` on disk."""
    if name not in TYPES:
        raise FormatError(f"unknown type of numbers '{name}'")
    return np.dtype(name)


def to_image(values: Array) -> Array:
    """(n,) little-endian unsigned integers of the same width; floats keep their order."""
    size = values.dtype.itemsize
    bits = np.ascontiguousarray(values, type_name(values.dtype)).view(f"<u{size}")
    if values.dtype.kind != "f":
        return bits
    # Negative floats grow downwards: turn all their bits; lift the others above them.
    top = bits.dtype.type(1 << (8 * size - 1))
    return np.where(bits & top, ~bits, bits | top)


def from_image(image: Array, dtype: np.dtype[Any]) -> Array:
    """The values of type `dtype`, one of TYPES, of which `image` is the image."""
    if dtype.kind == "f":
        top = image.dtype.type(1 << (8 * image.itemsize - 1))
        image = np.where(image & top, image ^ top, ~image)
    return image.view(dtype)


def fold(values: Array) -> Array:
    """Differences modulo 2**width as small unsigned integers."""
    signed = values.view(values.dtype.str.replace("u", "i"))
    folded: Array = ((signed << 1) ^ (signed >> (8 * values.itemsize - 1))).view(values.dtype)
    return folded


def unfold(folded: Array) -> Array:
    """What `fold` was given."""
    one = folded.dtype.type(1)
    values: Array = (folded >> one) ^ (~(folded & one) + one)
    return values


def _delta(values: Array) -> Array:
    steps = values.copy()
    steps[1:] -= values[:-1]
    return fold(steps)


def _pack(values: Array, level: int) -> bytes:
    """All lowest bytes, then all second ones ..., as one frame."""
    planes = values.view(np.uint8).reshape(len(values), values.itemsize).T
    return zstd.pack((plane.tobytes() for plane in planes), level)


def _unpack(frame: bytes, count: int, dtype: np.dtype[Any]) -> Array:
    raw = zstd.unpack(frame, count * dtype.itemsize)
    planes = np.frombuffer(raw, dtype=np.uint8).reshape(dtype.itemsize, count)
    return np.ascontiguousarray(planes.T).view(dtype).reshape(count)


def _with_table(image: Array, level: int) -> list[Column]:
    """`image` as ranks, where few enough values occur to make that worth a trial."""
    table, ranks = np.unique(image, return_inverse=True)
    if len(table) > min(TABLE_LIMIT, len(image) // 2):
        return []
    head = _pack(_delta(table), level)
    ranks = ranks.astype("<u2")
    return [
        Column(steps, head + _pack(body, level), len(table), len(head))
        for steps, body in (("table", ranks), ("table delta", _delta(ranks)))
    ]


def _unpack_table(column: Column, width: np.dtype[Any]) -> Array:
    folded = _unpack(column.data[: column.table_bytes], column.table, width)
    return np.cumsum(unfold(folded), dtype=width)
