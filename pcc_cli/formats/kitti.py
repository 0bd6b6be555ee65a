"""Raw LiDAR scans as KITTI and nuScenes store them (.bin): rows of little-endian float32.

The file says nothing about itself. Rows are x, y, z, intensity (KITTI), or these and a fifth
column: the laser ring (nuScenes) or a time. Only the right width keeps coordinates out of the
intensity column, so the width is the one for which that column is nowhere negative.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pcc_cli.errors import InputError
from pcc_cli.geometry import PointCloud

Array = np.ndarray[Any, Any]

WIDTHS = (4, 5)
_FARTHEST = 1e5  # metres; no sensor sees farther, bytes that are not floats nearly always do
_SMALLEST = 1e-30  # an integer read as float32 is a denormal or close to one


def read(data: bytes, name: str) -> PointCloud:
    """The scan in `data`: float32 points in metres, attributes intensity and ring or time.

    Raises InputError when the bytes are no such scan or fit more than one width.
    """
    rows = _rows(data, name)
    attributes = {"intensity": rows[:, 3].copy()}
    if rows.shape[1] == 5:
        fifth = rows[:, 4].copy()
        whole = bool(np.isfinite(fifth).all()) and bool((fifth == np.rint(fifth)).all())
        attributes["ring" if whole else "time"] = fifth
    return PointCloud(rows[:, :3].copy(), attributes, {"format": "bin", "width": rows.shape[1]})


def _rows(data: bytes, name: str) -> Array:
    """(n, 4 or 5) float32."""
    if not data or len(data) % 4:
        raise InputError(f"{name}: {len(data)} bytes are not rows of float32")
    values = np.frombuffer(data, dtype="<f4").astype(np.float32)
    fitting = [values.reshape(-1, width) for width in WIDTHS if len(values) % width == 0]
    plausible = [rows for rows in fitting if _plausible(rows)]
    if not plausible:
        raise InputError(f"{name}: not a raw LiDAR scan of 4 or 5 float32 columns")
    if len(plausible) > 1:
        raise InputError(f"{name}: the rows may have 4 or 5 columns; convert the file to PLY first")
    return plausible[0]


def _plausible(rows: Array) -> bool:
    """Whether coordinates look like metres and intensities are not negative; NaN passes."""
    size = np.abs(rows)
    return bool(
        (rows[:, 3:] >= 0).all()
        and not (size[:, :3] > _FARTHEST).any()
        and not ((size > 0) & (size < _SMALLEST)).any()
    )
