"""What gives a picture its looks: colours of the shape, two lamps, a soft ground to stand on."""

from __future__ import annotations

import numpy as np

from pcc_cli.evaluation.report.camera import Camera
from pcc_cli.evaluation.report.frame import blurred
from pcc_cli.evaluation.report.ramp import HEIGHT
from pcc_cli.geometry import Array

Columns = dict[str, Array]

_CLAY = (0.83, 0.77, 0.70)  # of shapes without colours
_ABOVE, _BELOW = (0.985, 0.982, 0.975), (0.875, 0.880, 0.892)  # the background
_SHADOW = 0.42  # how much of the ground's light the middle of a shadow takes
_LAMPS = (((-0.45, 0.65, -0.62), 0.62), ((0.75, 0.15, -0.65), 0.20))  # right, up, forward; power
_AMBIENT = 0.36


def colours_of(columns: Columns, count: int) -> Array | None:
    """(count, 3) float32 in 0 .. 1 from red, green and blue of any type; None without them."""
    if not {"red", "green", "blue"} <= columns.keys():
        return None
    colours = np.stack([columns[name] for name in ("red", "green", "blue")], axis=1)
    largest = float(np.nanmax(colours)) if count else 0.0
    # 16-bit columns often hold 8-bit values, and floats either 0 .. 1 or 0 .. 255.
    scale = next(top for top in (1.0, 255.0, 65535.0, np.inf) if largest <= top)
    if colours.dtype.kind in "iu":
        scale = max(scale, 255.0)
    return np.clip(np.nan_to_num(colours / scale), 0.0, 1.0).astype(np.float32)


def normals_of(columns: Columns) -> Array | None:
    """(n, 3) float64 from nx, ny and nz; None without them."""
    if not {"nx", "ny", "nz"} <= columns.keys():
        return None
    return np.stack([columns[name].astype(np.float64) for name in ("nx", "ny", "nz")], axis=1)


def clay(count: int) -> Array:
    """(count, 3) float32, the one colour of shapes that have none."""
    return np.broadcast_to(np.array(_CLAY, dtype=np.float32), (count, 3))


def by_height(heights: Array) -> Array:
    """(n, 3) float32: colours from low to high; of clay where all are as high."""
    known = heights[np.isfinite(heights)]
    low, high = np.quantile(known, (0.01, 0.99)) if len(known) else (0.0, 0.0)
    if high - low <= 1e-9 * max(abs(low), abs(high)):
        return clay(len(heights))
    return HEIGHT.colours((heights - low) / (high - low))


def lit(colours: Array, points: Array, normals: Array, camera: Camera) -> Array:
    """`colours` (n, 3) under two lamps that move with the camera; both sides of a surface shine."""
    axes = camera.axes()
    towards = np.array(camera.position) - points
    facing = np.where(np.einsum("ij,ij->i", normals, towards) < 0, -1.0, 1.0)
    # Where the normal is not known, as if the surface faced the camera.
    unknown = (normals == 0).all(axis=1, keepdims=True)
    seen = np.where(unknown, (0.0, 0.0, -1.0), (normals @ axes.T) * facing[:, None])
    light = np.full(len(points), _AMBIENT)
    for lamp, power in _LAMPS:
        direction = np.array(lamp) / np.linalg.norm(lamp)
        light += power * np.clip(0.15 + 0.85 * (seen @ direction), 0.0, None)
    return np.clip(colours * light[:, None], 0.0, 1.0).astype(np.float32)


def background(camera: Camera, points: Array) -> Array:
    """(h, w, 3) float32: a gradient, darker where `points` (n, 3) stand on the ground below."""
    fall = np.linspace(0.0, 1.0, camera.height, dtype=np.float32)[:, None, None] ** 1.5
    wall = np.array(_ABOVE, np.float32) * (1 - fall) + np.array(_BELOW, np.float32) * fall
    shadow = _shadow(camera, points)[..., None]
    return np.broadcast_to(wall, (camera.height, camera.width, 3)) * (1.0 - _SHADOW * shadow)


def _shadow(camera: Camera, points: Array) -> Array:
    """(h, w) float32 in 0 .. 1: the points dropped to the lowest height and blurred."""
    up = np.array(camera.up) / np.linalg.norm(camera.up)
    heights = points @ up
    floor = points - (heights - heights.min())[:, None] * up if len(points) else points
    seen = camera.project(floor)
    column, row = np.floor(seen[:, :2]).T.astype(np.int64)
    inside = (seen[:, 2] > 0) & (column >= 0) & (column < camera.width)
    inside &= (row >= 0) & (row < camera.height)
    shadow = np.zeros((camera.height, camera.width), dtype=np.float32)
    shadow[row[inside], column[inside]] = 1.0
    unit = max(camera.height // 200, 1)
    solid = np.clip(blurred(shadow, unit) * 6.0, 0.0, 1.0)  # closes the gaps between points
    return 0.5 * (blurred(solid, 2 * unit) + blurred(solid, 6 * unit))
