"""One tile to sections and back: the geometry by a codec, then the columns, then a digest."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, cast

import numpy as np

from pcc_cli import codecs
from pcc_cli.attributes import coder
from pcc_cli.codecs.base import (
    Box,
    Codec,
    Inexact,
    Partial,
    Payload,
    Progress,
    SetCodec,
    Sized,
    cut,
    silent,
)
from pcc_cli.container import Section
from pcc_cli.errors import FormatError, InputError, UnsupportedError
from pcc_cli.fields import integer, member, records
from pcc_cli.geometry import Array, Mesh, PointCloud, Volume, VoxelCloud
from pcc_cli.records import RECORD_LIMIT, pack, unpack
from pcc_cli.spine.carry import carried
from pcc_cli.spine.digest import Digest, arrays_of
from pcc_cli.spine.header import Header

RECORD, COLUMNS = "TILE", "ATTR"  # kinds of sections; all others of a tile are streams of its codec
# Of one tile, checked before decoding.
POINTS_LIMIT = {"points": 1 << 22, "mesh": 1 << 32, "volume": 1 << 40, "meshes": 1 << 32}
SECTION_BYTES = 21  # of a section beside its data
NEAREST = "nearest"  # setting of codecs: source points whose attributes a decoded one takes
RESOLUTION = "resolution"  # setting of codecs whose meshes are made when they are decoded


Bare = VoxelCloud | Mesh | Volume  # what codecs see


class Piece(NamedTuple):
    """What a tile holds: a shape without attributes, and its columns.

    integers : what digests cover in place of the shape, if its codec is not exact
    """

    shape: Bare
    columns: list[Array]
    integers: list[Array] | None = None


@dataclass(frozen=True)
class Coded:
    """A tile as it is stored.

    piece : what the tile decodes to
    quality : measures by the codec itself
    codec : id of the codec that won
    sizes : codec id -> bytes that its coding of the geometry takes, or would take
    stream_bytes, column_bytes : size of the streams of `codec`, and of each column
    """

    sections: list[Section]
    piece: Piece
    quality: dict[str, float]
    codec: str
    sizes: dict[str, int]
    stream_bytes: int
    column_bytes: list[int]


def encode(
    number: int,
    piece: Piece,
    contenders: Sequence[Codec],
    progress: Progress = silent,
    colours: coder.Colours | None = None,
    around: int = 0,
) -> Coded:
    """Tile `number`, its geometry coded by the contender that makes it smallest, ties to the first.

    All contenders must keep the same promise: several are lossless, or there is one.

    colours : columns that may lose something; None: none
    around : bytes of the file beside the streams, for codecs that are asked for a size of the file
    """
    payloads = [(codec, _encoded(codec, piece.shape, progress, around)) for codec in contenders]
    codec, payload = min(payloads, key=lambda pair: _stored_size(pair[1]))
    back = piece if codec.lossless else _returned(piece, codec, payload)
    shape = back.shape
    entries, columns, values = coder.encode(back.columns, _voxels(shape), colours)
    back = back._replace(columns=values)
    sections = _stored(number, codec, payload, shape, entries, _digest(back))
    if back.columns:
        sections.append(Section(COLUMNS, number, columns))
    sizes = {contender.id: _stored_size(coded) for contender, coded in payloads}
    column_bytes = [entry["bytes"] for entry in entries]
    return Coded(sections, back, payload.quality, codec.id, sizes, payload.size_bytes, column_bytes)


def _stored(
    number: int,
    codec: Codec,
    payload: Payload,
    shape: Bare,
    entries: list[dict[str, Any]],
    digest: str,
    shared: Collection[str] = (),
) -> list[Section]:
    """The description of a tile, and the streams of its codec but those that are `shared`."""
    record = {
        "codec": codec.id,
        "config": codecs.settings_of(codec),
        "meta": payload.meta,
        "streams": list(payload.streams),
        "points": len(shape),
        "bounds": _bounds(shape),
        "coder": coder.COLUMNS,
        "columns": entries,
        "digest": digest,
    }
    streams = [
        Section(name, number, stream)
        for name, stream in payload.streams.items()
        if name not in shared
    ]
    return [Section(RECORD, number, pack(record)), *streams]


def of_set(number: int, codec: SetCodec, payload: Payload) -> list[Section]:
    """The sections of mesh `number` of a set, without the streams that all meshes share."""
    mesh = codec.decode(payload) if payload.decoded is None else payload.decoded
    assert isinstance(mesh, Mesh)
    digest = _digest(Piece(mesh, [], codec.integers(payload)))
    return _stored(number, codec, payload, mesh, [], digest, codec.shared)


def empty(codec: Codec, shape: Mesh | Volume, number: int = 0) -> list[Section]:
    """The sections of a tile whose stream has no bytes yet, to see how large all else is."""
    digest = Digest().value().hex()  # as hard to deflate as any
    return _stored(number, codec, Payload({}, {"DATA": b""}), shape, [], digest)


def _encoded(codec: Codec, shape: Bare, progress: Progress, around: int) -> Payload:
    if isinstance(codec, Sized):
        return codec.encode_within(shape, around, progress)
    return codec.encode(shape, progress)


def _returned(piece: Piece, codec: Codec, payload: Payload) -> Piece:
    """What the decoder will see of `piece`: its shape, and the columns carried over to it."""
    shape = codec.decode(payload) if payload.decoded is None else payload.decoded
    assert not isinstance(shape, PointCloud)
    if isinstance(shape, VoxelCloud) and isinstance(piece.shape, VoxelCloud):
        around = getattr(codec, NEAREST, None)
        columns = carried(piece.columns, piece.shape.voxels, shape.voxels, around)
        return Piece(shape, columns, _integers(codec, payload))
    return Piece(shape, [], _integers(codec, payload))


def _integers(codec: Codec, payload: Payload) -> list[Array] | None:
    return None if codec.exact else cast("Inexact", codec).integers(payload)


@dataclass(frozen=True)
class Stored:
    """A tile of a file, described but not decoded.

    record : its description, with the members that all tiles need checked
    data : kind -> bytes of its other sections, and of those that all tiles share
    stream_bytes : of the streams that are its own
    """

    number: int
    record: dict[str, Any]
    data: dict[str, bytes]
    stream_bytes: int

    @property
    def points(self) -> int:
        return int(self.record["points"])

    @property
    def column_bytes(self) -> list[int]:
        return [entry["bytes"] for entry in self.record["columns"]]

    @property
    def lossy_columns(self) -> bool:
        return any(entry.get("coder") in coder.LOSSY for entry in self.record["columns"])

    def bounds(self) -> Array | None:
        """(2, 3) int64, smallest and largest voxel on each axis as described; None without any."""
        box = self.record.get("bounds")
        if box is None:
            return None
        corners = np.array(box, dtype=object)
        known = corners.shape == (2, 3) and all(type(v) is int for v in corners.flat)
        if not known or corners.min() < 0 or corners.max() >= 1 << 32:
            raise FormatError(f"the bounds of tile {self.number} are not two voxels")
        return corners.astype(np.int64)

    def at(self, resolution: int) -> Stored:
        """The same tile, to be decoded with other cells along an axis.

        InputError for a codec whose shapes have no resolution of their own.
        """
        config = member(self.record, "config", dict)
        if RESOLUTION not in config:
            raise InputError(f"{self.record['codec']} decodes to one resolution only")
        return replace(self, record={**self.record, "config": {**config, RESOLUTION: resolution}})

    def summary(self) -> dict[str, Any]:
        """What is worth telling about the tile, as JSON."""
        shown = ("codec", "config", "meta", "points", "bounds", "digest")
        return {**{name: self.record.get(name) for name in shown}, "bytes": self.stream_bytes}


def open_tile(
    number: int,
    sections: Sequence[Section],
    header: Header,
    shared: Mapping[str, bytes] | None = None,
) -> Stored:
    """The tile that `sections` make, with the streams that it shares with all others.

    FormatError when something is missing, UnsupportedError for a section that is unknown here.
    """
    found = {section.kind: section.data for section in sections}
    if RECORD not in found:
        raise FormatError(f"tile {number} has no description")
    record = _described(number, found.pop(RECORD), header)
    streams = member(record, "streams", list)
    found = {**(shared or {}), **found}
    if not all(isinstance(name, str) and name in found for name in streams):
        raise FormatError(f"tile {number} lacks one of its streams")
    for section in sections:
        if section.critical and section.kind not in (RECORD, COLUMNS, *streams):
            raise unknown(section)
    sizes = [
        integer(entry, "bytes", 0, len(found.get(COLUMNS, b"")))
        for entry in records(record, "columns")
    ]
    if len(sizes) != len(header.columns):
        raise FormatError(f"tile {number} has {len(sizes)} columns, not {len(header.columns)}")
    own = sum(len(section.data) for section in sections if section.kind in streams)
    return Stored(number, record, found, own)


def described(number: int, section: Section, header: Header) -> Stored:
    """The tile whose first section is `section`, without anything that could be decoded."""
    if section.kind != RECORD:
        raise FormatError(f"tile {number} has no description")
    return Stored(number, _described(number, section.data, header), {}, 0)


def _described(number: int, data: bytes, header: Header) -> dict[str, Any]:
    """The description of a tile, its members checked that stand for themselves."""
    record: dict[str, Any] = unpack(data, f"the description of tile {number}", RECORD_LIMIT)
    integer(record, "points", 0, POINTS_LIMIT[header.kind])
    for name, kind in (("codec", str), ("config", dict), ("meta", dict), ("digest", str)):
        member(record, name, kind)
    return record


def unknown(section: Section) -> UnsupportedError:
    """The error for a section without which the file cannot be read."""
    return UnsupportedError(
        f"the file needs a section '{section.kind}' that this pcc does not know: "
        "use the pcc that wrote it, or a newer one"
    )


def decode(tile: Stored, header: Header, device: str) -> Piece:
    """What `tile` holds, its digest checked; errors as in `api.decompress`."""
    record = tile.record
    codec, payload = stored_geometry(tile, device)
    shape = codec.decode(payload)
    if not isinstance(shape, codecs.PIECES[header.kind]):
        raise FormatError(f"tile {tile.number} decodes to another kind of shape")
    assert not isinstance(shape, PointCloud)
    integers = _integers(codec, payload)
    faces = len(shape.face_sizes) if isinstance(shape, Mesh) else 0
    # What floats restore may have other counts elsewhere: a surface has more or fewer vertices.
    if codec.exact and (len(shape) != tile.points or (header.lossless and faces != header.faces)):
        raise FormatError(f"tile {tile.number} decodes to other counts than the file announces")
    layout = [
        (faces if column.role == "face" else len(shape), column.dtype) for column in header.columns
    ]
    if member(record, "coder", str) != coder.COLUMNS:
        raise UnsupportedError(f"this pcc does not know the coder '{record['coder']}'")
    data = tile.data.get(COLUMNS, b"")
    columns = coder.decode(record["columns"], data, layout, _voxels(shape))
    piece = Piece(shape, columns, integers)
    if (record.get("bounds"), record.get("digest")) != (_bounds(shape), _digest(piece)):
        raise FormatError(
            f"tile {tile.number} does not decode to what was compressed: its digest is wrong"
        )
    return piece


def decode_part(tile: Stored, header: Header, device: str, box: Box, halvings: int) -> Array:
    """The values of a box of a volume; what is not decoded cannot be checked by the digest."""
    codec, payload = stored_geometry(tile, device)
    if isinstance(codec, Partial):
        return codec.decode_part(payload, box, halvings)
    shape = decode(tile, header, device).shape
    assert isinstance(shape, Volume)
    return cut(shape.values, shape.axes, box, halvings)


def stored_geometry(tile: Stored, device: str) -> tuple[Codec, Payload]:
    """The codec of a tile, and what it decodes."""
    name = member(tile.record, "codec", str)
    codec = codecs.create(name, member(tile.record, "config", dict), device)
    streams = {stream: tile.data[stream] for stream in tile.record["streams"]}
    return codec, Payload(member(tile.record, "meta", dict), streams)


def _voxels(shape: Bare) -> Array | None:
    """Places that columns can be guessed from; the vertices of a mesh have no order of space."""
    return shape.voxels if isinstance(shape, VoxelCloud) else None


def _stored_size(payload: Payload) -> int:
    return len(pack(payload.meta)) + sum(
        SECTION_BYTES + len(stream) for stream in payload.streams.values()
    )


def _bounds(shape: Bare) -> list[list[int]] | None:
    """Smallest and largest voxel on each axis."""
    if not isinstance(shape, VoxelCloud) or not len(shape):
        return None
    low, high = shape.voxels.min(axis=0), shape.voxels.max(axis=0)
    return [[int(x) for x in low], [int(x) for x in high]]


def _digest(piece: Piece) -> str:
    digest = Digest()
    digest.update(arrays_of(piece.shape) if piece.integers is None else piece.integers)
    digest.update(piece.columns)
    return digest.value().hex()
