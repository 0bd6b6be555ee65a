"""Clouds of E57 for other formats, and of other formats for E57."""

from __future__ import annotations

import json
import uuid

import numpy as np

from pcc_cli.formats.e57tree import AXES, NAMES, Node, Tree, scans_of
from pcc_cli.formats.talk import Note, listed
from pcc_cli.geometry import Array, PointCloud

_URI = "http://www.astm.org/COMMIT/E57/2010-e57-v1.0"
_KNOWN = {"red", "green", "blue", "gps_time", "intensity", "rowIndex", "columnIndex"}


def plain(shape: PointCloud, note: Note) -> PointCloud:
    """`shape` as other formats see it: in the common frame, scaled fields as what they mean."""
    root, _ = json.loads(shape.source["tree"])
    scans = scans_of(root)
    points, attributes = shape.points.astype(np.float64), dict(shape.attributes)
    numbers = attributes.get("scan", np.zeros(len(shape), np.uint8))
    for number, scan in enumerate(scans):
        rows = numbers == number
        if "pose" in scan:
            points[rows] = _posed(points[rows], scan["pose"])
            note("the poses of the scans were applied")
        for field, node in scan["points"][2][1]:
            name = NAMES.get(field, field)
            if node[0] == "scaled" and name in attributes:
                if attributes[name].dtype.kind != "f":
                    attributes[name] = attributes[name].astype(np.float64)
                attributes[name][rows] = attributes[name][rows] * node[4] + node[5]
    if shape.source["blobs"]:
        note("the images of the E57 file have no place here")
    moved = any("pose" in scan for scan in scans)
    return PointCloud(points if moved else shape.points, attributes, shape.source)


def _posed(points: Array, pose: Node) -> Array:
    """Rotated by a unit quaternion (w, x, y, z), then moved."""
    parts = {name: [n[1] for _, n in node[1]] for name, node in pose[1]}
    w, x, y, z = parts.get("rotation", [1.0, 0.0, 0.0, 0.0])
    turn = np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )
    turned: Array = points @ turn.T + np.array(parts.get("translation", [0.0, 0.0, 0.0]))
    return turned


def new_tree(shape: PointCloud, note: Note) -> Tree:
    """A file with one scan."""
    names = {name: field for field, name in NAMES.items()}
    columns = {axis: shape.points[:, i] for i, axis in enumerate(AXES)}
    columns |= {names.get(n, n): c for n, c in shape.attributes.items() if n in _KNOWN}
    gone = [name for name in shape.attributes if name not in _KNOWN]
    if gone:
        note(f"E57 has no place for {listed(gone)}")
    columns = {name: column.astype(_kind(column)) for name, column in columns.items()}
    prototype = ["structure", [[name, _node(column)] for name, column in columns.items()]]
    points = ["table", 0, prototype, ["vector", True, []]]
    scan = ["structure", [["guid", ["string", _guid()]], ["points", points]]]
    crs = str(shape.source.get("crs", ""))
    root = [
        ["formatName", ["string", "ASTM E57 3D Imaging Data File"]],
        ["guid", ["string", _guid()]],
        ["versionMajor", ["integer", 1, 1, 1]],
        ["versionMinor", ["integer", 0, 0, 0]],
        ["coordinateMetadata", ["string", crs]],
        ["data3D", ["vector", True, [scan]]],
        ["images2D", ["vector", True, []]],
    ]
    return Tree(["structure", root], [["", _URI]], [], [columns])


def _guid() -> str:
    return f"{{{uuid.uuid4()}}}"


def _kind(column: Array) -> str:
    """float32, float64 or int64, which E57 knows."""
    if column.dtype.kind != "f":
        return "q"
    return "f8" if column.dtype.itemsize > 4 else "f4"


def _node(column: Array) -> Node:
    """The prototype of a new field; bounds as narrow as its integers, for they take the bits."""
    if column.dtype.kind == "f":
        limit = float(np.finfo(column.dtype).max)
        return ["float", 0.0, column.dtype.itemsize, -limit, limit]
    low, high = (int(column.min()), int(column.max())) if len(column) else (0, 0)
    return ["integer", low, low, high]
