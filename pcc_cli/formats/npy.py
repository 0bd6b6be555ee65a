"""NumPy files: .npy with one array, .npz with several; three axes or more are a volume.

A .npy holds a structured array with fields x, y and z, or an (n, 3 or more) array whose first
three columns are the coordinates. A .npz holds such an array under a usual name, or x, y and z,
and further arrays with a row for each point; arrays of other lengths travel as they are. Fields and
arrays of several components become one attribute each. Nothing is unpickled.
"""

from __future__ import annotations

import io
import math
import tokenize
import warnings
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pcc_cli.errors import InputError, OutputError
from pcc_cli.formats import npyvolume
from pcc_cli.formats.columns import names_of, native, same
from pcc_cli.formats.talk import Note, listed, silent
from pcc_cli.geometry import Array, PointCloud, Volume

MESHES = False
_POINTS = ("points", "xyz", "pos", "positions", "coords", "coordinates", "vertices", "pts", "arr_0")
_TRIPLES = {
    "colors": ["red", "green", "blue"],
    "colours": ["red", "green", "blue"],
    "rgb": ["red", "green", "blue"],
    "normals": ["nx", "ny", "nz"],
}
_DAMAGE = (ValueError, TypeError, KeyError, OSError, EOFError, SyntaxError, RuntimeError,
           NotImplementedError, zipfile.BadZipFile, zlib.error, tokenize.TokenError)  # fmt: skip
_COMPONENTS_LIMIT = 1 << 14
_INFLATION = 1100  # deflate makes 1032 bytes of one at most


@dataclass(frozen=True)
class _Part:
    """One field of a structured array, or a whole plain array; as JSON in `source`.

    field : "" of a plain array
    shape : of one row, [] for a number
    columns : one for each component; none of padding between fields
    """

    field: str
    type: str
    shape: list[int]
    columns: list[str]


def read(
    data: bytes, name: str, note: Note = silent, fields: Sequence[str] | None = None
) -> PointCloud | Volume:
    """The cloud or volume in `data`; InputError when it is damaged or holds neither.

    fields : names of the columns of a plain array; without them x, y, z, column_4 ...
    """
    try:
        packed = data.startswith(b"PK")
        raw = _members(data) if packed else {"": data}
        parts = {title: _array(member) for title, member in raw.items()}
        title = npyvolume.find(parts)
        if title is not None and not _holds_points(parts):
            rest = {other: member for other, member in raw.items() if other != title}
            about = {"name": title, **({"others": rest} if rest else {})} if packed else {}
            return npyvolume.volume_of(parts[title], about, parts)
        arrays, others = _columns(parts, raw) if packed else (parts, {})
        columns: dict[str, Array] = {}
        layout = [_taken(title, array, columns, fields) for title, array in arrays.items()]
        axes = [columns.pop(axis) for axis in "xyz"]
        points = np.stack(axes, axis=1)
        if any(same(axis, points.dtype) is None for axis in axes):
            raise ValueError("x, y and z are of types that no one type holds")
    except KeyError as error:
        raise InputError(f"{name}: no column {error} in the NumPy file") from None
    except _DAMAGE as error:
        raise InputError(f"{name}: damaged or unsupported NumPy file: {str(error)[:120]}") from None
    source = {"format": "npy", "arrays": layout, **({"others": others} if others else {})}
    return PointCloud(points, columns, source)


def _members(data: bytes) -> dict[str, bytes]:
    """The members of a .npz, each the bytes of a .npy."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        entries = archive.infolist()
        if sum(entry.file_size for entry in entries) > _INFLATION * len(data):
            raise ValueError("its members claim more than they can hold")
        return {entry.filename.removesuffix(".npy"): archive.read(entry) for entry in entries}


def _holds_points(arrays: dict[str, Array]) -> bool:
    """Whether one of several arrays is called as points are, and is a table."""
    return any(title in arrays and arrays[title].ndim < 3 for title in (*_POINTS, "x"))


def _columns(
    arrays: dict[str, Array], raw: dict[str, bytes]
) -> tuple[dict[str, Array], dict[str, bytes]]:
    """The arrays with a row for each point, and the others as the bytes of .npy files."""
    main = next((t for t in (*_POINTS, "x") if t in arrays), None)
    main = main or next((t for t, array in arrays.items() if array.dtype.names), None)
    if main is None or not arrays[main].ndim:
        raise ValueError(f"none of its arrays ({listed(list(arrays))}) is called points or x")
    rows = len(arrays[main])
    fitting = {t: array for t, array in arrays.items() if array.shape[:1] == (rows,)}
    first = {main: fitting[main], **fitting}
    return first, {t: member for t, member in raw.items() if t not in fitting}


def _array(data: bytes) -> Array:
    """The array of a .npy file, whose size is compared before memory is taken."""
    stream = io.BytesIO(data)
    version = np.lib.format.read_magic(stream)
    readers = {1: np.lib.format.read_array_header_1_0, 2: np.lib.format.read_array_header_2_0}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SyntaxWarning)  # a header is a Python literal
        shape, _, kind = readers[min(version[0], 2)](stream)
    if kind.hasobject or math.prod(shape) * kind.itemsize > len(data):
        raise ValueError(f"no {shape} array of {kind} in {len(data)} bytes")
    stream.seek(0)
    array: Array = np.lib.format.read_array(stream, allow_pickle=False)
    return array


def _taken(
    title: str, array: Array, columns: dict[str, Array], fields: Sequence[str] | None
) -> dict[str, Any]:
    """Adds the columns of one array; how to put it together again, as JSON."""
    if not array.ndim:
        raise ValueError("it holds a single number")
    parts = []
    for part, values in _parts(title, array, fields):
        flat = values.reshape(len(array), len(part.columns)) if part.columns else values
        for i, column in enumerate(part.columns):
            if column in columns:
                raise ValueError(f"two columns are called '{column}'")
            kind = np.uint8 if flat.dtype == bool else flat.dtype
            columns[column] = native(flat[:, i].astype(kind, copy=False))
        parts.append(vars(part))
    return {"name": title, "structured": array.dtype.names is not None, "parts": parts}


def _parts(title: str, array: Array, fields: Sequence[str] | None) -> Iterator[tuple[_Part, Array]]:
    """Each field with its values, or the whole of a plain array."""
    if array.dtype.names is None:
        yield _part("", title, array, fields), array
        return
    for field, kind, *_ in np.lib.format.dtype_to_descr(array.dtype):
        if field:
            name = field if isinstance(field, str) else field[1]
            yield _part(name, name, array[name], None), array[name]
        else:
            yield _Part("", str(kind), [], []), array[:0]


def _part(field: str, name: str, values: Array, fields: Sequence[str] | None) -> _Part:
    kind, shape = values.dtype, values.shape[1:]
    width = math.prod(shape)
    if kind.kind not in "iufb" or kind.itemsize > 8:
        raise ValueError(f"'{name}' is of type {kind}, which pcc does not keep")
    if not width or width > _COMPONENTS_LIMIT:
        raise ValueError(f"{width:,} numbers in a row of '{name}'")
    if not field and name in ("", *_POINTS) and shape:
        titles = list(fields or ["x", "y", "z", *(f"column_{i}" for i in range(4, width + 1))])
    else:
        titles = names_of(name, width if shape else None)
        titles = _TRIPLES.get(name, titles) if width == 3 else titles
    if len(titles) != width:
        raise ValueError(f"{width} columns, but {len(titles)} names: {','.join(titles)}")
    return _Part(field, kind.str, list(shape), titles)


def write(shape: PointCloud | Volume, suffix: str = ".npy", note: Note = silent) -> bytes:
    """The bytes of a .npy or .npz file, arrays as in the source, if that was such a file.

    A cloud from elsewhere becomes a structured array, or in a .npz `points` and an array for each
    attribute. OutputError for a damaged description.
    """
    if isinstance(shape, Volume):
        return npyvolume.write(shape, suffix, note)
    columns = {axis: shape.points[:, i] for i, axis in enumerate("xyz")} | shape.attributes
    own = shape.source.get("format") == "npy" and shape.source.get("suffix", suffix) == suffix
    layout = shape.source["arrays"] if own else _new_layout(shape, suffix)
    others = shape.source.get("others", {}) if own else {}
    if shape.source.get("others") and not others:
        note(f"a .npy file has no place for {listed(list(shape.source['others']))}")
    arrays = {about["name"]: _assembled(about, columns, len(shape), note) for about in layout}
    members = {title: _bytes(array) for title, array in arrays.items() if array is not None}
    if suffix == ".npy":
        return members.get("", b"")
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for title, member in {**members, **others}.items():
            archive.writestr(zipfile.ZipInfo(f"{title}.npy"), member, zipfile.ZIP_DEFLATED)
    return stream.getvalue()


def _new_layout(shape: PointCloud, suffix: str) -> list[dict[str, Any]]:
    kind = shape.points.dtype.str
    fields = {name: column.dtype.str for name, column in shape.attributes.items()}
    if suffix == ".npy":
        named = {**dict.fromkeys("xyz", kind), **fields}
        parts = [vars(_Part(name, kind, [], [name])) for name, kind in named.items()]
        return [{"name": "", "structured": True, "parts": parts}]
    groups = {"points": _Part("", kind, [3], [*"xyz"])}
    groups |= {name: _Part("", kind, [], [name]) for name, kind in fields.items()}
    return [{"name": n, "structured": False, "parts": [vars(p)]} for n, p in groups.items()]


def _assembled(
    about: dict[str, Any], columns: dict[str, Array], rows: int, note: Note
) -> Array | None:
    """The array that `about` describes; without the fields or columns that are not there."""
    parts = [_Part(**part) for part in about["parts"]]
    gone = [c for part in parts for c in part.columns if c not in columns]
    if gone:
        note(f"columns that the .dcz file does not hold are left out: {listed(gone)}")
        parts = [part for part in (_without(p, gone) for p in parts) if part]
    if not about["structured"]:
        return _values(parts[0], columns, rows) if parts else None
    kinds: Any = [(p.field, p.type, tuple(p.shape)) if p.field else ("", p.type) for p in parts]
    array: Array = np.zeros(rows, np.lib.format.descr_to_dtype(kinds))
    for part in parts:
        if part.field:
            array[part.field] = _values(part, columns, rows)
    return array


def _without(part: _Part, gone: list[str]) -> _Part | None:
    """The part without some of its columns, None if nothing is left."""
    kept = [column for column in part.columns if column not in gone]
    if len(kept) == len(part.columns):
        return part
    return replace(part, shape=[len(kept)], columns=kept) if kept else None


def _values(part: _Part, columns: dict[str, Array], rows: int) -> Array:
    array = np.empty((rows, len(part.columns)), part.type)
    for i, name in enumerate(part.columns):
        column = columns[name]
        values = same(column, np.uint8 if array.dtype == bool else array.dtype)
        if values is None:
            raise OutputError(f"cannot write this as NumPy: '{name}' does not fit {part.type}")
        array[:, i] = values
    return array.reshape(rows, *part.shape)


def _bytes(array: Array) -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array(stream, array, allow_pickle=False)
    return stream.getvalue()
