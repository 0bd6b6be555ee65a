"""PLY files: text and both binary encodings, any scalar properties, faces with one vertex list.

What makes a PLY a mesh is a face; without faces it is a point cloud. `source` keeps the header
word for word, so that reading and writing gives the same header and the same values back.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from pcc_cli.errors import InputError, OutputError
from pcc_cli.formats.plybody import Table, check_list, read_table, write_table
from pcc_cli.formats.plyheader import (
    LIST_NAMES,
    Element,
    Header,
    default_lines,
    fitted_lines,
    has_type,
    parse_lines,
    ply_name,
    split_header,
)
from pcc_cli.formats.plytext import tokens, write_text
from pcc_cli.formats.talk import Note, listed, silent
from pcc_cli.geometry import Array, Mesh, PointCloud

MESHES = True
AXES = ("x", "y", "z")


def read(data: bytes, name: str, note: Note = silent) -> PointCloud | Mesh:
    """The shape in the bytes of a PLY file.

    name : of the file, for messages

    InputError when the file is damaged or truncated, has no x, y and z, or holds what would be
    lost: lists other than the vertices of a face, rows of other elements, bytes at the end.
    """
    try:
        header = split_header(data)
        _check_elements(header.elements)
        return _shape(header, _read_tables(data, header))
    except InputError as error:
        raise InputError(f"{name}: {error}") from None


def write(shape: PointCloud | Mesh, suffix: str = ".ply", note: Note = silent) -> bytes:
    """The bytes of a PLY file: encoding, order and types as in its source, if that was one.

    A shape from elsewhere becomes a binary little-endian file. Attributes that PLY has no type for
    are left out, and `note` is told. OutputError when two attributes get the same name.
    """
    gone = [name for name, column in shape.attributes.items() if not has_type(column)]
    if gone:
        note(f"PLY has no type for the values of {listed(gone)}")
        kept = {name: shape.attributes[name] for name in shape.attributes if name not in gone}
        shape = replace(shape, attributes=kept)
    try:
        tables = _tables(shape)
        lines, charset = _source_lines(shape)
        for name, table in tables.items():
            lines = fitted_lines(lines, name, table.columns, _rows(table))
        order, elements = parse_lines(lines)
        bodies = [
            _body(element, order, tables[element.name])
            for element in elements
            if element.name in tables
        ]
        text = "\n".join(["ply", *lines, "end_header", ""]).encode(charset)
    except (InputError, UnicodeEncodeError) as error:
        raise OutputError(f"cannot write this as PLY: {error}") from None
    return b"".join([text, *bodies])


def _body(element: Element, order: str, table: Table) -> bytes | memoryview:
    check_list(element, table)
    return write_table(element, order, table) if order else write_text(element, table)


def _check_elements(elements: tuple[Element, ...]) -> None:
    """Refuse what a PointCloud or a Mesh cannot hold."""
    vertex = next((element for element in elements if element.name == "vertex"), None)
    scalars = () if vertex is None else [p.name for p in vertex.properties if not p.count_type]
    if not set(AXES) <= set(scalars):
        raise InputError("the PLY file has no element 'vertex' with properties x, y and z")
    for element in elements:
        lists = [item for item in element.properties if item.count_type]
        if element.name not in ("vertex", "face"):
            if element.count:
                raise InputError(f"PLY elements '{element.name}' are not supported")
        elif element.name == "vertex" and lists:
            raise InputError(f"the PLY list property '{lists[0].name}' is not supported")
        elif element.name == "face" and element.count:
            _check_face(lists)


def _check_face(lists: list[Any]) -> None:
    other = [item.name for item in lists if item.name not in LIST_NAMES]
    if other:
        raise InputError(f"the PLY list property '{other[0]}' of faces is not supported")
    if len(lists) != 1:
        raise InputError("PLY faces need one list of vertices, 'vertex_indices'")
    if "f" in lists[0].type + lists[0].count_type:
        raise InputError("the vertex list of the PLY faces is not made of integers")


def _read_tables(data: bytes, header: Header) -> dict[str, Table]:
    """The rows of the elements that have any, and of the vertices."""
    body, at = (data, header.body) if header.order else (tokens(data[header.body :]), 0)
    tables = {}
    for element in header.elements:
        if element.count or element.name == "vertex":
            tables[element.name], at = read_table(body, at, element, header.order)
    rest = body[at:]
    if rest and not (header.order and rest.isspace()):
        size = f"{len(rest)} bytes" if header.order else f"{len(rest) // 8} numbers"
        raise InputError(f"{size} follow the last element of the PLY file")
    return tables


def _shape(header: Header, tables: dict[str, Table]) -> PointCloud | Mesh:
    columns = tables["vertex"].columns
    points = np.stack([columns.pop(axis) for axis in AXES], axis=1)
    source: dict[str, Any] = {"format": "ply", "header": list(header.lines)}
    if header.charset != "utf-8":
        source["charset"] = header.charset
    if "face" not in tables:
        return PointCloud(points, columns, source)
    faces = tables["face"]
    sizes, indices = faces.sizes.astype(np.int32), faces.items.astype(np.int64)
    return Mesh(points, sizes, indices, columns, faces.columns, source)


def _source_lines(shape: PointCloud | Mesh) -> tuple[tuple[str, ...], str]:
    """The header that the shape came with, if it fits it, else a new one; and its encoding."""
    lines, charset = shape.source.get("header"), shape.source.get("charset", "utf-8")
    if shape.source.get("format") != "ply" or charset not in ("utf-8", "latin-1"):
        return default_lines(shape), "utf-8"
    if not isinstance(lines, list) or not all(_is_line(line) for line in lines):
        raise InputError("its PLY header is damaged")
    _, elements = parse_lines(tuple(lines))
    _check_elements(elements)
    meshed = any(element.name == "face" and element.count for element in elements)
    fits = meshed == isinstance(shape, Mesh)
    return (tuple(lines), charset) if fits else (default_lines(shape), "utf-8")


def _is_line(line: Any) -> bool:
    return isinstance(line, str) and "\n" not in line


def _tables(shape: PointCloud | Mesh) -> dict[str, Table]:
    """The rows of each element; InputError when two columns get the same PLY name."""
    axes: dict[str, Array] = {axis: shape.points[:, i] for i, axis in enumerate(AXES)}
    none = np.zeros(0, dtype=np.int64)
    tables = {"vertex": Table(_named(axes, shape.attributes), none, none)}
    if isinstance(shape, Mesh):
        columns = _named({}, shape.face_attributes)
        tables["face"] = Table(columns, shape.face_sizes.astype(np.int64), shape.face_indices)
    return tables


def _named(columns: dict[str, Array], attributes: dict[str, Array]) -> dict[str, Array]:
    for name, column in attributes.items():
        if ply_name(name) in columns:
            raise InputError(f"two properties would be called '{ply_name(name)}'")
        columns[ply_name(name)] = column
    return columns


def _rows(table: Table) -> int:
    return len(next(iter(table.columns.values()), table.sizes))
