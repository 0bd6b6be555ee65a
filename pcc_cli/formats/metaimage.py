"""MetaImage: .mha with its samples, .mhd with a file of samples beside it, as ITK writes them.

The header is kept word for word. Specification: https://itk.org/Wiki/ITK/MetaIO/Documentation
"""

from __future__ import annotations

import re
import zlib
from typing import Any

from pcc_cli.formats.samples import (
    DAMAGE,
    Layout,
    arranged,
    damaged,
    framed,
    inflated,
    numbers_in,
    numbers_of,
    three,
    widened,
)
from pcc_cli.formats.talk import Beside, Note, alone, silent
from pcc_cli.geometry import IDENTITY, Volume

MESHES = False
_TYPES = {
    "MET_CHAR": "i1",
    "MET_UCHAR": "u1",
    "MET_SHORT": "i2",
    "MET_USHORT": "u2",
    "MET_INT": "i4",
    "MET_UINT": "u4",
    "MET_LONG": "i4",
    "MET_ULONG": "u4",
    "MET_LONG_LONG": "i8",
    "MET_ULONG_LONG": "u8",
    "MET_FLOAT": "f4",
    "MET_DOUBLE": "f8",
}
_NAMES = {kind: name for name, kind in _TYPES.items() if name not in ("MET_LONG", "MET_ULONG")}
_LAST = "ElementDataFile"  # its line ends the header
_HEAD_LIMIT = 1 << 16


def read(data: bytes, name: str, note: Note = silent, beside: Beside = alone) -> Volume:
    """The volume in `data`, and of a .mhd in the file beside it; InputError when damaged."""
    try:
        end = re.search(rb"^ *ElementDataFile *=[^\n]*(\n|\Z)", data[:_HEAD_LIMIT], re.MULTILINE)
        if end is None:
            raise ValueError("no line ElementDataFile")
        head = data[: end.end()].decode("latin-1")
        fields = _fields(head)
        layout = _layout(fields)
        place = fields[_LAST.lower()]
        if place.upper() == "LOCAL":
            body = data[end.end() :]
        elif "%" in place or place.upper().startswith("LIST"):
            raise ValueError("its samples are in several files, which pcc does not read")
        else:
            body = beside(place)
        return layout.volume(_raw(body, fields, layout), {"format": "metaimage", "header": head})
    except DAMAGE as error:
        raise damaged(name, "MetaImage file", error) from None


def write(volume: Volume, suffix: str = ".mha", note: Note = silent) -> bytes:
    """The bytes of a file with its samples in it, with the header of the source where that fits."""
    head = volume.source.get("header", "") if volume.source.get("format") == "metaimage" else ""
    volume = widened(volume, _NAMES, suffix, note)
    layout = Layout.of(volume)
    fields = _fields(head)
    if suffix == ".mhd":
        note("the samples are in the .mhd file itself")
    if not fields or _layout(fields) != layout:
        head = _new_header(layout)
        fields = _fields(head)
    if not _is_true(fields, "binarydata", "true"):
        body = numbers_of(volume)
    else:
        body = layout.stored(volume)
        if _is_true(fields, "compresseddata"):
            body = zlib.compress(body, 6)
    return _headed(head, len(body)).encode("latin-1") + body


def _headed(head: str, size: int) -> str:
    """The header for samples that follow it, in as many bytes."""
    lines = []
    for line in head.splitlines():
        key = line.partition("=")[0].strip().lower()
        if key == "compresseddatasize":
            line = f"CompressedDataSize = {size}"
        if key not in (_LAST.lower(), "headersize"):
            lines.append(line)
    return "\n".join([*lines, f"{_LAST} = LOCAL"]) + "\n"


def _fields(head: str) -> dict[str, str]:
    pairs = (line.partition("=") for line in head.splitlines())
    return {key.strip().lower(): value.strip() for key, mark, value in pairs if mark}


def _is_true(fields: dict[str, str], name: str, default: str = "false") -> bool:
    return fields.get(name, default).lower() in ("true", "1")


def _numbers(fields: dict[str, str], *names: str) -> list[float]:
    text = next((fields[name] for name in names if name in fields), "")
    return [float(word) for word in text.split()]


def _layout(fields: dict[str, str]) -> Layout:
    kind = _TYPES[fields["elementtype"].upper()]
    sizes = [int(word) for word in fields["dimsize"].split()]
    count = int(fields["ndims"])
    if len(sizes) != count:
        raise ValueError(f"{len(sizes)} sizes of {count} axes")
    shape, axes = arranged(sizes, int(fields.get("elementnumberofchannels", "1")))
    big = _is_true(fields, "elementbyteordermsb") or _is_true(fields, "binarydatabyteordermsb")
    steps = [*_numbers(fields, "elementspacing", "elementsize"), 1.0, 1.0, 1.0][:3]
    matrix: Any = _numbers(fields, "transformmatrix", "rotation", "orientation")
    rows = [matrix[i * count : i * count + count] for i in range(min(count, 3))]
    if len(matrix) != count * count or count < 3:
        rows = [list(IDENTITY[i : i + 3]) for i in (0, 3, 6)]
    # The rows of the file are the directions of the axes, which are columns here.
    columns = [[row[i] * step for row, step in zip(rows, steps, strict=True)] for i in range(3)]
    spacing, direction = framed(columns)
    origin = three(_numbers(fields, "offset", "position", "origin"))
    order = "|" if kind[1] == "1" else ">" if big else "<"
    return Layout(order + kind, shape, axes, spacing, origin, direction)


def _raw(body: bytes, fields: dict[str, str], layout: Layout) -> bytes:
    size = layout.size_bytes
    skip = int(fields.get("headersize", "0"))
    body = body[-size:] if skip == -1 else body[max(skip, 0) :]
    if not _is_true(fields, "binarydata", "true"):
        return numbers_in(body, layout)
    if _is_true(fields, "compresseddata"):
        return inflated(body, "zlib", size)
    return body[:size]


def _new_header(layout: Layout) -> str:
    four = layout.axes[0] == "t"
    sizes = [*layout.sides, layout.steps][: 4 if four else 3]
    turned = [layout.direction[row * 3 + axis] for axis in range(3) for row in range(3)]
    if four:
        turned = [*turned[:3], 0.0, *turned[3:6], 0.0, *turned[6:], 0.0, 0.0, 0.0, 0.0, 1.0]

    def words(numbers: Any) -> str:
        return " ".join(f"{number:.17g}" for number in numbers)

    tail = (0.0,) * four, (1.0,) * four
    channels = [f"ElementNumberOfChannels = {layout.components}"] * (layout.axes[-1] == "c")
    lines = [
        "ObjectType = Image",
        f"NDims = {len(sizes)}",
        "BinaryData = True",
        f"BinaryDataByteOrderMSB = {layout.type[0] == '>'}",
        "CompressedData = False",
        f"TransformMatrix = {words(turned)}",
        f"Offset = {words((*layout.origin, *tail[0]))}",
        f"ElementSpacing = {words((*layout.spacing, *tail[1]))}",
        f"DimSize = {' '.join(map(str, sizes))}",
        *channels,
        f"ElementType = {_NAMES[layout.type[1:]]}",
        f"{_LAST} = LOCAL",
    ]
    return "\n".join(lines) + "\n"
