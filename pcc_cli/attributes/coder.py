"""The second stage of a tile: its columns, in the order of the decoded geometry, to bytes and back.

Neighbours in Morton order are neighbours in space, so the difference to the row before is small;
neighbouring columns are often alike (red and green), so an integer column may also be coded as its
difference to the one before it. `entropy/columns.py` does both and keeps what is smallest.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pcc_cli.entropy import columns
from pcc_cli.errors import FormatError
from pcc_cli.fields import integer

Array = np.ndarray[Any, Any]

ID = "columns.1"  # on disk, for ever; another way to code columns is another id
LEVEL = 9  # of zstandard


def encode(values: Sequence[Array]) -> tuple[list[dict[str, Any]], bytes]:
    """The description of each column, with its size "bytes", and their bytes in one piece.

    values : columns of any integer or float type, each of any length
    """
    entries: list[dict[str, Any]] = []
    pieces: list[bytes] = []
    before: Array | None = None
    for column in values:
        coded = columns.encode(column, LEVEL, _reference(before, len(column), column.dtype))
        entries.append({**coded.to_json(), "bytes": len(coded.data)})
        pieces.append(coded.data)
        before = column
    return entries, b"".join(pieces)


def decode(
    entries: list[dict[str, Any]], data: bytes, layout: Sequence[tuple[int, np.dtype[Any]]]
) -> list[Array]:
    """The columns in `data`, bit for bit; FormatError when it is damaged.

    layout : length and type of each column
    """
    if len(entries) != len(layout):
        raise FormatError(f"{len(entries)} columns are stored, the file has {len(layout)}")
    decoded: list[Array] = []
    before: Array | None = None
    start = 0
    for entry, (count, dtype) in zip(entries, layout, strict=True):
        size = integer(entry, "bytes", 0, len(data) - start)
        coded = columns.Column.from_json(entry, data[start : start + size])
        before = columns.decode(coded, count, dtype, _reference(before, count, dtype))
        decoded.append(before)
        start += size
    if start != len(data):
        raise FormatError(f"{len(data) - start} bytes follow the columns")
    return decoded


def _reference(before: Array | None, count: int, dtype: np.dtype[Any]) -> Array | None:
    """The column before, if one of this length and type may refer to it."""
    alike = before is not None and len(before) == count and before.dtype == dtype
    return before if alike and dtype.kind in "iu" else None
