"""A column as a row of numbers, `columns.1`: as it is, by the column before, or as ranks.

Ranks that follow from sorting by earlier columns cost next to nothing, such as times in a scan.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pcc_cli.attributes.integers import LEVEL, Scale, from_integers, scales
from pcc_cli.attributes.sorting import keys_for, ranks_by
from pcc_cli.entropy import columns
from pcc_cli.errors import FormatError
from pcc_cli.fields import member
from pcc_cli.geometry import Array

Record = dict[str, Any]  # the description of a column

LEAST = 64  # points that can tell something of each other
RANKS, RESTS = np.dtype("<u4"), np.dtype("<i4")
_MEMBER = 12  # bytes of a member of a description, about


def encode(values: Sequence[Array], place: int) -> tuple[Record, bytes]:
    """The smallest coding of column `place` of `values`: its own, or that of its ranks.

    The columns before it may be referred to, so that they must be decoded first.
    """
    column, before = values[place], values[:place]
    rivals = [_row(columns.encode(column, LEVEL, _reference(before, len(column), column.dtype)))]
    if len(column) >= LEAST and (column != column[0]).any():
        scale, ranks = scales(column)[0]
        if scale.gaps is not None:
            rivals.append(_row(columns.encode(ranks.astype(RANKS), LEVEL), scale))
        keys = _keys(scale, ranks, before)
        if keys:
            rest = ranks - ranks_by([before[key] for key in keys])
            rivals.append(_row(columns.encode(rest.astype(RESTS), LEVEL), scale, keys))
    return min(rivals, key=size_of)


def size_of(stored: tuple[Record, bytes]) -> int:
    """Bytes of a column and, about, of its description."""
    return len(stored[1]) + len(stored[0]) * _MEMBER


def _keys(scale: Scale, ranks: Array, before: Sequence[Array]) -> list[int]:
    """Places of the columns that sort points into the order `ranks`, if it is one."""
    if scale.top + 1 != len(ranks) or not before:
        return []
    usable = [place for place, column in enumerate(before) if len(column) == len(ranks)]
    return [usable[key] for key in keys_for(ranks, [before[place] for place in usable])]


def _row(
    coded: columns.Column, scale: Scale | None = None, keys: list[int] | None = None
) -> tuple[Record, bytes]:
    data = coded.data if scale is None else scale.apart + coded.data
    head = {} if scale is None else scale.to_json()
    by = {"by": keys} if keys else {}
    return {**by, **head, **coded.to_json(), "bytes": len(data)}, data


def decode(
    entry: Record, data: bytes, before: Sequence[Array], layout: tuple[int, np.dtype[Any]]
) -> Array:
    """The column that `entry` describes; FormatError when it is damaged.

    before : the columns before it, decoded
    layout : its length and type
    """
    count, dtype = layout
    if "top" not in entry:
        coded = columns.Column.from_json(entry, data)
        return columns.decode(coded, count, dtype, _reference(before, count, dtype))
    scale = Scale.from_json(entry, data)
    coded = columns.Column.from_json(entry, data[len(scale.apart) :])
    if "by" not in entry:
        return from_integers(scale, columns.decode(coded, count, RANKS), dtype)
    keys = member(entry, "by", list)
    for key in keys:
        if not isinstance(key, int) or not 0 <= key < len(before) or len(before[key]) != count:
            raise FormatError("a column is sorted by one that is not before it")
    ranks = ranks_by([before[key] for key in keys]) if keys else np.arange(count)
    return from_integers(scale, ranks + columns.decode(coded, count, RESTS), dtype)


def _reference(before: Sequence[Array], count: int, dtype: np.dtype[Any]) -> Array | None:
    """The column before, if one of this length and type may refer to it."""
    alike = before and len(before[-1]) == count and before[-1].dtype == dtype
    return before[-1] if alike and dtype.kind in "iu" else None
