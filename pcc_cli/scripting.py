"""What scripts use, as `pcc_cli.read` and so on: files and numpy arrays in, files and arrays out.

Where a file is wanted, a path, a URL (with the extra `remote`), a binary stream or bytes will do.
All that goes wrong is a `pcc_cli.PccError`. docs/api.md shows each function at work.
"""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO, TypeAlias

import numpy as np

from pcc_cli import api, container, formats, locations
from pcc_cli.dczfile import DczFile
from pcc_cli.errors import InputError
from pcc_cli.geometry import Array, Content, Mesh, MeshSet, PointCloud, Volume
from pcc_cli.spine.report import Report

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Name: TypeAlias = "str | os.PathLike[str]"
Source: TypeAlias = "Name | bytes | BinaryIO"
Target: TypeAlias = "Name | BinaryIO"
Shape: TypeAlias = "Content | Array | Sequence[Mesh] | Mapping[str, Mesh]"


def read(
    source: Source, *, format: str | None = None, fields: Sequence[str] | None = None
) -> Content:
    """The shape in a 3D file of any format that pcc reads, .dcz among them.

    format : such as "ply" or "xyz", where neither the content nor a name says it
    fields : names of the columns, for formats that do not store them

    What was guessed or left out is a UserWarning.

    >>> cloud = pcc_cli.read("scan.ply")
    >>> cloud.points.shape, cloud.points.dtype, sorted(cloud.attributes)
    ((57518, 3), dtype('float32'), ['blue', 'green', 'red'])
    """
    data = _bytes(source)
    if data.startswith(container.MAGIC):
        return api.decompress(data)
    return formats.read(data, _name(source), _warn, fields, _suffix(format))


def write(target: Target, shape: Shape, *, format: str | None = None) -> None:
    """Writes a 3D file, of the format that the suffix of its name or `format` says.

    An existing file is replaced, in one step when the new one is complete. An array (n, 3) stands
    for a cloud without attributes. `compress_to` writes .dcz files, and so does this by default.
    What the format cannot hold is a UserWarning.

    >>> pcc_cli.write("copy.ply", pcc_cli.PointCloud(np.eye(3), {"ring": np.arange(3)}))
    """
    suffix = _suffix(format) or formats.suffix_of(_name(target))
    if suffix == container.SUFFIX:
        compress_to(target, shape)
        return
    whole = _shape(shape)
    if isinstance(whole, MeshSet):
        raise InputError("several meshes are written one by one, or into a .dcz file")
    data = formats.write(suffix, whole, _warn)
    with _writing(target) as stream:
        stream.write(data)


def compress(shape: Shape, *, precision: float | None = None, **options: Any) -> bytes:
    """The bytes of a .dcz file that holds `shape`; an array (n, 3) is a cloud.

    precision : grid of floats that have none, in units of the shape
    options : the other fields of `pcc_cli.Options`, named as on the command line: bits, lossless,
              drop, only, keep_order, codec, device; all others are settings of the codec

    >>> data = pcc_cli.compress(np.arange(3000).reshape(1000, 3))
    >>> pcc_cli.decompress(data).points[0]
    array([0, 1, 2])
    """
    return api.compress(_shape(shape), _options(precision, options))


def compress_to(
    target: Target, shape: Shape, *, precision: float | None = None, **options: Any
) -> Report:
    """Writes a .dcz file, and says what came of it: sizes, largest error, codecs, notes.

    Options are those of `compress`. An existing file is replaced when the new one is complete; a
    stream is written front to back, never seeked.

    >>> report = pcc_cli.compress_to("scan.dcz", pcc_cli.read("scan.ply"), only=["red"])
    >>> report.points, report.max_error
    (57518, 0.0)
    """
    with _writing(target) as stream:
        return api.compress_to(stream, _shape(shape), _options(precision, options))


def decompress(
    source: Source,
    *,
    device: str = "auto",
    level: int | None = None,
    resolution: int | None = None,
) -> Content:
    """The shape in a .dcz file, every digest checked.

    device : "auto", "cpu" or "cuda"
    level : for a coarse look at a cloud, in 2**level cells along an axis, without attributes
    resolution : of a mesh by keyspheres, other cells along an axis than the file says

    >>> len(pcc_cli.decompress("scan.dcz"))
    57518
    """
    return api.decompress(_bytes(source), device, level=level, resolution=resolution)


def open(source: Source, *, device: str = "auto") -> DczFile:
    """A .dcz file of which only header and index are read now; tiles are decoded when asked for.

    A stream has to be seekable, or is read as a whole.

    >>> with pcc_cli.open("scan.dcz") as file:
    ...     part = file.crop([-1, -1, -1], [1, 1, 1])
    >>> len(part)
    57518
    """
    stream = _stream(source)
    try:
        return DczFile(stream, device)
    except BaseException:
        if stream is not source:
            stream.close()
        raise


def _suffix(format: str | None) -> str | None:
    return f".{format.lower().lstrip('.')}" if format else None


def _warn(note: str) -> None:
    warnings.warn(note, stacklevel=4)


def _bytes(source: Source) -> bytes:
    if isinstance(source, bytes):
        return source
    if isinstance(source, (str, os.PathLike)):
        return locations.read(os.fspath(source))
    return source.read()


def _stream(source: Source) -> BinaryIO:
    if isinstance(source, bytes):
        return io.BytesIO(source)
    if isinstance(source, (str, os.PathLike)):
        return locations.open_file(os.fspath(source))
    return source if source.seekable() else io.BytesIO(source.read())


def _name(place: Source | Target) -> str:
    """What messages call it; its suffix may tell the format."""
    if isinstance(place, (str, os.PathLike)):
        return locations.shown(os.fspath(place))
    name = getattr(place, "name", None)  # an open file has one, or a number
    return name if isinstance(name, str) else "the data"


@contextmanager
def _writing(target: Target) -> Iterator[BinaryIO]:
    if isinstance(target, (str, os.PathLike)):
        with locations.writing(os.fspath(target)) as stream:
            yield stream
    else:
        yield target


def _shape(shape: Shape) -> Content:
    """An array of three axes is a volume, its last axis x; (n, 3) are points.

    Several meshes are a set, numbered from 1 on if they have no names.
    """
    if isinstance(shape, Content):
        return shape
    if isinstance(shape, Mapping):
        return MeshSet(shape)
    if isinstance(shape, (list, tuple)) and any(isinstance(part, Mesh) for part in shape):
        digits = len(str(len(shape)))
        return MeshSet({f"{n:0{digits}}.ply": mesh for n, mesh in enumerate(shape, 1)})
    values = np.asarray(shape)
    return Volume(values) if values.ndim == 3 else PointCloud(values)


def _options(precision: float | None, options: dict[str, Any]) -> api.Options:
    """InputError for what cannot be meant."""
    for name in {"drop", "only"} & set(options):
        names = options[name]
        if names is not None:
            options[name] = tuple(names.split(",") if isinstance(names, str) else names)
    known = set(api.Options.__dataclass_fields__) - {"step"}
    settings = {name: value for name, value in options.items() if name not in known}
    settings |= options.get("settings", {})
    named = {name: value for name, value in options.items() if name in known}
    chosen = api.Options(step=precision, **{**named, "settings": settings})
    if (precision is not None) + (chosen.bits is not None) + chosen.lossless > 1:
        raise InputError("choose one of precision, bits and lossless")
    return chosen
