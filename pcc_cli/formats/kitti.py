"""Raw LiDAR scans as KITTI and nuScenes store them (.bin): rows of little-endian float32.

The file says nothing about itself. Rows are x, y, z, intensity (KITTI), or these and a fifth
column: the laser ring (nuScenes) or a time. Only the right width keeps coordinates out of the
other columns, so it is the one for which every column is plausible; a caller may name the columns
instead.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pcc_cli.errors import InputError
from pcc_cli.formats.columns import same
from pcc_cli.formats.talk import Note, listed, silent
from pcc_cli.geometry import Array, PointCloud

MESHES = False
WIDTHS = (4, 5)
_FARTHEST = 1e5  # metres; no sensor sees farther, bytes that are not floats nearly always do
_SMALLEST = 1e-30  # an integer read as float32 is a denormal or close to one
_BRIGHTEST = 65535.0  # intensities have 16 bits at most, or run from 0 to 1
_RINGS = 1024  # more lasers than any sensor has


def read(
    data: bytes, name: str, note: Note = silent, fields: Sequence[str] | None = None
) -> PointCloud:
    """The scan in `data`: float32 points in metres, one float32 attribute a further column.

    fields : names of all columns, x, y and z among them; without them they are judged

    Raises InputError when the bytes are no such scan or fit more than one width.
    """
    if not data or len(data) % 4:
        raise InputError(f"{name}: {len(data)} bytes are not rows of float32")
    values = np.frombuffer(data, dtype="<f4").astype(np.float32)
    names = list(fields) if fields else _judged(values, name)
    if len(values) % len(names) or len({*names}) < len(names) or not {*"xyz"} <= {*names}:
        raise InputError(
            f"{name}: {len(values)} float32 are not rows of {','.join(names)}; "
            "x, y and z have to be there, and each name once"
        )
    if not fields:
        note(f"taken as rows of float32 {','.join(names)}")
    columns = dict(zip(names, values.reshape(-1, len(names)).T, strict=True))
    points = np.stack([columns.pop(axis) for axis in "xyz"], axis=1)
    attributes = {title: np.ascontiguousarray(column) for title, column in columns.items()}
    return PointCloud(points, attributes, {"format": "kitti", "fields": names})


def _judged(values: Array, name: str) -> list[str]:
    """The names of the columns, by what their values look like."""
    fitting = [values.reshape(-1, width) for width in WIDTHS if len(values) % width == 0]
    plausible = [rows for rows in fitting if _is_plausible(rows)]
    if not plausible:
        raise InputError(
            f"{name}: not a raw LiDAR scan of 4 or 5 float32 columns; "
            "if it is one, name the columns: --fields x,y,z,..."
        )
    if len(plausible) > 1:
        raise InputError(
            f"{name}: the rows may have 4 or 5 columns; "
            "name them: --fields x,y,z,intensity or --fields x,y,z,intensity,ring"
        )
    rows = plausible[0]
    fifth = ["ring" if _are_rings(rows[:, 4]) else "time"] if rows.shape[1] == 5 else []
    return ["x", "y", "z", "intensity", *fifth]


def _is_plausible(rows: Array) -> bool:
    """Whether each column looks like what it would be; NaN passes."""
    size = np.abs(rows)
    metres = not (size[:, :3] > _FARTHEST).any()
    floats = not ((size > 0) & (size < _SMALLEST)).any()
    return metres and floats and _are_bright(rows[:, 3]) and bool((rows[:, 4:] >= 0).all())


def _are_bright(column: Array) -> bool:
    return bool(((column >= 0) & (column <= _BRIGHTEST) | np.isnan(column)).all())


def _are_rings(column: Array) -> bool:
    return bool(((column == np.rint(column)) & (column >= 0) & (column < _RINGS)).all())


def write(shape: PointCloud, suffix: str = ".bin", note: Note = silent) -> bytes:
    """The rows of a scan, in the columns of its source; else x, y, z, intensity, and ring or time.

    Whatever does not fit is left out or rounded, and `note` is told.
    """
    columns: dict[str, Array] = {axis: shape.points[:, i] for i, axis in enumerate("xyz")}
    columns |= shape.attributes
    names = _names(shape)
    missing = [name for name in names if name not in columns]
    if missing:
        note(f"zeros stand for what there is not: {listed(missing)}")
    gone = [name for name in columns if name not in names]
    if gone:
        note(f"a scan has no place for {listed(gone)}")
    none = np.zeros(len(shape), np.float32)
    with np.errstate(over="ignore"):
        rows = {name: columns.get(name, none).astype("<f4") for name in names}
    rounded = [name for name in names if same(columns.get(name, none), "f4") is None]
    if rounded:
        restored = np.stack([rows[axis] for axis in "xyz"], axis=1)
        note(f"rounded to float32: {listed(rounded)}{_error(shape.points, restored)}")
    return np.stack([*rows.values()], axis=1).tobytes()


def _names(shape: PointCloud) -> list[str]:
    stored = shape.source.get("fields")
    if shape.source.get("format") == "kitti" and isinstance(stored, list):
        return [str(name) for name in stored]
    fifth = next((name for name in ("ring", "time") if name in shape.attributes), None)
    return ["x", "y", "z", "intensity", *([fifth] if fifth else [])]


def _error(points: Array, restored: Array) -> str:
    """How far the coordinates moved, in words; nothing if they did not."""
    if not len(points):
        return ""
    distance = np.sqrt(((restored.astype(np.float64) - points) ** 2).sum(axis=1))
    farthest = float(np.nanmax(distance, initial=0.0))
    return f" (coordinates by up to {farthest:.3g})" if farthest else ""
