"""PCD, the point cloud file of PCL: a text header, then ascii, binary or binary_compressed points.

Fields named `_` are padding: their place is kept, not their bytes. Fields of several components
become one attribute each, `name_0`, `name_1` and so on. A packed `rgb` or `rgba` becomes `red`,
`green` and `blue`, and `alpha` where its fourth byte is not 0. Width and height of an organised
cloud are kept with the order of its points.
"""

from __future__ import annotations

import io
from typing import Any

import numpy as np

from pcc_cli.errors import InputError, OutputError
from pcc_cli.formats import lzf
from pcc_cli.formats.columns import native, same, words
from pcc_cli.formats.pcdheader import Field, Header, read_header
from pcc_cli.formats.talk import Note, listed, silent
from pcc_cli.geometry import Array, PointCloud

MESHES = False
_CHANNELS = ("blue", "green", "red", "alpha")  # from the lowest byte of a packed colour
_PACKED = ("rgb", "rgba")


def read(data: bytes, name: str, note: Note = silent) -> PointCloud:
    """The cloud in `data`, points in their own type; raises InputError when it is damaged."""
    try:
        header = read_header(data)
        columns = _BODIES[header.encoding](header, data[header.body :])
    except (ValueError, KeyError, IndexError, OverflowError) as error:
        raise InputError(f"{name}: damaged or unsupported PCD file: {error}") from None
    missing = [axis for axis in "xyz" if axis not in columns]
    if missing:
        raise InputError(f"{name}: the PCD file has no field '{missing[0]}'")
    points = np.stack([columns.pop(axis) for axis in "xyz"], axis=1)
    return PointCloud(points, _unpacked(columns), _source(header))


def _source(header: Header) -> dict[str, Any]:
    organised = header.height > 1 and header.width * header.height == header.points
    return {
        "format": "pcd",
        "encoding": header.encoding,
        "fields": [[field.name, field.kind, field.count] for field in header.fields],
        **({"viewpoint": header.viewpoint} if header.viewpoint else {}),
        **({"ordered": {"width": header.width, "height": header.height}} if organised else {}),
    }


def _unpacked(columns: dict[str, Array]) -> dict[str, Array]:
    """Packed colours as their bytes, unless the file uses those names itself."""
    unpacked: dict[str, Array] = {}
    for name, column in columns.items():
        if name not in _PACKED or column.dtype.itemsize != 4 or set(columns) & set(_CHANNELS):
            unpacked[name] = column
            continue
        low_first = column.astype(column.dtype.newbyteorder("<")).view(np.uint8).reshape(-1, 4)
        channels = dict(zip(_CHANNELS, low_first.T, strict=True))
        wanted = ("red", "green", "blue", *(["alpha"] if channels["alpha"].any() else []))
        unpacked |= {channel: np.ascontiguousarray(channels[channel]) for channel in wanted}
    return unpacked


def _read_ascii(header: Header, body: bytes) -> dict[str, Array]:
    numbers = [(title, f.type) for f in header.fields for title in f.titles or ["_"] * f.count]
    kinds = [(str(i), kind) for i, (_, kind) in enumerate(numbers)]
    rows = np.zeros(0, kinds)
    if header.points:
        text = io.StringIO(body.decode("ascii", "replace"))
        rows = np.atleast_1d(np.loadtxt(text, dtype=kinds, comments=None))
    if len(rows) != header.points:
        raise ValueError(f"it holds {len(rows)} points, not {header.points}")
    return {title: native(rows[str(i)]) for i, (title, _) in enumerate(numbers) if title != "_"}


def _read_binary(header: Header, body: bytes) -> dict[str, Array]:
    if len(body) < header.points * header.row.itemsize:
        there = len(body) // header.row.itemsize
        raise ValueError(f"it ends after {there} of {header.points} points")
    rows = np.frombuffer(body, dtype=header.row, count=header.points)
    return _columns(header, [rows[str(i)] for i in range(len(header.fields))])


def _read_compressed(header: Header, body: bytes) -> dict[str, Array]:
    """Field after field, each with all components of a point together, behind LZF."""
    if len(body) < 8:
        raise ValueError("it ends before the compressed points")
    packed, size = (int(length) for length in np.frombuffer(body, dtype="<u4", count=2))
    if size != header.points * header.row.itemsize or len(body) < 8 + packed:
        raise ValueError(f"{packed} compressed bytes for {size} are not as the header says")
    plain = lzf.decompress(body[8 : 8 + packed], size)
    blocks, at = [], 0
    for field in header.fields:
        numbers = header.points * field.count
        block = np.frombuffer(plain, dtype=field.type, count=numbers, offset=at)
        blocks.append(block.reshape(header.points, field.count))
        at += block.nbytes
    return _columns(header, blocks)


def _columns(header: Header, blocks: list[Array]) -> dict[str, Array]:
    """One column for each component; blocks : (points, count) for each field."""
    return {
        title: native(block[:, i])
        for field, block in zip(header.fields, blocks, strict=True)
        for i, title in enumerate(field.titles)
    }


_BODIES = {"ascii": _read_ascii, "binary": _read_binary, "binary_compressed": _read_compressed}


def write(shape: PointCloud, suffix: str = ".pcd", note: Note = silent) -> bytes:
    """The bytes of a PCD file: encoding, fields and layout as in its source, if that was one.

    A cloud from elsewhere becomes a binary file. OutputError when PCD cannot hold an attribute.
    """
    stored = shape.source if shape.source.get("format") == "pcd" else {}
    columns = {axis: shape.points[:, i] for i, axis in enumerate("xyz")} | shape.attributes
    columns = {"_".join(name.split()): column for name, column in columns.items()}
    fields = [Field(str(n), str(k), int(c)) for n, k, c in stored.get("fields", [])]
    fields, columns = _with_packed(fields, columns)
    fields = _fitted(fields, columns, note)
    layout = stored.get("ordered", {})
    size = (layout.get("width", 0), layout.get("height", 0))
    width, height = size if size[0] * size[1] == len(shape) > 0 else (len(shape), 1)
    encoding, viewpoint = stored.get("encoding", "binary"), stored.get("viewpoint")
    header = Header(tuple(fields), width, height, len(shape), encoding, viewpoint)
    return header.text().encode() + _WRITERS[encoding](header, _blocks(header, columns))


def _with_packed(
    fields: list[Field], columns: dict[str, Array]
) -> tuple[list[Field], dict[str, Array]]:
    """Colours of 8 bits as the one packed number that PCD programs know."""
    if any(name not in columns or columns[name].dtype != np.uint8 for name in _CHANNELS[:3]):
        return fields, columns
    packed = next((field for field in fields if field.name in _PACKED), None)
    if fields and (packed is None or packed.name in columns):
        return fields, columns
    packed = packed or (Field("rgba", "U4") if "alpha" in columns else Field("rgb", "F4"))
    none = np.zeros(len(columns["red"]), np.uint8)
    low_first = np.stack([columns.get(channel, none) for channel in _CHANNELS], axis=1)
    others = {name: column for name, column in columns.items() if name not in _CHANNELS}
    return fields, {**others, packed.name: low_first.view(packed.type).reshape(-1)}


def _fitted(fields: list[Field], columns: dict[str, Array], note: Note) -> list[Field]:
    """The fields whose columns are there, and new ones for columns that have none."""
    kept = [field for field in fields if all(title in columns for title in field.titles)]
    if len(kept) < len(fields):
        gone = [field.name for field in fields if field not in kept]
        note(f"fields that the .dcz file does not hold are left out: {listed(gone)}")
    known = {title for field in kept for title in field.titles}
    new = [Field(name, _kind(column)) for name, column in columns.items() if name not in known]
    return kept + new


def _kind(column: Array) -> str:
    """The type of a new field; PCD has no float16."""
    size = max(column.itemsize, 4) if column.dtype.kind == "f" else column.itemsize
    return f"{column.dtype.kind.upper()}{size}"


def _blocks(header: Header, columns: dict[str, Array]) -> list[Array]:
    """(points, count) for each field, padding as zeros."""
    blocks = []
    for field in header.fields:
        block = np.zeros((header.points, field.count), field.type)
        for i, title in enumerate(field.titles):
            values = same(columns[title], field.type)
            if values is None:
                raise OutputError(f"cannot write this as PCD: '{title}' does not fit {field.kind}")
            block[:, i] = values
        blocks.append(block)
    return blocks


def _write_ascii(header: Header, blocks: list[Array]) -> bytes:
    lines = zip(*(words(column) for block in blocks for column in block.T), strict=True)
    return "".join(" ".join(line) + "\n" for line in lines).encode("ascii")


def _write_binary(header: Header, blocks: list[Array]) -> bytes:
    rows = np.empty(header.points, header.row)
    for i, block in enumerate(blocks):
        rows[str(i)] = block
    return rows.tobytes()


def _write_compressed(header: Header, blocks: list[Array]) -> bytes:
    plain = b"".join(block.tobytes() for block in blocks)
    packed = lzf.compress(plain)
    if max(len(packed), len(plain)) >= 1 << 32:
        raise OutputError("too many points for a compressed PCD file, which ends at 4 GiB")
    return np.array([len(packed), len(plain)], "<u4").tobytes() + packed


_WRITERS = {"ascii": _write_ascii, "binary": _write_binary, "binary_compressed": _write_compressed}
