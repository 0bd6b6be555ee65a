"""VTI, the image data of VTK in XML, as ParaView writes it: one array of it is the volume.

Appended and inline arrays, raw, base64 or text, as they are or compressed by zlib or lzma. Files
are written with raw appended data, compressed by zlib. https://docs.vtk.org, "VTK XML Formats".
"""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree
from xml.sax.saxutils import quoteattr

import numpy as np

from pcc_cli.errors import InputError
from pcc_cli.formats.samples import (
    DAMAGE,
    Layout,
    arranged,
    flat,
    from_base64,
    inflated,
    numbers_in,
    three,
    widened,
)
from pcc_cli.formats.talk import Note, listed, silent
from pcc_cli.geometry import IDENTITY, Volume

MESHES = False
_TYPES = {
    "Int8": "i1", "UInt8": "u1", "Int16": "i2", "UInt16": "u2", "Int32": "i4", "UInt32": "u4",
    "Int64": "i8", "UInt64": "u8", "Float32": "f4", "Float64": "f8",
}  # fmt: skip
_NAMES = {kind: name for name, kind in _TYPES.items()}
_COMPRESSORS = {None: None, "vtkZLibDataCompressor": "zlib", "vtkLZMADataCompressor": "lzma"}
_BLOCK = 1 << 15  # bytes that are compressed together, as VTK does it


@dataclass(frozen=True)
class _File:
    """order : "<" or ">"; header : type of lengths; compressor : None, "zlib" or "lzma"
    encoding, appended : of the bytes behind the underscore
    """

    order: str
    header: np.dtype[Any]
    compressor: str | None
    encoding: str
    appended: bytes


def read(data: bytes, name: str, note: Note = silent) -> Volume:
    """The volume in `data`; InputError when it is damaged or holds no samples."""
    try:
        tree, file = _parsed(data)
        image = tree.find("ImageData")
        pieces = [] if image is None else image.findall("Piece")
        if image is None or len(pieces) != 1:
            raise ValueError(f"{len(pieces)} pieces of image data; pcc reads one")
        array, cells = _array(pieces[0], note)
        layout = _layout(image, array, cells, file)
        source = {
            "format": "vti",
            "name": array.get("Name", "scalars"),
            "cells": cells,
            "extent": [int(n) for n in image.attrib["WholeExtent"].split()],
        }
        return layout.volume(_raw(array, file, layout), source)
    except (*DAMAGE, ElementTree.ParseError) as error:
        why = f"no {error}" if isinstance(error, KeyError) else str(error)[:120]
        raise InputError(f"{name}: damaged or unsupported VTI file: {why}") from None


def _parsed(data: bytes) -> tuple[ElementTree.Element, _File]:
    """The XML without its appended data, and how the data are to be read."""
    head, mark, rest = data.partition(b"<AppendedData")
    if mark:
        start = rest.index(b"_") + 1
        encoding = re.search(rb'encoding\s*=\s*"(\w+)"', rest[:start])
        appended = rest[start:]
        tree = ElementTree.fromstring(head + b"</VTKFile>")
    else:
        encoding, appended = None, b""
        tree = ElementTree.fromstring(data)
    if tree.get("type") != "ImageData":
        raise ValueError(f"a file of {tree.get('type')}, not of image data")
    order = ">" if tree.get("byte_order") == "BigEndian" else "<"
    header = np.dtype(order + _TYPES[tree.get("header_type", "UInt32")])
    compressor = tree.get("compressor")
    if compressor not in _COMPRESSORS:
        raise ValueError(f"compressed by {compressor}, which pcc does not read")
    how = encoding.group(1).decode() if encoding else "raw"
    return tree, _File(order, header, _COMPRESSORS[compressor], how, appended)


def _array(piece: ElementTree.Element, note: Note) -> tuple[ElementTree.Element, bool]:
    """The array that is shown as scalars, else the first one; whether it belongs to cells."""
    found = []
    for group in ("PointData", "CellData"):
        for part in piece.findall(group):
            scalars = part.get("Scalars")
            arrays = part.findall("DataArray")
            arrays.sort(key=lambda array, name=scalars: array.get("Name") != name)  # type: ignore[misc]
            found += [(array, group == "CellData") for array in arrays]
    if not found:
        raise ValueError("no array")
    if len(found) > 1:
        others = [array.get("Name", "?") for array, _ in found[1:]]
        note(f"the array '{found[0][0].get('Name')}' was read, {listed(others)} left out")
    return found[0]


def _layout(
    image: ElementTree.Element, array: ElementTree.Element, cells: bool, file: _File
) -> Layout:
    extent = [int(n) for n in image.attrib["WholeExtent"].split()]
    sizes = [
        max(high - low + (0 if cells else 1), 1)
        for low, high in zip(extent[::2], extent[1::2], strict=True)
    ]
    components = int(array.get("NumberOfComponents", "1") or "1")
    shape, axes = arranged(sizes, components)
    spacing = three([float(n) for n in image.get("Spacing", "1 1 1").split()])
    direction = tuple(float(n) for n in image.get("Direction", "1 0 0 0 1 0 0 0 1").split())
    start = three([float(n) for n in image.get("Origin", "0 0 0").split()])
    # The first sample is where the extent begins, or in the middle of the first cell.
    shift = [low + (0.5 if cells else 0.0) for low in extent[::2]]
    rows = [direction[i : i + 3] for i in (0, 3, 6)]
    moved = [
        at + sum(d * s * n for d, s, n in zip(row, spacing, shift, strict=True))
        for at, row in zip(start, rows, strict=True)
    ]
    kind = _TYPES[array.attrib["type"]]
    order = "|" if kind[1] == "1" else file.order
    if len(direction) != 9 or 0.0 in spacing:
        raise ValueError("a direction of other than nine numbers, or a spacing of 0")
    return Layout(order + kind, shape, axes, spacing, three(moved), direction)


def _raw(array: ElementTree.Element, file: _File, layout: Layout) -> bytes:
    form = array.get("format", "ascii")
    if form == "ascii":
        return numbers_in((array.text or "").encode(), layout)
    if form == "binary":
        return _unpacked((array.text or "").strip().encode(), file, layout.size_bytes, "base64")
    offset = int(array.attrib["offset"])
    return _unpacked(file.appended[offset:], file, layout.size_bytes, file.encoding)


def _unpacked(data: bytes, file: _File, size: int, encoding: str) -> bytes:
    """The samples behind their lengths."""
    width = file.header.itemsize

    def lengths(count: int) -> tuple[list[int], bytes]:
        """The first `count` lengths, and the bytes behind them."""
        if encoding == "raw":
            return np.frombuffer(data, file.header, count).tolist(), data[count * width :]
        letters = -(-count * width // 3) * 4
        found = np.frombuffer(from_base64(data[:letters]), file.header, count).tolist()
        return found, data[letters:]

    if file.compressor is None:
        (length,), body = lengths(1)
        if encoding != "raw":  # lengths and samples are one text
            whole = from_base64(data[: -(-(length + width) // 3) * 4])
            return whole[width : width + length]
        return body[:length]
    blocks = lengths(1)[0][0]
    if blocks > len(data):
        raise ValueError("more blocks than bytes")
    (_, block, last, *packed), body = lengths(3 + blocks)
    total = sum(packed)
    if encoding != "raw":
        body = from_base64(body[: -(-total // 3) * 4])
    parts, at = [], 0
    for number, length in enumerate(packed):
        full = last if last and number == blocks - 1 else block
        parts.append(inflated(body[at : at + length], file.compressor, min(full, size)))
        at += length
    return b"".join(parts)


def write(volume: Volume, suffix: str = ".vti", note: Note = silent) -> bytes:
    """The bytes of a file, with the array's name and the extent of the source where that fits."""
    own = volume.source if volume.source.get("format") == "vti" else {}
    volume = widened(flat(volume, suffix, note), _NAMES, suffix, note)
    layout = Layout.of(volume)
    cells = bool(own.get("cells"))
    extent = own.get("extent") or [0, 0, 0, 0, 0, 0]
    ends = [low + n - (0 if cells else 1) for low, n in zip(extent[::2], layout.sides, strict=True)]
    extent = [n for pair in zip(extent[::2], ends, strict=True) for n in pair]
    head = _head(layout, extent, cells, str(own.get("name", "scalars")))
    return (
        head.encode()
        + _packed(layout.stored(volume), layout.type[0])
        + b"\n</AppendedData>\n</VTKFile>\n"
    )


def _packed(raw: bytes, order: str) -> bytes:
    blocks = [zlib.compress(raw[i : i + _BLOCK]) for i in range(0, len(raw), _BLOCK)]
    lengths = [len(blocks), _BLOCK, len(raw) % _BLOCK, *map(len, blocks)]
    return np.array(lengths, ">u8" if order == ">" else "<u8").tobytes() + b"".join(blocks)


def _head(layout: Layout, extent: list[int], cells: bool, name: str) -> str:
    shift = [low + (0.5 if cells else 0.0) for low in extent[::2]]
    rows = [layout.direction[i : i + 3] for i in (0, 3, 6)]
    start = [
        at - sum(d * s * n for d, s, n in zip(row, layout.spacing, shift, strict=True))
        for at, row in zip(layout.origin, rows, strict=True)
    ]

    def words(numbers: Any) -> str:
        return " ".join(f"{number:.17g}" for number in numbers)

    kind = _NAMES[layout.type[1:]]
    group = "CellData" if cells else "PointData"
    turned = f' Direction="{words(layout.direction)}"' if layout.direction != IDENTITY else ""
    ends = words(extent)
    parts = f' NumberOfComponents="{layout.components}"' if layout.axes[-1] == "c" else ""
    order = "BigEndian" if layout.type[0] == ">" else "LittleEndian"
    lines = [
        '<?xml version="1.0"?>',
        f'<VTKFile type="ImageData" version="1.0" byte_order="{order}" header_type="UInt64"'
        ' compressor="vtkZLibDataCompressor">',
        f'<ImageData WholeExtent="{ends}" Origin="{words(start)}"'
        f' Spacing="{words(layout.spacing)}"{turned}>',
        f'<Piece Extent="{ends}">',
        f"<{group} Scalars={quoteattr(name)}>",
        f'<DataArray type="{kind}" Name={quoteattr(name)}{parts} format="appended" offset="0"/>',
        f"</{group}>",
        "</Piece>",
        "</ImageData>",
        '<AppendedData encoding="raw">',
        "_",
    ]
    return "\n".join(lines)
