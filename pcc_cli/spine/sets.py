"""A set of meshes and the sections of a file: what all meshes share, then a tile for each mesh.

So one mesh is read without the others, one that is added or removed leaves their bytes as they are,
and the digest of the file is over those of its tiles.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Any, cast

import numpy as np

from pcc_cli import codecs, container
from pcc_cli.codecs.base import Progress, SetCodec, silent
from pcc_cli.container import WHOLE_FILE, Section
from pcc_cli.errors import FormatError, InputError
from pcc_cli.geometry import Mesh, MeshSet
from pcc_cli.spine import tile
from pcc_cli.spine.digest import DIGEST, Digest
from pcc_cli.spine.header import Header, Member, counted
from pcc_cli.spine.report import Report
from pcc_cli.spine.tile import Stored
from pcc_cli.words import plural

KIND = "meshes"
MORE = 40  # bytes of a description that are not known before a mesh is coded
_ABOUT = (DIGEST, tile.RECORD)  # kinds of sections that hold no geometry


@dataclass(frozen=True)
class Coded:
    """A set as it is stored.

    quality : mean and largest error of its meshes
    """

    header: Header
    sections: list[Section]
    quality: dict[str, float]


def encode(meshes: MeshSet, codec: SetCodec, progress: Progress) -> Coded:
    """The header and the sections of a set."""
    members = tuple(_member(name, mesh) for name, mesh in meshes.items())
    header = Header(KIND, **counted(members), lossless=False, members=members)
    payloads = codec.encode_set(meshes, _around(header, meshes, codec), progress)
    shared = [Section(name, WHOLE_FILE, payloads[0].stream(name)) for name in codec.shared]
    tiles = [tile.of_set(number, codec, payload) for number, payload in enumerate(payloads)]
    errors = [payload.quality["error"] for payload in payloads]
    quality = {"mean_error": float(np.mean(errors)), "largest_error": max(errors)}
    return Coded(header, _sealed(header, shared, tiles), quality)


def decode(
    header: Header, tiles: Sequence[Stored], device: str, progress: Progress = silent
) -> MeshSet:
    """All meshes, the digest of each tile checked."""
    found = {}
    for name, stored in zip(header.names, tiles, strict=True):
        progress(stored.number / len(tiles), name)
        mesh = tile.decode(stored, header, device).shape
        assert isinstance(mesh, Mesh)
        found[name] = mesh
    return MeshSet(found)


def report(coded: Coded, bytes_out: int, codec: SetCodec, notes: list[str]) -> Report:
    """What came of a set that takes `bytes_out`."""
    header = coded.header
    kept = sum(len(section.data) for section in coded.sections if section.kind not in _ABOUT)
    return Report(
        kind=KIND,
        points=header.count,
        faces=header.faces,
        bytes_out=bytes_out,
        geometry_bytes=kept,
        attribute_bytes={},
        max_error=0.0,
        grid=plural(header.tiles, "mesh"),
        quality=coded.quality,
        codecs=[codec.id],
        device=codecs.device_of(codec),
        notes=notes,
    )


def listed(header: Header, tiles: Sequence[Stored]) -> list[dict[str, Any]]:
    """What a file says of each mesh, as JSON."""
    return [
        {
            "name": member.name,
            "points": member.points,
            "faces": member.faces,
            "bytes": stored.stream_bytes,
            "error": stored.record["meta"].get("error"),
        }
        for member, stored in zip(header.members, tiles, strict=True)
    ]


def added(coded: bytes, mesh: Mesh, name: str, codec: SetCodec, progress: Progress) -> Coded:
    """The set in the file `coded` with one mesh more, the bytes of the others as they were.

    InputError for a name that is there.
    """
    header, shared, tiles = taken_apart(coded)
    if name in header.names:
        raise InputError(f"the set has a mesh '{name}' already; remove it first, or rename")
    streams = {section.kind: section.data for section in shared}
    last = tile.open_tile(0, tiles[0], header, streams)
    _, known = tile.stored_geometry(last, "cpu")
    payload = codec.encode_more(mesh, name, known, progress)
    members = (*header.members, _member(name, mesh))
    header = replace(header, **counted(members), members=members)
    tiles = [*tiles, tile.of_set(len(tiles), codec, payload)]
    error = payload.quality["error"]
    return Coded(header, _sealed(header, shared, tiles), {"error": error})


def removed(coded: bytes, names: Sequence[str]) -> Coded:
    """The set in the file `coded` without some meshes, which `found` in its names.

    InputError for a name that is not there, or when nothing is left.
    """
    header, shared, tiles = taken_apart(coded)
    gone = {number_of(header, name) for name in names}
    rest = [number for number in range(header.tiles) if number not in gone]
    if not rest:
        raise InputError("nothing would be left of the set; delete the file")
    members = tuple(header.members[number] for number in rest)
    header = replace(header, **counted(members), members=members)
    kept = [
        [Section(s.kind, place, s.data, s.critical) for s in tiles[number]]
        for place, number in enumerate(rest)
    ]
    return Coded(header, _sealed(header, shared, kept), {})


def codec_of(coded: bytes) -> str:
    """The id of the codec of the set in the file `coded`. InputError for another kind of file."""
    header, shared, tiles = taken_apart(coded)
    found: str = tile.open_tile(0, tiles[0], header, _streams(shared)).record["codec"]
    return found


def number_of(header: Header, name: str) -> int:
    """The tile of the mesh called `name`, or called so but for its suffix.

    InputError when there is none, or more than one.
    """
    if name in header.names:
        return header.names.index(name)
    alike = [n for n, known in enumerate(header.names) if _stem(known) == name]
    if len(alike) == 1:
        return alike[0]
    have = "several meshes" if alike else "no mesh"
    shown = ", ".join(header.names[:5]) + (", ..." if len(header.names) > 5 else "")
    raise InputError(f"the set has {have} '{name}'; it has {shown}")


def _stem(name: str) -> str:
    return str(PurePosixPath(name).with_suffix(""))


def taken_apart(coded: bytes) -> tuple[Header, list[Section], list[list[Section]]]:
    """The header of a set, what its tiles share, and the sections of each, all digests checked.

    InputError for a file that holds something else.
    """
    record, sections = container.read(coded)
    header = Header.from_json(record)
    if header.kind != KIND:
        raise InputError(f"the file holds no set of meshes, but a {header.kind}")
    shared = [s for s in sections if s.tile == WHOLE_FILE and s.kind != DIGEST]
    tiles: list[list[Section]] = [[] for _ in range(header.tiles)]
    for section in sections:
        if section.tile != WHOLE_FILE:
            if section.tile >= len(tiles):
                raise FormatError("the tiles of the file do not add up to what its header says")
            tiles[section.tile].append(section)
    digests = [s.data for s in sections if s.tile == WHOLE_FILE and s.kind == DIGEST]
    opened = [tile.open_tile(n, own, header, _streams(shared)) for n, own in enumerate(tiles)]
    if digests != [digest_of(header, opened)]:
        raise FormatError("the meshes of the set are not those that it was made of")
    return header, shared, tiles


def digest_of(header: Header, tiles: Sequence[Stored]) -> bytes:
    """Of the whole file: over names and the digests of its tiles."""
    digest = Digest()
    for name, stored in zip(header.names, tiles, strict=True):
        digest.update([np.frombuffer(f"{name}\n{stored.record['digest']}\n".encode(), np.uint8)])
    return digest.value()


def _sealed(header: Header, shared: list[Section], tiles: Sequence[list[Section]]) -> list[Section]:
    """All sections of a file, its digest behind them."""
    opened = [tile.open_tile(n, own, header, _streams(shared)) for n, own in enumerate(tiles)]
    own = [section for sections in tiles for section in sections]
    return [*shared, *own, Section(DIGEST, WHOLE_FILE, digest_of(header, opened))]


def _member(name: str, mesh: Mesh) -> Member:
    return Member(name, len(mesh), len(mesh.face_sizes))


def _streams(shared: Sequence[Section]) -> Mapping[str, bytes]:
    return {section.kind: section.data for section in shared}


def _around(header: Header, meshes: MeshSet, codec: SetCodec) -> int:
    """Bytes of the file beside the streams, at most."""
    parts = [
        section
        for number, mesh in enumerate(meshes.values())
        for section in tile.empty(cast("Any", codec), mesh, number)
    ]
    empty = [Section(name, WHOLE_FILE, b"") for name in codec.shared]
    sealed = Section(DIGEST, WHOLE_FILE, Digest().value())
    return container.write(io.BytesIO(), header.to_json(), [*empty, *parts, sealed]) + 24 * len(
        meshes
    )
