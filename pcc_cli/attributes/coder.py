"""The second stage of a tile: its columns, in the order of the decoded geometry, to bytes and back.

There are two lossless coders of a column. `columns.1` takes it as a row of numbers: differences to
the row or the column before, tables, ranks, zstandard. `neighbours.1` guesses each value of a point
from the points around it. Each column is stored with the one that makes it smaller. Columns that
resemble the one before, as colours do, are coded by neighbours together, in a chain. Colours that
may lose something are coded by `raht.1`, where that is smaller than `columns.1`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from pcc_cli.attributes import colour, detail, neighbours
from pcc_cli.attributes.colour import CHANNELS, RAHT
from pcc_cli.attributes.integers import LEVEL, Scale, from_integers, scales
from pcc_cli.attributes.neighbours import GUIDES, VALUE_BITS
from pcc_cli.attributes.sorting import keys_for, ranks_by
from pcc_cli.entropy import columns
from pcc_cli.errors import FormatError, UnsupportedError
from pcc_cli.fields import integer, member
from pcc_cli.geometry import Array

Record = dict[str, Any]

# On disk, for ever; another way to code columns is another id.
COLUMNS, NEIGHBOURS = "columns.1", "neighbours.1"
LOSSY = (RAHT,)
LEAST = 64  # points that can tell something of each other
ALIKE = 0.25  # correlation of differences from which on a column is a guide to the next
RANKS, RESTS = np.dtype("<u4"), np.dtype("<i4")
_MEMBER = 12  # bytes of a member of a description, about
_RECORD = 48  # bytes that a description by neighbours is longer than one by columns


class Colours(NamedTuple):
    """Colours that may lose something.

    place : of red among the columns; green and blue follow
    quality : 1 to 100
    """

    place: int
    quality: float


class Encoded(NamedTuple):
    """entries : the description of each column, with its size "bytes"
    data : their bytes in one piece
    values : the columns as they decode, which differ from the given ones only in lossy colours
    """

    entries: list[Record]
    data: bytes
    values: list[Array]


def encode(
    values: Sequence[Array], voxels: Array | None = None, colours: Colours | None = None
) -> Encoded:
    """The columns as they are stored.

    values : columns of any integer or float type, each of any length
    voxels : (n, 3) int64 in Morton order, the points that the columns of length n belong to
    """
    values = list(values)
    near = None if voxels is None or len(voxels) < LEAST else voxels
    # Colours come first: columns that refer to them must see what the decoder sees.
    lossy = {} if near is None or not colours else _encode_colours(values, near, colours)
    stored = [lossy.get(place) or _encode_plainly(values, place) for place in range(len(values))]
    if near is not None:
        chains = [chain for chain in _chains(values, len(near)) if not lossy.keys() & set(chain)]
        stages = detail.Stages(near)
        for places in chains:
            rivals = _encode_chain([values[place] for place in places], stages)
            size = sum(len(stored[place][1]) for place in places)
            if sum(len(data) + _RECORD for _, data in rivals) < size:
                for place, rival in zip(places, rivals, strict=True):
                    stored[place] = rival
    entries = [record for record, _ in stored]
    return Encoded(entries, b"".join(data for _, data in stored), values)


def _encode_colours(
    values: list[Array], voxels: Array, colours: Colours
) -> dict[int, tuple[Record, bytes]]:
    """The transformed colours by their places, and in `values` what they decode to; nothing where
    `columns.1` is smaller."""
    places = range(colours.place, colours.place + CHANNELS)
    rivals, decoded = colour.encode([values[place] for place in places], voxels, colours.quality)
    exact = [_encode_plainly(values, place) for place in places]
    if sum(map(_size_of, rivals)) >= sum(map(_size_of, exact)):
        return {}
    for place, column in zip(places, decoded, strict=True):
        values[place] = column
    return dict(zip(places, rivals, strict=True))


def decode(
    entries: Sequence[Record],
    data: bytes,
    layout: Sequence[tuple[int, np.dtype[Any]]],
    voxels: Array | None = None,
) -> list[Array]:
    """The columns in `data`, bit for bit; FormatError when it is damaged, UnsupportedError when a
    column has a coder that is unknown here.

    layout : length and type of each column
    """
    if len(entries) != len(layout):
        raise FormatError(f"{len(entries)} columns are stored, the file has {len(layout)}")
    pieces = _pieces(entries, data)
    stages = detail.Stages(np.empty((0, 3), np.int64) if voxels is None else voxels)
    decoded: list[Array] = []
    while len(decoded) < len(entries):
        place = len(decoded)
        coder = entries[place].get("coder", COLUMNS)
        if coder == COLUMNS:
            decoded.append(_decode_plainly(entries[place], pieces[place], decoded, layout[place]))
        elif coder == NEIGHBOURS:
            end = _end_of_chain(entries, place)
            if voxels is None or any(count != len(voxels) for count, _ in layout[place:end]):
                raise FormatError("a column is coded by neighbours that it does not have")
            types = [dtype for _, dtype in layout[place:end]]
            decoded += _decode_chain(
                entries[place:end], pieces[place:end], types, stages, len(voxels)
            )
        elif coder == RAHT:
            colours = slice(place, place + CHANNELS)
            if voxels is None or any(one != layout[place] for one in layout[colours]):
                raise FormatError("colours are transformed over points that they do not have")
            kind = layout[place][1]
            decoded += colour.decode(entries[colours], pieces[colours], voxels, kind)
        else:
            raise UnsupportedError(f"this pcc does not know the coder '{coder}'")
    return decoded


def _pieces(entries: Sequence[Record], data: bytes) -> list[bytes]:
    """The bytes of each column."""
    pieces, start = [], 0
    for entry in entries:
        size = integer(entry, "bytes", 0, len(data) - start)
        pieces.append(data[start : start + size])
        start += size
    if start != len(data):
        raise FormatError(f"{len(data) - start} bytes follow the columns")
    return pieces


def _encode_plainly(values: Sequence[Array], place: int) -> tuple[Record, bytes]:
    """The smallest coding as a row of numbers: its own, or that of its ranks."""
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
    return min(rivals, key=_size_of)


def _size_of(stored: tuple[Record, bytes]) -> int:
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


def _decode_plainly(
    entry: Record, data: bytes, before: Sequence[Array], layout: tuple[int, np.dtype[Any]]
) -> Array:
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


def _chains(values: Sequence[Array], points: int) -> list[list[int]]:
    """Which columns to try by neighbours: places of columns that follow and resemble each other."""
    chains: list[list[int]] = []
    before: Array | None = None
    for place, column in enumerate(values):
        steps = None
        if len(column) == points and (column != column[0]).any():
            steps = np.diff(columns.to_image(column).astype(np.float64))
            if before is not None and _resemble(before, steps):
                chains[-1].append(place)
            else:
                chains.append([place])
        before = steps
    return chains


def _resemble(one: Array, other: Array) -> bool:
    """Whether differences from point to point go together; large ones, at edges, count no more
    than those of average size."""
    one, other = (np.clip(steps, -size, size) for steps in (one, other) for size in [_size(steps)])
    scale = float(np.sqrt((one @ one) * (other @ other)))
    return abs(float(one @ other)) > ALIKE * scale


def _size(steps: Array) -> float:
    return float(np.abs(steps).mean())


def _encode_chain(
    values: Sequence[Array], stages: Iterable[detail.Stage]
) -> list[tuple[Record, bytes]]:
    """`values` by neighbours, each in the last of its scales: bits apart rather than ranks."""
    chosen, integers = zip(*(scales(column)[-1] for column in values), strict=True)
    coded = neighbours.encode(integers, [scale.top for scale in chosen], stages)
    stored = []
    for position, (scale, column) in enumerate(zip(chosen, coded, strict=True)):
        data = scale.apart + column.stream + column.plain
        guides = min(position, GUIDES)
        head = {"coder": NEIGHBOURS, "guides": guides, "plain": len(column.plain)}
        stored.append(({**head, **scale.to_json(), "bytes": len(data)}, data))
    return stored


def _end_of_chain(entries: Sequence[Record], start: int) -> int:
    """The place behind the last column of the chain that begins at `start`."""
    end = start
    while end < len(entries) and entries[end].get("coder") == NEIGHBOURS:
        guides = integer(entries[end], "guides", 0, GUIDES)
        if end > start and guides == 0:
            break
        if guides != min(end - start, GUIDES):
            raise FormatError("a column follows others that are not before it")
        end += 1
    return end


def _decode_chain(
    entries: Sequence[Record],
    pieces: Sequence[bytes],
    types: Sequence[np.dtype[Any]],
    stages: Iterable[detail.Stage],
    points: int,
) -> list[Array]:
    chosen, coded = [], []
    for entry, data in zip(entries, pieces, strict=True):
        scale = Scale.from_json(entry, data)
        if scale.top >> VALUE_BITS:
            raise FormatError(f"a column by neighbours of values up to {scale.top}")
        body = data[len(scale.apart) :]
        split = len(body) - integer(entry, "plain", 0, len(body))
        chosen.append(scale)
        coded.append(neighbours.Coded(body[:split], body[split:]))
    integers = neighbours.decode(coded, [scale.top for scale in chosen], stages, points)
    return [from_integers(*member_) for member_ in zip(chosen, integers, types, strict=True)]
