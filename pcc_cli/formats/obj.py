"""Wavefront OBJ: vertices with colours, polygons, texture coordinates and normals.

What belongs to corners becomes an attribute of vertices: u, v and nx, ny, nz. A vertex at whose
corners it differs is split, and that is said. Materials, groups, lines and curves are left out.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pcc_cli.errors import InputError
from pcc_cli.formats.columns import words
from pcc_cli.formats.talk import Note, listed, silent
from pcc_cli.geometry import Array, Mesh, PointCloud

MESHES = True
COLOURS = ("red", "green", "blue")
TEXTURE, NORMAL = ("u", "v"), ("nx", "ny", "nz")
_QUIET = {b"#", b"o", b"g", b"s"}  # names and hints that nobody misses


class _Text(NamedTuple):
    """Rows of numbers by keyword; of faces their sizes, and (corners, 3) indices or -1."""

    rows: dict[bytes, list[list[float]]]
    sizes: list[int]
    corners: list[tuple[int, int, int]]
    others: set[str]


def read(data: bytes, name: str, note: Note = silent) -> PointCloud | Mesh:
    """The shape in the bytes of an OBJ file; InputError when a line cannot be read."""
    text = _parsed(data, name)
    if text.others:
        note(f"not kept: {listed(sorted(text.others))}")
    places = _table(text.rows[b"v"], (3, 4, 6, 7), name)
    points = places[:, :3]
    source = {"format": "obj"}
    columns = dict(zip(COLOURS, places[:, 3:6].T, strict=False)) if places.shape[1] >= 6 else {}
    if not text.sizes:
        return PointCloud(points, columns, source)
    corners = np.array(text.corners, np.int64)
    tables = [
        points,
        _table(text.rows[b"vt"], (1, 2, 3), name),
        _table(text.rows[b"vn"], (3,), name),
    ]
    for column, table in zip(corners.T, tables, strict=True):
        if len(column) and (column.max() >= len(table) or column.min() < -1):
            raise InputError(f"{name}: a face names a vertex, texture or normal that is not there")
    rows, indices = _vertices(corners, len(points), note)
    columns = {key: values[rows[:, 0]] for key, values in columns.items()}
    for number, names in ((1, TEXTURE), (2, NORMAL)):
        if (rows[:, number] >= 0).any():
            table = np.vstack([tables[number], np.zeros(tables[number].shape[1])])
            columns |= dict(zip(names, table[rows[:, number]].T, strict=False))
    columns = {key: np.ascontiguousarray(column) for key, column in columns.items()}
    sizes = np.array(text.sizes, np.int32)
    return Mesh(points[rows[:, 0]], sizes, indices, columns, source=source)


def write(shape: PointCloud | Mesh, suffix: str = ".obj", note: Note = silent) -> bytes:
    """The bytes of an OBJ file; attributes that it has no place for are left out, and said."""
    kept = shape.attributes
    colours, texture, normals = (
        [kept[name] for name in names] if set(names) <= set(kept) else []
        for names in (COLOURS, TEXTURE, NORMAL)
    )
    used = {name for part, names in ((colours, COLOURS), (texture, TEXTURE), (normals, NORMAL))
            if part for name in names}  # fmt: skip
    gone = [name for name in kept if name not in used]
    gone += list(shape.face_attributes) if isinstance(shape, Mesh) else []
    if gone:
        note(f"OBJ has no place for {listed(gone)}")
    scaled = [c / np.float64(np.iinfo(c.dtype).max) if c.dtype.kind in "iu" else c for c in colours]
    lines = _lines("v", [*shape.points.T, *scaled])
    lines += _lines("vt", texture) + _lines("vn", normals)
    if isinstance(shape, Mesh):
        corner = {(0, 0): "{0}", (1, 0): "{0}/{0}", (0, 1): "{0}//{0}", (1, 1): "{0}/{0}/{0}"}
        form = corner[bool(texture), bool(normals)]
        names = [form.format(number) for number in range(1, len(shape.points) + 1)]
        at = 0
        indices = shape.face_indices.tolist()
        for size in shape.face_sizes.tolist():
            lines.append("f " + " ".join(names[i] for i in indices[at : at + size]))
            at += size
    return ("\n".join(lines) + "\n").encode()


def _lines(keyword: str, columns: list[Array]) -> list[str]:
    return [" ".join([keyword, *row]) for row in zip(*map(words, columns), strict=True)]


def _parsed(data: bytes, name: str) -> _Text:
    text = _Text({b"v": [], b"vt": [], b"vn": []}, [], [], set())
    at = 0
    try:
        for at, line in enumerate(data.replace(b"\\\n", b" ").splitlines(), 1):  # noqa: B007
            keyword, _, rest = line.strip().replace(b"\t", b" ").partition(b" ")
            if keyword in text.rows:
                text.rows[keyword].append([float(word) for word in rest.split()])
            elif keyword == b"f":
                _add_face(text, rest.split())
            elif keyword and keyword[:1] not in _QUIET and keyword not in _QUIET:
                text.others.add(keyword.decode("ascii", "replace"))
    except ValueError:
        raise InputError(f"{name}: line {at} of the OBJ file cannot be read") from None
    return text


def _add_face(text: _Text, corners: list[bytes]) -> None:
    counts = [len(text.rows[keyword]) for keyword in (b"v", b"vt", b"vn")]
    for corner in corners:
        parts = [*corner.split(b"/"), b"", b""][:3]
        numbers = [int(part) if part else 0 for part in parts]
        # From 1 on, or backwards from the last one so far.
        found = [
            n - 1 if n > 0 else (c + n if n else -1) for n, c in zip(numbers, counts, strict=True)
        ]
        if found[0] < 0 or not corner:
            raise ValueError
        text.corners.append((found[0], found[1], found[2]))
    text.sizes.append(len(corners))


def _table(rows: list[list[float]], widths: tuple[int, ...], name: str) -> Array:
    """(n, width) float64; rows that are longer than the shortest are cut."""
    width = min(map(len, rows), default=widths[-1])
    if width < widths[0]:
        raise InputError(f"{name}: a line of the OBJ file has {width} numbers")
    return np.array([row[:width] for row in rows], np.float64).reshape(-1, width)


def _vertices(corners: Array, count: int, note: Note) -> tuple[Array, Array]:
    """(n, 3) rows of the tables that make each vertex, and the vertex of each corner."""
    known = np.full((count, 3), -1, np.int64)
    known[:, 0] = np.arange(count)
    known[corners[:, 0]] = corners
    if (known[corners[:, 0]] == corners).all():
        return known, corners[:, 0].copy()
    rows, place = np.unique(corners, axis=0, return_inverse=True)
    loose = np.setdiff1d(np.arange(count), rows[:, 0])
    note(f"{len(rows) + len(loose) - count:,} vertices split where texture or normals differ")
    return np.vstack([rows, known[loose]]), place.reshape(-1).astype(np.int64)
