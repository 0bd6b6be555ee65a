"""The second stage of a tile: its columns, in the order of the decoded geometry, to bytes and back.

There are two lossless coders of a column. `columns.1` takes it as a row of numbers: differences to
the row or the column before, tables, ranks, zstandard. `neighbours.1` guesses each value of a point
from the points around it. Each column is stored with the one that makes it smaller. Columns that
resemble the one before, as colours do, are coded by neighbours together, in a chain. Colours that
may lose something are coded by `raht.1`, where that is smaller than `columns.1`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np

from pcc_cli.attributes import colour, detail, neighbours, rows
from pcc_cli.attributes.colour import CHANNELS, RAHT
from pcc_cli.attributes.integers import Scale, from_integers, scales
from pcc_cli.attributes.neighbours import GUIDES, VALUE_BITS
from pcc_cli.attributes.rows import LEAST, Record
from pcc_cli.entropy import columns
from pcc_cli.errors import FormatError, UnsupportedError
from pcc_cli.fields import integer
from pcc_cli.geometry import Array

# On disk, for ever; another way to code columns is another id.
COLUMNS, NEIGHBOURS = "columns.1", "neighbours.1"
LOSSY = (RAHT,)
ALIKE = 0.25  # correlation of differences from which on a column is a guide to the next
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

    def row(place: int) -> tuple[Record, bytes]:
        return lossy.get(place) or rows.encode(values, place)

    with ThreadPoolExecutor(1) as aside:  # most of it is zstandard, which leaves Python alone
        rows_coded = aside.map(row, range(len(values)))
        near_coded = [] if near is None else _by_neighbours(values, near, lossy.keys())
        stored = list(rows_coded)
    for places, rivals in near_coded:
        size = sum(len(stored[place][1]) for place in places)
        if sum(len(data) + _RECORD for _, data in rivals) < size:
            for place, rival in zip(places, rivals, strict=True):
                stored[place] = rival
    entries = [record for record, _ in stored]
    return Encoded(entries, b"".join(data for _, data in stored), values)


def _by_neighbours(
    values: list[Array], voxels: Array, done: Set[int]
) -> list[tuple[list[int], list[tuple[Record, bytes]]]]:
    """(places, the columns there by neighbours) of all chains with none of the places `done`."""
    stages = detail.Stages(voxels)
    return [
        (places, _encode_chain([values[place] for place in places], stages))
        for places in _chains(values, len(voxels))
        if not done & set(places)
    ]


def _encode_colours(
    values: list[Array], voxels: Array, colours: Colours
) -> dict[int, tuple[Record, bytes]]:
    """The transformed colours by their places, and in `values` what they decode to; nothing where
    `columns.1` is smaller."""
    places = range(colours.place, colours.place + CHANNELS)
    rivals, decoded = colour.encode([values[place] for place in places], voxels, colours.quality)
    exact = [rows.encode(values, place) for place in places]
    if sum(map(rows.size_of, rivals)) >= sum(map(rows.size_of, exact)):
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
            decoded.append(rows.decode(entries[place], pieces[place], decoded, layout[place]))
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
    return [from_integers(*parts) for parts in zip(chosen, integers, types, strict=True)]
