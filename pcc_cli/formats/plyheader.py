"""The header of a PLY file: kept word for word, understood through plyfile.

A header is a list of text lines. They travel in `source`, so that a file comes back with its
comments, its own names of types and its order of properties.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

import numpy as np
from plyfile import (
    PlyData,
    PlyListProperty,
    PlyParseError,
)

from pcc_cli.errors import InputError
from pcc_cli.geometry import Array, Mesh, PointCloud

LENGTH_LIMIT = 1 << 20
TYPE_NAMES = {
    **{"i1": "char", "u1": "uchar", "i2": "short", "u2": "ushort"},
    **{"i4": "int", "u4": "uint", "f4": "float", "f8": "double"},
}
LIST_NAMES = ("vertex_indices", "vertex_index")


@dataclass(frozen=True)
class Property:
    """One property: `type` and `count_type` as numpy spells them, such as "f4"."""

    name: str
    type: str
    count_type: str | None = None  # of lists only


@dataclass(frozen=True)
class Element:
    """One element: its rows follow the header."""

    name: str
    count: int
    properties: tuple[Property, ...]

    @property
    def list_property(self) -> Property | None:
        """Its only list, if it has one."""
        return next((item for item in self.properties if item.count_type), None)


@dataclass(frozen=True)
class Header:
    """The lines between "ply" and "end_header", and what they say.

    charset : encoding of the lines, "utf-8" or "latin-1"
    order : "<", ">" or, for text, ""
    body : offset of the first byte behind the header
    """

    lines: tuple[str, ...]
    charset: str
    order: str
    elements: tuple[Element, ...]
    body: int


def split_header(data: bytes) -> Header:
    """The header of a PLY file; InputError when there is none or plyfile does not accept it."""
    newline = next((mark for mark in (b"\r\n", b"\n", b"\r") if data[3:].startswith(mark)), None)
    if not data.startswith(b"ply") or newline is None:
        raise InputError("not a PLY file: it does not start with the line 'ply'")
    end_line = newline + b"end_header" + newline
    end = data.find(end_line, 0, LENGTH_LIMIT)
    if end < 0:
        raise InputError("the PLY header has no line 'end_header' in its first MiB")
    text, charset = _decoded(data[3 + len(newline) : max(end, 3 + len(newline))])
    lines = tuple(text.split(newline.decode())) if text else ()
    order, elements = parse_lines(lines)
    return Header(lines, charset, order, elements, end + len(end_line))


def _decoded(text: bytes) -> tuple[str, str]:
    """The text and its encoding: comments that are not UTF-8 are mostly Latin-1."""
    try:
        return text.decode("utf-8"), "utf-8"
    except UnicodeDecodeError:
        return text.decode("latin-1"), "latin-1"


def parse_lines(lines: tuple[str, ...]) -> tuple[str, tuple[Element, ...]]:
    """The byte order and the elements that header lines declare; InputError if they are wrong."""
    counts: list[int] = []
    syntax = ["ply"]
    for line in lines:
        words = line.split()
        if words[:1] == ["element"] and len(words) == 3 and words[2].isdecimal():
            counts.append(int(words[2]))
            syntax.append(f"element {words[1]} 0")  # plyfile would read the rows
        elif words[:1] not in (["comment"], ["obj_info"]):
            syntax.append(" ".join(words))
    text = "\n".join([*syntax, "end_header\n"])
    try:
        parsed = PlyData.read(io.BytesIO(text.encode("ascii")))
    except (PlyParseError, ValueError) as error:
        raise InputError(f"the PLY header is not valid: {error}") from None
    if len(counts) != len(parsed.elements):
        raise InputError("the PLY header is not valid: an element without a count")
    elements = tuple(
        Element(element.name, count, tuple(_property(item) for item in element.properties))
        for element, count in zip(parsed.elements, counts, strict=True)
    )
    return "" if parsed.text else str(parsed.byte_order), elements


def _property(item: Any) -> Property:
    if isinstance(item, PlyListProperty):
        return Property(item.name, item.val_dtype, item.len_dtype)
    return Property(item.name, item.val_dtype)


def default_lines(shape: PointCloud | Mesh) -> tuple[str, ...]:
    """The header of a shape that does not come from a PLY file, scalar properties left out."""
    lines = ("format binary_little_endian 1.0", "element vertex 0")
    if isinstance(shape, PointCloud):
        return lines
    count = "uchar" if shape.face_sizes.max(initial=0) < 256 else "uint"
    index = "int" if len(shape) < 1 << 31 else "uint"
    return (*lines, "element face 0", f"property list {count} {index} vertex_indices")


def ply_name(name: str) -> str:
    """`name` as a PLY property may be called: ASCII without blanks."""
    return "_".join(name.split()).encode("ascii", "replace").decode()


def fitted_lines(
    lines: tuple[str, ...], element: str, columns: dict[str, Array], count: int
) -> tuple[str, ...]:
    """`lines` with one element made to declare exactly `columns` and `count`.

    A property whose type holds the values stays as it is; others lose their line, gain one
    behind the last property of the element, or change their type.
    """
    fitted: list[str] = []
    missing = dict(columns)
    inside, last = False, 0
    for line in lines:
        words = line.split()
        if words[:1] == ["element"]:
            inside = words[1] == element
            line = f"element {element} {count}" if inside else line
        elif inside and words[:1] == ["property"] and words[1] != "list":
            if words[2] not in missing:
                continue
            line = _fitted_line(line, missing.pop(words[2]))
        fitted.append(line)
        if inside and words and words[0] in ("element", "property"):
            last = len(fitted)
    fitted[last:last] = [_property_line(name, column) for name, column in missing.items()]
    return tuple(fitted)


def _fitted_line(line: str, column: Array) -> str:
    """The property line, with another type only if its own cannot hold the column."""
    _, (element,) = parse_lines(("format ascii 1.0", "element any 0", line))
    declared = element.properties[0]
    return line if _holds(declared.type, column) else _property_line(declared.name, column)


def _holds(kind: str, column: Array) -> bool:
    """Whether the column survives the way through the type `kind`, bit for bit."""
    if column.dtype == kind:
        return True
    with np.errstate(over="ignore", invalid="ignore"):
        back = column.astype(kind).astype(column.dtype)
    return bool(back.tobytes() == column.tobytes())


def has_type(column: Array) -> bool:
    """Whether PLY has a type for the values of a column; it lacks integers of 64 bits."""
    kinds = (f"{column.dtype.kind}{column.dtype.itemsize}", "i4", "u4", "f4", "f8")
    return any(kind in TYPE_NAMES and _holds(kind, column) for kind in kinds)


def _property_line(name: str, column: Array) -> str:
    """A property line for a column of any type; types that PLY lacks go to one that holds them."""
    kind = f"{column.dtype.kind}{column.dtype.itemsize}"
    if kind not in TYPE_NAMES:
        kind = next((wider for wider in ("i4", "u4", "f4", "f8") if _holds(wider, column)), "")
    if not kind:
        raise InputError(f"PLY has no type for the values of '{name}' ({column.dtype})")
    return f"property {TYPE_NAMES[kind]} {name}"
