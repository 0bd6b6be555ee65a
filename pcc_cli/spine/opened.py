"""A .dcz file taken apart: header, tiles as they are stored, digest; nothing is decoded."""

from __future__ import annotations

from typing import NamedTuple

from pcc_cli import container
from pcc_cli.container import WHOLE_FILE, Section
from pcc_cli.errors import FormatError
from pcc_cli.spine import origin, sets, tile
from pcc_cli.spine.digest import DIGEST
from pcc_cli.spine.header import Header


class File(NamedTuple):
    """header; tiles, not yet decoded; digest of the whole shape; bytes of its source, packed.

    shared_bytes : of the streams that all tiles of a set share
    """

    header: Header
    tiles: list[tile.Stored]
    digest: bytes
    origin: bytes | None
    shared_bytes: int


def open_data(data: bytes) -> File:
    """The parts of a file; everything is checked that can be without decoding.

    FormatError when it is damaged, UnsupportedError when it needs a newer pcc.
    """
    record, sections = container.read(data)
    header = Header.from_json(record)
    groups: dict[int, list[Section]] = {}
    shared: dict[str, Section] = {}
    digest = source = None
    for section in sections:
        if section.tile != WHOLE_FILE:
            groups.setdefault(section.tile, []).append(section)
        elif section.kind == DIGEST:
            digest = section.data
        elif section.kind == origin.KIND:
            source = section.data
        elif header.kind == sets.KIND:
            shared[section.kind] = section
        elif section.critical:
            raise tile.unknown(section)
    streams = {kind: section.data for kind, section in shared.items()}
    tiles = [tile.open_tile(number, group, header, streams) for number, group in groups.items()]
    used = {name for stored in tiles for name in stored.record["streams"]}
    for kind, section in shared.items():
        if section.critical and kind not in used:
            raise tile.unknown(section)
    points = sum(stored.points for stored in tiles)
    if len(tiles) != header.tiles or (header.lossless and points != header.count):
        raise FormatError("the tiles of the file do not add up to what its header says")
    if digest is None:
        raise FormatError("the file has no digest")
    if header.kind == sets.KIND and digest != sets.digest_of(header, tiles):
        raise FormatError("the meshes of the set are not those that it was made of")
    return File(header, tiles, digest, source, sum(map(len, streams.values())))
