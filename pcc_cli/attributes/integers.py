"""Any column as small integers from 0 on: what `neighbours` codes, and how to get back.

The image of a column (`columns.to_image`) is either taken less its least value, its lowest bits
apart where it is wide; or, where few values occur in it, as ranks among them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from pcc_cli.attributes.bits import BitReader, BitWriter
from pcc_cli.attributes.neighbours import VALUE_BITS
from pcc_cli.entropy import columns
from pcc_cli.errors import FormatError
from pcc_cli.fields import integer, member

Array = np.ndarray[Any, Any]

LEVEL = 9  # of zstandard
_GAPS = 4  # ranks are taken when not one in this many values occurs


@dataclass(frozen=True)
class Scale:
    """How integers stand for a column.

    top : the largest integer
    low : image of integer 0
    shift : bits that were taken off
    apart : those bits, or the table of values, as bytes
    table : description of the table; None: there is none
    """

    top: int
    low: int
    shift: int
    apart: bytes
    table: dict[str, Any] | None = None

    def to_json(self) -> dict[str, Any]:
        """All but the bytes."""
        if self.table is not None:
            return {"top": self.top, "apart": len(self.apart), "table": self.table}
        head = {"shift": self.shift, "apart": len(self.apart)} if self.shift else {}
        return {"top": self.top, "low": self.low, **head}

    @classmethod
    def from_json(cls, record: Any, data: bytes) -> Scale:
        """The scale that `record` describes, its bytes at the start of `data`."""
        top = integer(record, "top", 1, (1 << VALUE_BITS) - 1)
        if "table" in record:
            apart = data[: integer(record, "apart", 1, len(data))]
            return cls(top, 0, 0, apart, member(record, "table", dict))
        low = integer(record, "low", 0, (1 << 64) - 1)
        shift = integer(record, "shift", 1, 44) if "shift" in record else 0
        size = integer(record, "apart", 1, len(data)) if shift else 0
        return cls(top, low, shift, data[:size])


def to_integers(values: Array) -> tuple[Scale, Array]:
    """The scale of `values` (n,), not all equal, and (n,) int64 integers."""
    image = columns.to_image(values)
    low, high = int(image.min()), int(image.max())
    if high - low > 1:
        table, ranks = np.unique(image, return_inverse=True)
        few = len(table) <= min(columns.TABLE_LIMIT, len(image) // 2)
        if few and (high - low) // _GAPS >= len(table):
            coded = columns.encode(table, LEVEL)
            about = {**coded.to_json(), "count": len(table)}
            return Scale(len(table) - 1, 0, 0, coded.data, about), ranks.astype(np.int64)
    shift = max(0, (high - low).bit_length() - VALUE_BITS)
    rest = image - image.dtype.type(low)
    writer = BitWriter()
    if shift:
        writer.put(rest & rest.dtype.type((1 << shift) - 1), np.full(len(rest), shift))
    integers = (rest >> rest.dtype.type(shift)).astype(np.int64)
    return Scale((high - low) >> shift, low, shift, writer.finish()), integers


def from_integers(scale: Scale, integers: Array, dtype: np.dtype[Any]) -> Array:
    """The column of type `dtype` that `integers` (n,) stand for; FormatError for a wrong scale."""
    width = np.dtype(f"<u{dtype.itemsize}")
    if scale.table is not None:
        count = integer(scale.table, "count", 2, columns.TABLE_LIMIT)
        table = columns.decode(columns.Column.from_json(scale.table, scale.apart), count, width)
        if scale.top >= count:
            raise FormatError("a column names a value beyond its table")
        return columns.from_image(table[integers], dtype)
    image = integers.astype(width) << width.type(scale.shift)
    if scale.shift:
        reader = BitReader(scale.apart)
        image |= reader.take(np.full(len(integers), scale.shift)).astype(width)
        reader.finish()
    return columns.from_image(image + width.type(scale.low), dtype)
