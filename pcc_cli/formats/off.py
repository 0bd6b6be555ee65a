"""OFF: vertices, polygons, colours of both; the counts may follow at once, as in ModelNet40."""

from __future__ import annotations

import re

import numpy as np

from pcc_cli.errors import InputError
from pcc_cli.formats.columns import words
from pcc_cli.formats.talk import Note, listed, silent
from pcc_cli.geometry import Array, Mesh, PointCloud

MESHES = True
COLOURS = ("red", "green", "blue", "alpha")
NORMAL = ("nx", "ny", "nz")
_HEAD = re.compile(rb"\A\s*(ST)?(C)?(N)?OFF(?=[\s\d-])[ \t]*")


def read(data: bytes, name: str, note: Note = silent) -> PointCloud | Mesh:
    """The shape in the bytes of an OFF file; InputError when it is damaged or of another kind."""
    head = _HEAD.match(data)
    if head is None or data[head.end() :].lstrip().startswith(b"BINARY"):
        raise InputError(f"{name}: not an OFF file of text with three coordinates")
    lines = [
        line for raw in data[head.end() :].splitlines() if (line := raw.split(b"#")[0].split())
    ]
    try:
        vertices, faces = (int(word) for word in lines[0][:2])
        if vertices < 0 or faces < 0 or len(lines) < 1 + vertices + faces:
            raise IndexError
        rows = [[float(word) for word in line] for line in lines[1 : 1 + vertices]]
        table = _table(rows)
        polygons = lines[1 + vertices : 1 + vertices + faces]
        sizes = np.array([int(line[0]) for line in polygons], np.int32)
        corners = [int(w) for line, n in zip(polygons, sizes, strict=True) for w in line[1 : 1 + n]]
        colours = [line[1 + n :] for line, n in zip(polygons, sizes.tolist(), strict=True)]
        columns: dict[str, Array] = {}
        at = 3
        # NOFF and CNOFF have normals before colours; colours may stand there without a C.
        for names, wanted in ((NORMAL, head[3]), (COLOURS, head[2] or table.shape[1] > at)):
            if wanted:
                columns |= dict(zip(names, _narrow(table[:, at:]).T, strict=False))
                at += len(names)
        shown = {n: np.ascontiguousarray(c) for n, c in columns.items()}
        points = np.ascontiguousarray(table[:, :3])
        if not faces:
            return PointCloud(points, shown, {"format": "off"})
        faced = _face_colours(colours, note)
        indices = np.array(corners, np.int64)
        return Mesh(points, sizes, indices, shown, faced, {"format": "off"})
    except (ValueError, IndexError):
        raise InputError(f"{name}: the OFF file is cut off or holds what is no number") from None


def write(shape: PointCloud | Mesh, suffix: str = ".off", note: Note = silent) -> bytes:
    """The bytes of an OFF file; attributes but colours are left out, and said."""
    faces = shape.face_attributes if isinstance(shape, Mesh) else {}
    coloured = _colours(shape.attributes)
    faced = _colours(faces)
    gone = [n for n in shape.attributes if n not in coloured] + [n for n in faces if n not in faced]
    if gone:
        note(f"OFF has no place for {listed(gone)}")
    sizes = shape.face_sizes.tolist() if isinstance(shape, Mesh) else []
    columns = [*shape.points.T, *coloured.values()]
    lines = ["COFF" if coloured else "OFF", f"{len(shape)} {len(sizes)} 0"]
    lines += [" ".join(row) for row in zip(*map(words, columns), strict=True)]
    at = 0
    behind = list(zip(*map(words, faced.values()), strict=True)) or [()] * len(sizes)
    for size, colour in zip(sizes, behind, strict=True):
        assert isinstance(shape, Mesh)
        corners = map(str, [size, *shape.face_indices[at : at + size].tolist()])
        lines.append(" ".join([*corners, *colour]))
        at += size
    return ("\n".join(lines) + "\n").encode()


def _colours(attributes: dict[str, Array]) -> dict[str, Array]:
    if not set(COLOURS[:3]) <= set(attributes):
        return {}
    return {name: attributes[name] for name in COLOURS if name in attributes}


def _face_colours(rows: list[list[bytes]], note: Note) -> dict[str, Array]:
    widths = {len(row) for row in rows}
    if widths <= {0}:
        return {}
    if len(widths) > 1 or not widths <= {3, 4}:
        note("colours of faces not kept: not all faces have one, or by number")
        return {}
    values = _narrow(np.array([[float(word) for word in row] for row in rows]))
    return {n: np.ascontiguousarray(c) for n, c in zip(COLOURS, values.T, strict=False)}


def _table(rows: list[list[float]]) -> Array:
    width = min(map(len, rows), default=3)
    if width < 3:
        raise ValueError
    return np.array([row[:width] for row in rows], np.float64).reshape(-1, width)


def _narrow(values: Array) -> Array:
    """Colours of whole numbers as bytes."""
    whole = values.size and (values == np.rint(values)).all() and values.min() >= 0
    fits = whole and 1 < values.max() <= 255
    return values.astype(np.uint8) if fits else values
