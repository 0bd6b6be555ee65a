"""Legacy VTK files (.vtk) with structured points: a header of text, samples big-endian or as text.

The lines of the header are kept. https://docs.vtk.org, "VTK File Formats", simple legacy formats.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pcc_cli.errors import InputError
from pcc_cli.formats.samples import (
    DAMAGE,
    Layout,
    arranged,
    flat,
    numbers_of,
    three,
    widened,
    without_direction,
)
from pcc_cli.formats.talk import Note, silent
from pcc_cli.geometry import Volume

MESHES = False
_TYPES = {
    "unsigned_char": "|u1", "char": "|i1", "signed_char": "|i1", "unsigned_short": ">u2",
    "short": ">i2", "unsigned_int": ">u4", "int": ">i4", "unsigned_long": ">u8", "long": ">i8",
    "vtktypeuint64": ">u8", "vtktypeint64": ">i8", "float": ">f4", "double": ">f8",
}  # fmt: skip
_NAMES = {
    "|u1": "unsigned_char", "|i1": "char", ">u2": "unsigned_short", ">i2": "short",
    ">u4": "unsigned_int", ">i4": "int", ">u8": "vtktypeuint64", ">i8": "vtktypeint64",
    ">f4": "float", ">f8": "double",
}  # fmt: skip
_VECTORS = ("vectors", "normals")


@dataclass
class _Lines:
    """The lines of a header, one after the other, and where the next one begins."""

    data: bytes
    at: int = 0

    def next(self) -> list[str]:
        """The words of the next line that has any; [] at the end."""
        while self.at < len(self.data):
            end = self.data.find(b"\n", self.at, self.at + 4096)
            end = min(len(self.data), self.at + 4096) if end < 0 else end
            words = self.data[self.at : end].decode("latin-1").split()
            self.at = end + 1
            if words:
                return words
        return []


def read(data: bytes, name: str, note: Note = silent) -> Volume:
    """The volume in `data`; InputError when it is damaged or of another kind of data."""
    try:
        lines = _Lines(data)
        if lines.next()[:2] != ["#", "vtk"]:
            raise ValueError("it does not begin with '# vtk'")
        title_end = data.index(b"\n", lines.at)
        title, lines.at = data[lines.at : title_end].decode("latin-1"), title_end + 1
        coding = lines.next()[0].upper()
        if lines.next()[1].upper() != "STRUCTURED_POINTS":
            raise ValueError("it holds no STRUCTURED_POINTS")
        layout, cells, array = _described(lines)
        count = layout.size_bytes // np.dtype(layout.type).itemsize
        raw, at = _raw(data, lines.at, layout, coding == "ASCII", count)
        if data[at : at + 4096].strip():
            note(f"the array '{array}' was read, what follows it left out")
        source = {
            "format": "vtk",
            "title": title,
            "coding": coding,
            "cells": cells,
            "name": array,
        }
        volume = layout.volume(raw, source)
        return replace(volume, source=source)  # big-endian is the format's own
    except DAMAGE as error:
        why = f"no {error}" if isinstance(error, KeyError) else str(error)[:120]
        raise InputError(f"{name}: damaged or unsupported VTK file: {why}") from None


def _raw(data: bytes, at: int, layout: Layout, text: bool, count: int) -> tuple[bytes, int]:
    """The samples, and where they end."""
    if not text:
        end = at + layout.size_bytes
        return data[at:end], end
    words = data[at:].split(maxsplit=count)
    end = len(data) - (len(words[count]) if len(words) > count else 0)
    kind = np.dtype(layout.type)
    if kind.kind == "f":
        return np.array(words[:count], dtype="S").astype(kind).tobytes(), end
    return np.array([int(word) for word in words[:count]], kind).tobytes(), end


def _described(lines: _Lines) -> tuple[Layout, bool, str]:
    """Layout, whether samples belong to cells, and the array's name; `lines` are behind it."""
    fields: dict[str, list[str]] = {}
    while (words := lines.next()) and words[0].upper() not in ("POINT_DATA", "CELL_DATA"):
        fields[words[0].lower()] = words[1:]
    cells = bool(words) and words[0].upper() == "CELL_DATA"
    array, kind, components = _array(lines)
    sizes = [max(int(n) - cells, 1) for n in fields["dimensions"]]
    spacing = three([float(n) for n in fields.get("spacing") or fields["aspect_ratio"]])
    origin = three([float(n) for n in fields["origin"]])
    if cells:
        x, y, z = (at + step / 2 for at, step in zip(origin, spacing, strict=True))
        origin = (x, y, z)
    if len(sizes) != 3 or 0.0 in spacing:
        raise ValueError("not three sizes, or a spacing of 0")
    shape, axes = arranged(sizes, components)
    return Layout(_TYPES[kind.lower()], shape, axes, spacing, origin), cells, array


def _array(lines: _Lines) -> tuple[str, str, int]:
    """Name, type and components of the first array, behind whose header `lines` are."""
    while words := lines.next():
        what = words[0].lower()
        if what == "scalars":
            components = int(words[3]) if len(words) > 3 else 1
            start = lines.at
            if (lines.next() or [""])[0].upper() != "LOOKUP_TABLE":
                lines.at = start
            return words[1], words[2], components
        if what in _VECTORS:
            return words[1], words[2], 3
        if what == "field":
            array = lines.next()
            return array[0], array[3], int(array[1])
        if what != "metadata":
            raise ValueError(f"an array of {words[0]}, which pcc does not read")
    raise ValueError("no array")


def write(volume: Volume, suffix: str = ".vtk", note: Note = silent) -> bytes:
    """The bytes of a file, coded as the source was, if that was such a file; else binary."""
    own: dict[str, Any] = volume.source if volume.source.get("format") == "vtk" else {}
    volume = without_direction(flat(volume, suffix, note), suffix, note)
    volume = widened(volume, {kind[1:] for kind in _NAMES}, suffix, note)
    layout = Layout.of(volume)
    kind = np.dtype(layout.type).newbyteorder(">").str
    cells = bool(own.get("cells"))
    shift = 0.5 if cells else 0.0
    origin = [at - shift * step for at, step in zip(layout.origin, layout.spacing, strict=True)]
    sizes = [n + cells for n in layout.sides]
    name = "_".join(str(own.get("name", "scalars")).split()) or "scalars"
    text = own.get("coding") == "ASCII"
    count = np.prod(layout.sides)
    head = [
        "# vtk DataFile Version 3.0",
        str(own.get("title", "volume"))[:255],
        "ASCII" if text else "BINARY",
        "DATASET STRUCTURED_POINTS",
        f"DIMENSIONS {' '.join(map(str, sizes))}",
        f"SPACING {' '.join(f'{n:.17g}' for n in layout.spacing)}",
        f"ORIGIN {' '.join(f'{n:.17g}' for n in origin)}",
        f"{'CELL' if cells else 'POINT'}_DATA {count}",
        *(
            [f"SCALARS {name} {_NAMES[kind]} {layout.components}", "LOOKUP_TABLE default"]
            if layout.components <= 4
            else ["FIELD FieldData 1", f"{name} {layout.components} {count} {_NAMES[kind]}"]
        ),
    ]
    body = numbers_of(volume) if text else volume.values.astype(kind).tobytes() + b"\n"
    return "\n".join(head).encode("latin-1", "replace") + b"\n" + body
