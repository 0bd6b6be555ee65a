"""E57, the file of terrestrial scanners: one or more scans, each with a pose, and images.

Points come out as the file stores them, each scan in the frame of its scanner, with the attribute
`scan` where there are several; poses, images and all else travel in `source`. Scaled fields are
kept as their integers. Other formats get the common frame and the scaled values. Groups of points
are kept with the order of the points. Needs the extra `e57`.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from pcc_cli.errors import InputError, OutputError, UnsupportedError
from pcc_cli.formats import e57tree
from pcc_cli.formats.e57new import new_tree, plain
from pcc_cli.formats.e57tree import AXES, NAMES, Node, Tree, fields_of, scaled, scans_of
from pcc_cli.formats.talk import Note, listed, silent
from pcc_cli.geometry import Array, PointCloud

__all__ = ["MESHES", "plain", "read", "write"]

MESHES = False
_SPHERE = ("sphericalRange", "sphericalAzimuth", "sphericalElevation")
_GROUPS = "pointGroupingSchemes"  # of a scan: rows of points, by their numbers


def read(data: bytes, name: str, note: Note = silent) -> PointCloud:
    """All scans in `data`; UnsupportedError without pye57, InputError when it is damaged."""
    damage = (_error(f"{name}: reading E57"), ValueError, KeyError, TypeError, RuntimeError,
              OverflowError)  # fmt: skip
    try:
        with tempfile.TemporaryDirectory(prefix="pcc-") as folder:  # libE57 wants a file
            path = Path(folder) / "source.e57"
            path.write_bytes(data)
            tree = e57tree.load(str(path), len(data))
        return _cloud(tree, note)
    except damage as error:
        reason = str(error).split("\n")[0]
        raise InputError(f"{name}: damaged or unsupported E57 file: {reason}") from None


def _error(purpose: str) -> type[Exception]:
    """What libE57 raises; UnsupportedError without it."""
    try:
        from pye57 import libe57
    except ImportError:
        raise UnsupportedError(f"{purpose} needs pye57: pip install 'pcc-cli[e57]'") from None
    error: type[Exception] = libe57.E57Exception
    return error


def _cloud(tree: Tree, note: Note) -> PointCloud:
    scans = scans_of(tree.root)
    if not scans:
        raise ValueError("it holds no scan")
    prototypes = [fields_of(scan["points"][2]) for scan in scans]
    tables = [tree.tables[scan["points"][1]] for scan in scans]
    rows = [len(next(iter(table.values()))) for table in tables]
    points, scales = _points(prototypes, tables)
    attributes = {
        NAMES.get(field, field): _joined(field, prototypes, tables, rows)
        for field in dict.fromkeys(field for prototype in prototypes for field in prototype)
        if field not in AXES
    }
    if len(scans) > 1:
        numbers = np.repeat(np.arange(len(scans)), rows)
        attributes["scan"] = numbers.astype(np.min_scalar_type(len(scans)))
    crs = dict(tree.root[1]).get("coordinateMetadata", ["string", ""])[1]
    source = _source(tree, {scan["points"][1] for scan in scans})
    return PointCloud(points, attributes, {**source, **scales, **({"crs": crs} if crs else {})})


def _points(
    prototypes: list[dict[str, Node]], tables: list[dict[str, Array]]
) -> tuple[Array, dict[str, Any]]:
    """The coordinates of all scans, and the grid that they lie on if all name the same."""
    if not all(axis in p or _SPHERE[i] in p for p in prototypes for i, axis in enumerate(AXES)):
        raise ValueError("a scan has no coordinates")
    parts = [_coordinates(*pair) for pair in zip(prototypes, tables, strict=True)]
    grids = {tuple(tuple(p.get(axis, ["none"])[4:]) for axis in AXES) for p in prototypes}
    (grid, *others) = grids
    scaled = all(p.get(axis, [""])[0] == "scaled" for p in prototypes for axis in AXES)
    if others or not scaled:
        return np.concatenate(parts), {}
    scales, offsets = ([pair[i] for pair in grid] for i in (0, 1))
    return np.concatenate(parts), {"scales": scales, "offsets": offsets}


def _coordinates(prototype: dict[str, Node], table: dict[str, Array]) -> Array:
    """(n, 3), float32 where all three are stored so, else float64."""
    if not all(axis in prototype for axis in AXES):
        distance, azimuth, elevation = (scaled(prototype[f], table[f]) for f in _SPHERE)
        flat = distance * np.cos(elevation)
        height = distance * np.sin(elevation)
        return np.stack([flat * np.cos(azimuth), flat * np.sin(azimuth), height], axis=1)
    return np.stack([scaled(prototype[axis], table[axis]) for axis in AXES], axis=1)


def _joined(
    field: str, prototypes: list[dict[str, Node]], tables: list[dict[str, Array]], rows: list[int]
) -> Array:
    """A field of all scans in the narrowest type; zeros for scans that lack it."""
    nodes = [prototype[field] for prototype in prototypes if field in prototype]
    kinds = [_type(node) for node in nodes]
    kind = np.result_type(*kinds)
    return np.concatenate(
        [
            table[field].astype(kind) if field in table else np.zeros(count, kind)
            for table, count in zip(tables, rows, strict=True)
        ]
    )


def _type(node: Node) -> np.dtype[Any]:
    """The narrowest type that holds what the file says are the bounds."""
    if node[0] == "float":
        return np.dtype(f"f{node[2]}")
    low, high = int(node[2]), int(node[3])
    kinds = ("u1", "i1", "u2", "i2", "u4", "i4", "i8")
    return np.dtype(next(k for k in kinds if np.iinfo(k).min <= low and high <= np.iinfo(k).max))


def _source(tree: Tree, points: set[int]) -> dict[str, Any]:
    """The tree without the points: as JSON and bytes."""
    grouped = {number for scan in scans_of(tree.root) for number in _tables_in(scan.get(_GROUPS))}
    tables = [_packed(t) if i not in points else [] for i, t in enumerate(tree.tables)]
    source: dict[str, Any] = {
        "format": "e57",
        "tree": json.dumps([tree.root, tree.extensions]).encode(),
        "blobs": tree.blobs,
        "tables": [[] if i in grouped else table for i, table in enumerate(tables)],
    }
    if grouped:
        source["ordered"] = {"groups": [[i, tables[i]] for i in sorted(grouped)]}
    return source


def _tables_in(node: Node | None) -> list[int]:
    if node is None or node[0] not in ("structure", "table"):
        return []
    if node[0] == "table":
        return [node[1]]
    return [number for _, child in node[1] for number in _tables_in(child)]


def _packed(table: dict[str, Array]) -> list[list[Any]]:
    little = {name: column.astype(column.dtype.newbyteorder("<")) for name, column in table.items()}
    return [[name, column.dtype.char, column.tobytes()] for name, column in little.items()]


def _unpacked(table: list[list[Any]]) -> dict[str, Array]:
    columns = {name: np.frombuffer(raw, np.dtype(f"<{kind}")) for name, kind, raw in table}
    return {name: column.astype(column.dtype.newbyteorder("=")) for name, column in columns.items()}


def write(shape: PointCloud, suffix: str = ".e57", note: Note = silent) -> bytes:
    """The bytes of an E57 file: scans, poses and images as in its source, if that was one.

    A cloud from elsewhere becomes one scan; what E57 has no name for is left out, and `note` is
    told. UnsupportedError without pye57, OutputError when it refuses a value.
    """
    errors = (_error("writing E57"), ValueError, KeyError, TypeError, RuntimeError, IndexError)
    try:
        tree = _stored_tree(shape, note) or new_tree(shape, note)
        with tempfile.TemporaryDirectory(prefix="pcc-") as folder:
            path = Path(folder) / "result.e57"
            e57tree.save(tree, str(path))
            return path.read_bytes()
    except errors as error:
        reason = str(error).split("\n")[0]
        raise OutputError(f"cannot write this as E57: {reason}") from None


def _stored_tree(shape: PointCloud, note: Note) -> Tree | None:
    """The tree that `shape` came with, its points put back."""
    stored = shape.source
    if stored.get("format") != "e57" or "tree" not in stored:
        return None
    root, extensions = json.loads(stored["tree"])
    scans = scans_of(root)
    if len(scans) > 1 and "scan" not in shape.attributes:
        note("one scan was written: the attribute that tells scans apart is not there")
        return None
    tables = [_unpacked(table) for table in stored["tables"]]
    for number, table in stored.get("ordered", {}).get("groups", []):
        tables[number] = _unpacked(table)
    if "ordered" not in stored:
        root = _without_groups(root)
        scans = scans_of(root)
    gone: list[str] = []
    for number, scan in enumerate(scans):
        rows = shape.attributes["scan"] == number if len(scans) > 1 else slice(None)
        tables[scan["points"][1]] = _table(scan["points"], shape, rows, gone)
    if gone:
        names = listed([*dict.fromkeys(gone)])
        note(f"fields that the .dcz file does not hold are left out: {names}")
    return Tree(root, extensions, stored["blobs"], tables)


def _without_groups(node: Node) -> Node:
    """The tree without the groups of points, which name them by their old places."""
    if node[0] == "structure":
        children = [[n, _without_groups(child)] for n, child in node[1] if n != _GROUPS]
        return ["structure", children]
    return (
        [*node[:2], [_without_groups(child) for child in node[2]]] if node[0] == "vector" else node
    )


def _table(points: Node, shape: PointCloud, rows: Any, gone: list[str]) -> dict[str, Array]:
    """The columns of a scan; the prototype in `points` loses fields that are not there."""
    table: dict[str, Array] = {}
    fields = []
    for field, node in points[2][1]:
        if field in AXES:
            values = _stored_values(node, shape.points[rows, AXES.index(field)])
        elif NAMES.get(field, field) in shape.attributes:
            values = shape.attributes[NAMES.get(field, field)][rows]
        else:
            gone.append(field)
            continue
        table[field] = values
        fields.append([field, _widened(node, values)])
    points[2][1] = fields
    return table


def _stored_values(node: Node, values: Array) -> Array:
    if node[0] == "scaled":
        values = (values - node[5]) / node[4]
    return values.astype(f"f{node[2]}") if node[0] == "float" else np.rint(values).astype(np.int64)


def _widened(node: Node, values: Array) -> Node:
    """The prototype of a field with bounds that hold all values, which libE57 insists on."""
    if not len(values):
        return node
    convert = float if node[0] == "float" else int
    at = 3 if node[0] == "float" else 2
    low, high = min(node[at], convert(values.min())), max(node[at + 1], convert(values.max()))
    return [*node[:at], low, high, *node[at + 2 :]]
