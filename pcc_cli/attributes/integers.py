"""Any column as small integers from 0 on: what `neighbours` codes, and how to get back.

The image of a column (`columns.to_image`) is either taken less its least value, its lowest bits
apart where it is wide; or as ranks among the values that occur, which are stored as the gaps
between them. Times of a scan are ranks with a list of small gaps.
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
from pcc_cli.geometry import Array

LEVEL = 9  # of zstandard
FEW = 1 << 16
TOP_LIMIT = (1 << 32) - 1
_SPARSE = 4  # of narrow columns, ranks are taken when not one in this many values occurs


@dataclass(frozen=True)
class Scale:
    """How integers stand for a column.

    top : the largest integer
    low : image of integer 0
    shift : bits that were taken off
    apart : those bits, or the gaps between the values that occur, as bytes
    gaps : description of the gaps; None: there are none
    """

    top: int
    low: int
    shift: int
    apart: bytes
    gaps: dict[str, Any] | None = None

    def to_json(self) -> dict[str, Any]:
        """All but the bytes."""
        head: dict[str, Any] = {"top": self.top, "low": self.low}
        if self.gaps is not None:
            return {**head, "gaps": self.gaps, "apart": len(self.apart)}
        return {**head, "shift": self.shift, "apart": len(self.apart)} if self.shift else head

    @classmethod
    def from_json(cls, record: Any, data: bytes) -> Scale:
        """The scale that `record` describes, its bytes at the start of `data`."""
        top, low = integer(record, "top", 1, TOP_LIMIT), integer(record, "low", 0, (1 << 64) - 1)
        shift = integer(record, "shift", 1, 44) if "shift" in record else 0
        gaps = member(record, "gaps", dict) if "gaps" in record else None
        apart = shift > 0 or gaps is not None
        size = integer(record, "apart", 1, len(data)) if apart else 0
        return cls(top, low, shift, data[:size], gaps)


def scales(values: Array) -> list[tuple[Scale, Array]]:
    """One or two scales of `values` (n,), not all equal, each with its (n,) int64 integers."""
    image = columns.to_image(values)
    low, high = int(image.min()), int(image.max())
    wide = (high - low).bit_length() > VALUE_BITS
    occurring = np.unique(image) if high - low > 1 else image
    few = len(occurring) <= min(FEW, len(image) // 2)
    if few and (high - low) // _SPARSE >= len(occurring):
        return [_ranks(image, occurring)]
    shifted = _shifted(image, low, high)
    return [_ranks(image, occurring), shifted] if wide else [shifted]


def _ranks(image: Array, occurring: Array) -> tuple[Scale, Array]:
    gaps = columns.encode(np.diff(occurring), LEVEL)
    scale = Scale(len(occurring) - 1, int(occurring[0]), 0, gaps.data, gaps.to_json())
    return scale, np.searchsorted(occurring, image).astype(np.int64)


def _shifted(image: Array, low: int, high: int) -> tuple[Scale, Array]:
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
    if scale.gaps is not None:
        coded = columns.Column.from_json(scale.gaps, scale.apart)
        gaps = columns.decode(coded, scale.top, width)
        table = np.cumsum(np.append(width.type(0), gaps), dtype=width)
        if len(integers) and not 0 <= int(integers.min()) <= int(integers.max()) <= scale.top:
            raise FormatError("a column names a value beyond its table")
        image = table[integers]
    else:
        image = integers.astype(width) << width.type(scale.shift)
    if scale.shift:
        reader = BitReader(scale.apart)
        image |= reader.take(np.full(len(integers), scale.shift)).astype(width)
        reader.finish()
    return columns.from_image(
        image + width.type(scale.low & ((1 << 8 * dtype.itemsize) - 1)), dtype
    )
