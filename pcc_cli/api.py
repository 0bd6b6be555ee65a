"""The spine: a shape to the bytes of a .dcz file, and back. No paths, no printing.

    shape --split--> header, pieces --codec, columns--> sections --container--> bytes

Points are written tile by tile as they are coded, and a tile that `plain` makes smaller than the
chosen codec is stored with `plain`. Decoding checks the digest of every tile and of the whole.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain
from typing import Any, BinaryIO, cast

from pcc_cli import codecs, container
from pcc_cli.attributes.coder import Colours
from pcc_cli.attributes.colour import CHANNELS
from pcc_cli.codecs import settings
from pcc_cli.codecs.base import Capped, Codec, Extended, Progress, SetCodec, Sized, silent
from pcc_cli.container import WHOLE_FILE, Section
from pcc_cli.errors import FormatError, InputError
from pcc_cli.geometry import Content, MeshSet, PointCloud, Volume, Whole
from pcc_cli.spine import aim, origin, preview, rivals, sets, tile, tiling
from pcc_cli.spine.digest import DIGEST, Digest
from pcc_cli.spine.header import Header
from pcc_cli.spine.opened import File, open_data
from pcc_cli.spine.options import FALLBACK, contenders_for, lossy_colours, notes_on, split_for
from pcc_cli.spine.options import Options as Options
from pcc_cli.spine.report import Report, Tally, grid_text

_SLACK = 24  # bytes by which an index grows with a stream, and a digest may deflate worse


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
    contenders = contenders_for(shape, options)
    whole = _lossless_within(shape, contenders[0], options)
    whole = whole or _with_extras(shape, contenders[0], options, progress)
    if whole is not None:
        data, report = whole
        stream.write(data)
        return report
    lossless = contenders[0].lossless
    progress(0.0, "grid")
    split = split_for(tiling.without(shape, options.drop, options.only), options, lossless)
    colours = lossy_colours(split.header, options)
    tally = Tally(split.header, slice(colours.place, colours.place + CHANNELS) if colours else None)
    source, extra = origin.split(split.header.source)
    header = replace(split.header, source=source, needs=_needs(contenders[0]))
    around = _around(shape, header, extra, contenders[0])
    sections = chain(extra, _sections(split, contenders, colours, tally, progress, around))
    bytes_out = container.write(stream, header.to_json(), sections)
    progress(1.0, "done")
    device = codecs.device_of(contenders[0])
    notes = notes_on(shape, split.header, options)
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
    file = open_data(data)
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


def _look(file: File, level: int, device: str, progress: Progress) -> Whole:
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
    file = open_data(data)
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
    header, tiles, digest, source, shared = open_data(data)
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
    codecs.check_takes(chosen, sets.KIND, given)
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


def _sections(
    split: tiling.Split,
    contenders: list[Codec],
    colours: Colours | None,
    tally: Tally,
    progress: Progress,
    around: int,
) -> Iterator[Section]:
    """The sections of all tiles, each tile coded when the one before is written."""
    whole = Digest()
    tiles = split.header.tiles
    for number, piece in enumerate(split.pieces):
        progress(number / tiles, f"tile {number + 1} of {tiles}")
        within = partial(_within, progress, number, tiles)
        coded = tile.encode(number, piece, contenders, within, colours, around)
        restored = tiling.restore(split.header, coded.piece)
        whole.update(tiling.checked(coded.piece, restored))
        yield from tally.add(piece, coded)
    yield Section(DIGEST, WHOLE_FILE, whole.value())


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
