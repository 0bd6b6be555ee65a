"""The spine: a shape to the bytes of a .dcz file, and back. No paths, no printing.

    shape --split--> header, pieces --codec, columns--> sections --container--> bytes

Points are written tile by tile as they are coded, and a tile that `plain` makes smaller than the
chosen codec is stored with `plain`. Decoding checks the digest of every tile and of the whole.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain
from typing import Any, BinaryIO, NamedTuple, cast

from pcc_cli import codecs, container
from pcc_cli.attributes.coder import Colours
from pcc_cli.attributes.colour import CHANNELS
from pcc_cli.codecs import settings
from pcc_cli.codecs.base import Capped, Codec, Extended, Progress, SetCodec, Sized, silent
from pcc_cli.container import WHOLE_FILE, Section
from pcc_cli.errors import FormatError, InputError
from pcc_cli.geometry import Content, Mesh, MeshSet, PointCloud, Volume, Whole
from pcc_cli.grid import fit
from pcc_cli.spine import aim, invalid, origin, preview, rivals, sets, tile, tiling
from pcc_cli.spine.digest import Digest
from pcc_cli.spine.header import Header
from pcc_cli.spine.report import Report, Tally, grid_text

DIGEST = "HASH"  # kind of the section with the digest of the whole shape
FALLBACK = "plain.1"
LIKENESS_FACES = 200  # of a mesh that keyspheres makes smaller
_SLACK = 24  # bytes by which an index grows with a stream, and a digest may deflate worse


@dataclass(frozen=True)
class Options:
    """What a caller may choose.

    codec : name or id; None: the default for the kind of shape
    settings : of the codec, by name, such as {"model": "occupancy-1"}; text for a value will do
    step, bits, lossless : the grid of float coordinates, at most one of the three (`grid.fit`)
    drop, only : attributes to leave out, or the only ones to keep
    attribute_quality : 1 to 100: colours of points may lose something; None: nothing does
    keep_order : store the order of the points, too
    keep_invalid : store points that are not finite, too, which are left out otherwise
    device : "auto", "cpu" or "cuda", for codecs that compute on one
    fallback : whether `plain` takes the tiles that it makes smaller
    allow_extras : whether a file may need packages beside pcc to be read, where that is better
    """

    codec: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    step: float | None = None
    bits: int | None = None
    lossless: bool = False
    drop: tuple[str, ...] = ()
    only: tuple[str, ...] | None = None
    attribute_quality: float | None = None
    keep_order: bool = False
    keep_invalid: bool = False
    device: str = "auto"
    fallback: bool = True
    allow_extras: bool = False


def compress_to(
    stream: BinaryIO,
    shape: Content,
    options: Options | None = None,
    progress: Progress = silent,
) -> Report:
    """Write `shape` as a .dcz file to `stream`, front to back, and report on it.

    InputError for coordinates or attributes that cannot be stored, UnsupportedError for an
    unknown codec or setting, ModelError and DeviceError from learned codecs.
    """
    if isinstance(shape, MeshSet):
        return _compress_set(stream, shape, options or Options(), progress)
    options = _aimed(shape, options or Options(), progress)
    contenders = _contenders(shape, options)
    whole = _lossless_within(shape, contenders[0], options)
    whole = whole or _with_extras(shape, contenders[0], options, progress)
    if whole is not None:
        data, report = whole
        stream.write(data)
        return report
    lossless = contenders[0].lossless
    progress(0.0, "grid")
    split = _split(tiling.without(shape, options.drop, options.only), options, lossless)
    colours = _colours(split.header, options)
    tally = Tally(split.header, slice(colours.place, colours.place + CHANNELS) if colours else None)
    source, extra = origin.split(split.header.source)
    header = replace(split.header, source=source, needs=_needs(contenders[0]))
    around = _around(shape, header, extra, contenders[0])
    sections = chain(extra, _sections(split, contenders, colours, tally, progress, around))
    bytes_out = container.write(stream, header.to_json(), sections)
    progress(1.0, "done")
    device = codecs.device_of(contenders[0])
    notes = _notes(shape, split.header, options)
    return tally.report(bytes_out, split.max_error, device, notes)


def compress(shape: Content, options: Options | None = None) -> bytes:
    """The bytes of a .dcz file that holds `shape`; errors as in `compress_to`."""
    stream = io.BytesIO()
    compress_to(stream, shape, options)
    return stream.getvalue()


def decompress(
    data: bytes,
    device: str = "auto",
    progress: Progress = silent,
    level: int | None = None,
    resolution: int | None = None,
) -> Content:
    """The shape in the .dcz file `data`, every digest checked.

    level : of the octree; a look at a cloud in 2**level cells along an axis, without attributes
    resolution : cells along an axis of a mesh that a network describes; None: as the file says

    FormatError when the file is damaged, UnsupportedError when it needs a newer pcc, ModelError
    when it needs a model that is not there, InputError for a level or resolution that it has not.
    """
    file = _open(data)
    if resolution is not None:
        file = file._replace(tiles=[stored.at(resolution) for stored in file.tiles])
    if level is not None:
        return _look(file, level, device, progress)
    if file.header.kind == sets.KIND:
        return sets.decode(file.header, file.tiles, device, progress)
    header = replace(file.header, source=origin.join(file.header.source, file.origin))

    def pieces() -> Iterator[tile.Piece]:
        for stored in file.tiles:
            done = stored.number / len(file.tiles)
            progress(done, f"tile {stored.number + 1} of {len(file.tiles)}")
            yield tile.decode(stored, header, device)

    digest = Digest()
    shape = tiling.join(header, pieces(), digest)
    if digest.value() != file.digest:
        raise FormatError("the file does not decode to what was compressed: its digest is wrong")
    progress(1.0, "done")
    return shape


def _look(file: _File, level: int, device: str, progress: Progress) -> Whole:
    header = preview.without_columns(file.header)
    finest = preview.levels_of(file.tiles)
    if not 1 <= level <= max(finest, 1):
        raise InputError(f"--level must be in 1 .. {max(finest, 1)}, not {level}")

    def pieces() -> Iterator[tile.Piece]:
        for stored in file.tiles:
            progress(stored.number / len(file.tiles), f"level {level} of {finest}")
            yield preview.decode(stored, max(finest - level, 0), device)

    return tiling.join(header, pieces(), Digest())


def decompress_part(
    data: bytes,
    low: Sequence[float] | None = None,
    high: Sequence[float] | None = None,
    scale: int = 1,
    device: str = "auto",
) -> Volume:
    """The samples of a volume within a box, every `scale`-th along each axis of space.

    low, high : corners (x, y, z) of the box along the axes of the volume, in units of the file;
        None: all of it
    scale : 1, 2, 4, 8 or 16

    InputError for another kind of shape, or a box without samples. Errors as in `decompress`,
    but no digest is checked where parts are decoded alone.
    """
    file = _open(data)
    header = replace(file.header, source=origin.join(file.header.source, file.origin))
    if header.frame is None:
        raise InputError(f"only volumes have a scale; this file holds {header.kind}")
    box = header.frame.box(low, high)
    halvings = tiling.halvings(scale)
    values = tile.decode_part(file.tiles[0], header, device, box, halvings)
    return header.frame.part(values, box, scale, header.source)


def add(
    data: bytes,
    meshes: MeshSet,
    given: Mapping[str, Any] | None = None,
    device: str = "auto",
    progress: Progress = silent,
) -> tuple[bytes, dict[str, float]]:
    """The file `data`, of a set, with more meshes, and the error of each.

    What all meshes share stays as it is, and so do the bytes of those that are there.

    given : settings of the codec, such as effort
    InputError for a name that is there, or a file that holds no set; others as in `compress_to`
    """
    errors = {}
    for number, (name, mesh) in enumerate(meshes.items()):
        within = partial(_within, progress, number, len(meshes))
        codec = _codec_of_set(sets.codec_of(data), given or {}, device)
        coded = sets.added(data, mesh, name, codec, within)
        errors[name] = coded.quality["error"]
        data = _written(coded)
    return data, errors


def remove(data: bytes, names: Sequence[str]) -> bytes:
    """The file `data`, of a set, without the meshes called `names`, with or without suffix.

    InputError for a name that is not there, or when nothing would be left.
    """
    return _written(sets.removed(data, names))


def inspect(data: bytes) -> dict[str, Any]:
    """What the .dcz file `data` says about itself, as JSON. Decodes nothing and loads no model."""
    header, tiles, digest, source, shared = _open(data)
    columns = {column.label: 0 for column in header.columns}
    for stored in tiles:
        for column, size in zip(header.columns, stored.column_bytes, strict=True):
            columns[column.label] += size
    residuals = [columns.pop(c.label) for c in header.columns if c.role in ("residual", "patch")]
    major, minor = struct.unpack_from("<HH", data, len(container.MAGIC))
    return {
        **header.to_json(),
        "lossless": header.lossless and not any(stored.lossy_columns for stored in tiles),
        "source": origin.readable(header.source, source),
        "format": f"{major}.{minor}",
        "bytes": len(data),
        "bits_per_point": 8 * len(data) / header.count if header.count else 0.0,
        "geometry_bytes": sum(stored.stream_bytes for stored in tiles) + sum(residuals) + shared,
        "attribute_bytes": columns,
        "source_bytes": len(source or b""),
        "grid_text": grid_text(header),
        "digest": digest.hex(),
        "tiles": [stored.summary() for stored in tiles],
        **({"meshes": sets.listed(header, tiles)} if header.kind == sets.KIND else {}),
    }


def _compress_set(
    stream: BinaryIO, meshes: MeshSet, options: Options, progress: Progress
) -> Report:
    chosen = codecs.resolve(options.codec or codecs.default_for(sets.KIND))
    codecs.check_takes(chosen, sets.KIND)
    if options.lossless or options.keep_order:
        raise InputError("a set of meshes is never lossless: each gets new vertices")
    codec = _codec_of_set(chosen, options.settings, options.device)
    coded = sets.encode(meshes, codec, progress)
    bytes_out = container.write(stream, coded.header.to_json(), coded.sections)
    progress(1.0, "done")
    lost = {name for m in meshes.values() for name in (*m.attributes, *m.face_attributes)}
    notes = [f"{', '.join(sorted(lost))} not kept: the codec makes new vertices"] if lost else []
    return sets.report(coded, bytes_out, codec, notes)


def _codec_of_set(chosen: str, given: Mapping[str, Any], device: str) -> SetCodec:
    codecs.check_takes(chosen, sets.KIND)
    wanted = settings.parsed(codecs.get(chosen), given)
    return cast("SetCodec", codecs.create(chosen, wanted, device))


def _written(coded: sets.Coded) -> bytes:
    stream = io.BytesIO()
    container.write(stream, coded.header.to_json(), coded.sections)
    return stream.getvalue()


def _aimed(shape: Whole, options: Options, progress: Progress) -> Options:
    """`options` with the quality that meets a target, for codecs that only know qualities."""
    chosen = codecs.get(codecs.resolve(options.codec or codecs.default_for(codecs.kind_of(shape))))
    target = aim.target_of(settings.of(chosen), options.settings)
    if target is None:
        return options
    bare = replace(shape, attributes={}) if isinstance(shape, PointCloud) else shape

    def attempt(quality: float) -> Report:
        progress(0.0, f"trying quality {quality:.1f}")
        at = replace(options, settings={**target.others, "quality": quality}, drop=(), only=None)
        return compress_to(io.BytesIO(), bare, at)

    return replace(options, settings={**target.others, "quality": target.quality(attempt)})


def _contenders(shape: Whole, options: Options) -> list[Codec]:
    """The codec to use, and behind it the one that may turn out smaller."""
    kind = codecs.kind_of(shape)
    usual = codecs.default_for(kind, options.settings)
    chosen = codecs.resolve(options.codec) if options.codec else usual
    codecs.check_takes(chosen, kind)
    given = settings.parsed(codecs.get(chosen), options.settings)
    first = codecs.create(chosen, given, options.device)
    rival = options.fallback and first.lossless and chosen != FALLBACK
    return [first, codecs.create(FALLBACK, {})] if rival else [first]


def _colours(header: Header, options: Options) -> Colours | None:
    """Which columns may lose something, and how much."""
    quality = options.attribute_quality
    if quality is None:
        return None
    if not 1 <= quality <= 100:
        raise InputError(f"the quality of attributes is 1 to 100, not {quality:g}")
    place = header.place_of_colours()
    return None if place is None else Colours(place, quality)


def _split(shape: Whole, options: Options, lossless: bool) -> tiling.Split:
    if isinstance(shape, Volume):
        return tiling.split_volume(shape, lossless)
    if isinstance(shape, Mesh):
        return tiling.split_mesh(shape, lossless)
    exact = [name for name in ("keep_order", "keep_invalid", "lossless") if getattr(options, name)]
    if not lossless and exact:
        names = " and ".join("--" + name.replace("_", "-") for name in exact)
        raise InputError(f"{names} cannot be had from a lossy codec; leave out one or the other")
    whole = shape if options.keep_invalid else invalid.left_out(shape)
    if not options.keep_order or len(whole) < len(shape):
        unordered = {name: value for name, value in shape.source.items() if name != "ordered"}
        whole = replace(whole, source=unordered)
    place = fit(
        invalid.stood_in(whole.points),
        step=options.step,
        bits=options.bits,
        lossless=options.lossless,
        scales=shape.source.get("scales"),
        offsets=shape.source.get("offsets"),
    )
    if not lossless and place.grid.kind == "step":  # zeros lose their sign
        place = place._replace(grid=replace(place.grid, residual=None), residual=None)
    patch = invalid.patch_of(whole.points, place) if lossless else None
    return tiling.split_points(whole, place, options.keep_order, patch, lossless)


def _notes(shape: Whole, header: Header, options: Options) -> list[str]:
    """What a user should know of the shape, beside the codecs."""
    notes = []
    if isinstance(shape, Mesh) and (options.step is not None or options.bits is not None):
        notes.append("the coordinates of a mesh are kept as they are: no step or bits were used")
    if isinstance(shape, Mesh) and not options.codec and len(shape.face_sizes) >= LIKENESS_FACES:
        notes.append("exact; --codec keyspheres --size 4k makes a likeness of a few kB")
    if isinstance(shape, Mesh) and not header.lossless:
        lost = [*shape.attributes, *shape.face_attributes]
        notes += [f"{', '.join(lost)} not kept: the codec makes new vertices"] if lost else []
    coloured, asked = header.place_of_colours() is not None, options.attribute_quality is not None
    if asked and not coloured:
        notes.append("no colours of points, of 8 or 16 bits: every attribute is kept exactly")
    if coloured and not asked and not header.lossless:
        notes.append("colours kept exactly: --attribute-quality 50 makes them far smaller")
    invalid_points = len(shape) - header.count
    if invalid_points:
        notes.append(
            f"{invalid_points:,} points that are not finite left out (--keep-invalid keeps them)"
        )
    elif any(column.role == "patch" for column in header.columns) and not options.keep_order:
        notes.append("points that are not finite come last")
    gone = set(shape.source.get("ordered", {})) - set(header.source.get("ordered", {}))
    if gone:
        notes.append(f"{' and '.join(sorted(gone))} not kept, for the order of points is not")
    return notes


def _sections(
    split: tiling.Split,
    contenders: list[Codec],
    colours: Colours | None,
    tally: Tally,
    progress: Progress,
    around: int,
) -> Iterator[Section]:
    """The sections of all tiles, each tile coded when the one before is written."""
    digest = Digest()
    tiles = split.header.tiles
    for number, piece in enumerate(split.pieces):
        progress(number / tiles, f"tile {number + 1} of {tiles}")
        within = partial(_within, progress, number, tiles)
        coded = tile.encode(number, piece, contenders, within, colours, around)
        restored = tiling.restore(split.header, coded.piece)
        digest.update(tiling.checked(coded.piece, restored))
        yield from tally.add(piece, coded)
    yield Section(DIGEST, WHOLE_FILE, digest.value())


def _lossless_within(shape: Whole, codec: Codec, options: Options) -> tuple[bytes, Report] | None:
    """The file without any loss, if it is no larger than what a lossy codec was asked for."""
    most = codec.most_bytes(shape) if isinstance(codec, Capped) else None
    if most is None or not options.fallback:
        return None
    stream = io.BytesIO()
    report = compress_to(stream, shape, replace(options, codec=FALLBACK, settings={}))
    if report.bytes_out > most:
        return None
    note = f"nothing is lost: {FALLBACK.partition('.')[0]} is as small as was asked"
    return stream.getvalue(), replace(report, notes=[*report.notes, note])


def _with_extras(
    shape: Whole, codec: Codec, options: Options, progress: Progress
) -> tuple[bytes, Report] | None:
    """The best file where those count that need extras, too; None where there are no such."""
    if not (options.allow_extras and isinstance(codec, Extended) and codec.rivals):
        return None

    def attempt(given: Mapping[str, Any]) -> tuple[bytes, Report]:
        stream = io.BytesIO()
        chosen = replace(options, settings=given, allow_extras=False)
        report = compress_to(stream, shape, chosen, progress)
        return stream.getvalue(), report

    return rivals.best(options.settings, codec.rivals, attempt)


def _needs(codec: Codec) -> str:
    """The extra without which a file of `codec` cannot be read; "" for none."""
    return codec.extra if isinstance(codec, Extended) else ""


def _around(shape: Whole, header: Header, extra: list[Section], codec: Codec) -> int:
    """Bytes of the file beside the streams of a codec that asks, at most."""
    if isinstance(shape, PointCloud) or not isinstance(codec, Sized):
        return 0
    digest = Section(DIGEST, WHOLE_FILE, Digest().value())
    sections = [*extra, *tile.empty(codec, shape), digest]
    return container.write(io.BytesIO(), header.to_json(), sections) + _SLACK


def _within(progress: Progress, number: int, tiles: int, done: float, label: str) -> None:
    """Progress of the whole, from that of a tile."""
    tile = f"tile {number + 1} of {tiles}, " if tiles > 1 else ""
    progress((number + done) / tiles, tile + label)


class _File(NamedTuple):
    """header; tiles, not yet decoded; digest of the whole shape; bytes of its source, packed.

    shared_bytes : of the streams that all tiles of a set share
    """

    header: Header
    tiles: list[tile.Stored]
    digest: bytes
    origin: bytes | None
    shared_bytes: int


def _open(data: bytes) -> _File:
    """The parts of a file; everything is checked that can be without decoding."""
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
    return _File(header, tiles, digest, source, sum(map(len, streams.values())))
