"""NRRD: a header of text and samples, in one file or (.nhdr) in two.

The header is kept word for word. Directions are those of the file's `space`; where that names
right or anterior, they are turned to left-posterior-superior, as ITK has them. Specification:
https://teem.sourceforge.net/nrrd/format.html
"""

from __future__ import annotations

import bz2
import gzip
import re
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
    steps_of,
    three,
    widened,
)
from pcc_cli.formats.talk import Beside, Note, alone, silent
from pcc_cli.geometry import Volume

MESHES = False
_TYPES = {
    "i1": ("signed char", "int8", "int8_t"),
    "u1": ("uchar", "unsigned char", "uint8", "uint8_t"),
    "i2": ("short", "short int", "signed short", "signed short int", "int16", "int16_t"),
    "u2": ("ushort", "unsigned short", "unsigned short int", "uint16", "uint16_t"),
    "i4": ("int", "signed int", "int32", "int32_t"),
    "u4": ("uint", "unsigned int", "uint32", "uint32_t"),
    "i8": ("longlong", "long long", "long long int", "signed long long",
           "signed long long int", "int64", "int64_t"),
    "u8": ("ulonglong", "unsigned long long", "unsigned long long int", "uint64", "uint64_t"),
    "f4": ("float",),
    "f8": ("double",),
}  # fmt: skip
_TYPE_OF = {name: kind for kind, names in _TYPES.items() for name in names}
_NAMES = {kind: names[-1] for kind, names in _TYPES.items()}
_ENCODINGS = {"raw": "raw", "gzip": "zlib", "gz": "zlib", "bzip2": "bz2", "bz2": "bz2",
              "ascii": "text", "text": "text", "txt": "text"}  # fmt: skip
_OF_SPACE = ("domain", "space", "???", "")
_OF_STEPS = ("time", "list")


def read(data: bytes, name: str, note: Note = silent, beside: Beside = alone) -> Volume:
    """The volume in `data`, and of a .nhdr in the file beside it; InputError when damaged."""
    try:
        head, body = _split(data)
        fields = _fields(head)
        layout = _layout(fields)
        encoding = _ENCODINGS[fields["encoding"].lower()]
        elsewhere = fields.get("data file") or fields.get("datafile")
        if elsewhere:
            if re.search(r"%|^LIST", elsewhere):
                raise ValueError("its samples are in several files, which pcc does not read")
            body = beside(elsewhere)
        raw = _raw(body, encoding, layout, fields)
        source = {"format": "nrrd", "header": head}
        return layout.volume(raw, source)
    except DAMAGE as error:
        raise damaged(name, "NRRD file", error) from None


def write(volume: Volume, suffix: str = ".nrrd", note: Note = silent) -> bytes:
    """The bytes of a file with its samples in it, with the header of the source where that fits."""
    head = volume.source.get("header", "") if volume.source.get("format") == "nrrd" else ""
    volume = widened(volume, _NAMES, suffix, note)
    layout = Layout.of(volume)
    if suffix == ".nhdr" or "data file" in head.lower() or "datafile" in head.lower():
        note("the samples are in the NRRD file itself")
        head = "\n".join(line for line in head.split("\n") if not _points_elsewhere(line))
    fields = _fields(head) if head else {}
    if not fields or _layout(fields) != layout:
        head = _new_header(layout)
        fields = _fields(head)
    encoding = _ENCODINGS[fields["encoding"].lower()]
    if encoding == "text":
        return head.encode("latin-1") + b"\n" + numbers_of(volume)
    raw = layout.stored(volume)
    if encoding == "zlib":
        raw = gzip.compress(raw, 6, mtime=0)
    elif encoding == "bz2":
        raw = bz2.compress(raw)
    return head.encode("latin-1") + b"\n" + raw


def _points_elsewhere(line: str) -> bool:
    return bool(re.match(r"(data ?file|(line|byte) ?skip):", line, re.IGNORECASE))


def _split(data: bytes) -> tuple[str, bytes]:
    """The header with the end of its last line, and what follows the empty line."""
    end = re.search(rb"\r?\n\r?\n", data[: 1 << 20])
    if end is None:
        return data[: 1 << 20].decode("latin-1"), b""
    return data[: end.start()].decode("latin-1") + "\n", data[end.end() :]


def _fields(head: str) -> dict[str, str]:
    found = {}
    for line in head.splitlines()[1:]:
        name, colon, value = line.partition(":")
        if colon and not line.startswith("#") and not value.startswith("="):
            found[name.strip().lower()] = value.strip()
    return found


def _raw(body: bytes, encoding: str, layout: Layout, fields: dict[str, str]) -> bytes:
    for _ in range(int(fields.get("line skip", fields.get("lineskip", "0")))):
        body = body.partition(b"\n")[2]
    skip = int(fields.get("byte skip", fields.get("byteskip", "0")))
    if encoding == "text":
        return numbers_in(body[max(skip, 0) :], layout)
    if encoding == "raw":
        return body[-layout.size_bytes :] if skip == -1 else body[skip : skip + layout.size_bytes]
    return inflated(body, encoding, max(skip, 0) + layout.size_bytes)[max(skip, 0) :]


def _vectors(text: str) -> list[list[float] | None]:
    """`(1,0,0) none (0,1,0)` as lists, None for none."""
    words = re.findall(r"none|\([^)]*\)", text)
    return [None if w == "none" else [float(v) for v in w[1:-1].split(",")] for w in words]


def _layout(fields: dict[str, str]) -> Layout:
    kind = _TYPE_OF[fields["type"].lower()]
    sizes = [int(size) for size in fields["sizes"].split()]
    roles = _roles(fields, sizes)
    components = sizes[0] if roles[0] == "c" else 1
    shape, axes = arranged(sizes[1:] if roles[0] == "c" else sizes, components)
    if roles[0] == "c" and components == 1:
        shape, axes = (*shape, 1), axes + "c"
    order = ">" if fields.get("endian", "little").lower() == "big" and kind[1] != "1" else "<"
    spacing, direction, origin = _place(fields, roles)
    return Layout(
        (order if kind[1] != "1" else "|") + kind, shape, axes, spacing, origin, direction
    )


def _roles(fields: dict[str, str], sizes: list[int]) -> str:
    """One of c, s and t for each axis: components, space, time steps."""
    kinds = [kind.lower() for kind in fields.get("kinds", "").split()]
    steps = _vectors(fields.get("space directions", ""))
    roles = ["s"] * len(sizes)
    first = kinds[0] if kinds else "domain"
    if (steps and steps[0] is None) or first not in (*_OF_SPACE, *_OF_STEPS):
        roles[0] = "c"
    spatial = len(sizes) - (roles[0] == "c")
    if spatial == 4:
        roles[-1] = "t"
    if len(sizes) == 4 and not kinds and not steps and sizes[0] <= 4:
        roles = ["c", "s", "s", "s"]
    if any(kind in _OF_STEPS for kind in kinds[:-1]) or None in steps[1:-1]:
        raise ValueError("its time steps are not its slowest axis")
    return "".join(roles)


def _place(fields: dict[str, str], roles: str) -> tuple[Any, Any, Any]:
    """Spacing, direction and origin."""
    origin = three((_vectors(fields.get("space origin", "")) or [None])[0] or [])
    steps = _vectors(fields.get("space directions", ""))
    if not steps:
        words = [w.lower() for w in fields.get("spacings", "").split()]
        found = [float(w) for w, role in zip(words, roles, strict=False) if role == "s"]
        matrix = [[0.0] * 3 for _ in range(3)]
        for i, value in enumerate([*found, 1.0, 1.0, 1.0][:3]):
            matrix[i][i] = value if value and value == value else 1.0
        mins = [float(w) for w in fields.get("axis mins", fields.get("axismins", "")).split()]
        at = [m for m, role in zip(mins, roles, strict=False) if role == "s" and m == m]
        return *framed(matrix), three(at) if at else origin
    signs = _signs(fields.get("space", ""))
    columns = [s for s, role in zip(steps, roles, strict=True) if role == "s" and s is not None]
    columns = [[*c, 0.0, 0.0][:3] for c in columns][:3]
    while len(columns) < 3:  # a plane: across it one step
        columns.append([float(i == len(columns)) for i in range(3)])
    matrix = [[signs[row] * column[row] for column in columns] for row in range(3)]
    turned = three([sign * value for sign, value in zip(signs, origin, strict=True)])
    return *framed(matrix), tuple(value + 0.0 for value in turned)


def _signs(space: str) -> tuple[int, int, int]:
    """What turns coordinates of `space` to left-posterior-superior, where it is anatomical."""
    name = space.lower()
    short = {"ras": "right-anterior-superior", "las": "left-anterior-superior"}
    name = short.get(name[:3], name) if len(name) in (3, 4) else name
    return (-1 if name.startswith("right") else 1, -1 if "-anterior" in name else 1, 1)


def _new_header(layout: Layout) -> str:
    """Of an attached file; the version that knows spaces."""
    sizes = [*layout.sides]
    kinds = ["domain"] * 3
    columns = list(zip(*steps_of(layout), strict=True))
    steps = [f"({','.join(f'{v:.17g}' for v in column)})" for column in columns]
    if layout.axes[-1] == "c":
        sizes, kinds = [layout.components, *sizes], ["vector", *kinds]
        steps = ["none", *steps]
    if layout.axes[0] == "t":
        sizes, kinds, steps = [*sizes, layout.steps], [*kinds, "time"], [*steps, "none"]
    kind = layout.type[1:]
    lines = [
        "NRRD0005",
        f"type: {_NAMES[kind]}",
        f"dimension: {len(sizes)}",
        "space: left-posterior-superior",
        f"sizes: {' '.join(map(str, sizes))}",
        f"space directions: {' '.join(steps)}",
        f"kinds: {' '.join(kinds)}",
        *([] if kind[1] == "1" else [f"endian: {'big' if layout.type[0] == '>' else 'little'}"]),
        "encoding: gzip",
        f"space origin: ({','.join(f'{v:.17g}' for v in layout.origin)})",
    ]
    return "\n".join(lines) + "\n"
