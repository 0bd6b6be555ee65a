"""Where to look from: what kind of scene a shape is, which way is up, what is worth framing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pcc_cli.evaluation.report.camera import Camera, Vector, points_of
from pcc_cli.geometry import Array, Mesh, PointCloud, Visible, VoxelCloud

_Y, _Z = (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)
_MOST = 100_000  # points that decide about larger shapes
_FLAT = 0.45  # height over the shorter side, of 80 % of the points: below, it is land and no body
_ON_GROUND = 0.02  # of the extent: a shape whose lowest point is that near to 0 stands on it
_TALL = 1.4  # times as high as wide: it stands
_CENTRAL = 0.3  # a sweep has half of its points within that part of its reach from the middle
_THIN = 0.12  # spread of depth over depth along one ray: what one depth camera has seen


@dataclass(frozen=True)
class Scene:
    """How a shape is best seen.

    kind : "body", "land" (flat, seen from above), "sweep" (around a scanner) or "view" (what a
           depth camera saw, with the camera at the origin)
    up : the direction that is vertical in the picture
    azimuth, elevation : degrees, as in `Camera.looking_at`
    inner : part of the points that decides the framing; the farthest ones may be cut off
    """

    kind: str
    up: Vector
    azimuth: float
    elevation: float
    inner: float = 1.0


def scene_of(shape: Visible) -> Scene:
    """What `shape` seems to be, from its points alone."""
    points = points_of(shape)
    points = points[np.isfinite(points).all(1)]
    points = points[:: 1 + len(points) // _MOST]
    if len(points) < 4 or not np.ptp(points, axis=0).any():
        return Scene("body", _Z, -60.0, 20.0)
    if isinstance(shape, PointCloud) and _from_depth_camera(points):
        return Scene("view", (0.0, -1.0, 0.0), -82.0, 6.0, inner=0.995)
    low, high = np.quantile(points, (0.1, 0.9), axis=0)
    width, depth, height = high - low
    surveyed = isinstance(shape, PointCloud) and shape.source.get("format") == "las"
    if surveyed or height < _FLAT * min(width, depth):
        if _around_sensor(points):
            return Scene("sweep", _Z, -155.0, 45.0, inner=0.86)
        return Scene("land", _Z, -60.0, 38.0, inner=0.999)
    up = _upright(shape, points)
    azimuth = -75.0 if up == _Y else -60.0  # from the front, +z or -y, and a little aside
    return Scene("body", up, azimuth, 10.0 if up == _Y else 18.0)


def best_camera(shape: Visible, width: int = 800, height: int = 600) -> Camera:
    """The camera that shows `shape` as one shows its like: a body from the front, land from above.

    width, height : pixels
    """
    scene = scene_of(shape)
    return Camera.looking_at(
        shape,
        scene.azimuth,
        scene.elevation,
        up=scene.up,
        width=width,
        height=height,
        margin=0.05,
        inner=scene.inner,
    )


def _upright(shape: Visible, points: Array) -> Vector:
    """y or z: the one it stands on at 0, else the one along which it is long, else custom."""
    low, extent = points.min(0), np.ptp(points, axis=0)
    voxels = isinstance(shape, VoxelCloud) or bool((low >= 0).all() and (points % 1 == 0).all())
    stands = np.abs(low[1:]) < _ON_GROUND * extent.max()
    if stands[0] != stands[1] and not voxels:  # which begin at 0 along any axis
        return _Y if stands[0] else _Z
    longest = int(np.argmax(extent))
    if longest > 0 and extent[longest] > _TALL * np.delete(extent, longest).max():
        return _Y if longest == 1 else _Z
    return _Y if isinstance(shape, Mesh) or voxels else _Z  # graphics, as against surveying


def _around_sensor(points: Array) -> bool:
    """Whether the points thin out with their distance from the middle, where the scanner stood."""
    away = np.linalg.norm(points[:, :2] - np.median(points[:, :2], axis=0), axis=1)
    return bool(np.median(away) < _CENTRAL * away.max())


def _from_depth_camera(points: Array) -> bool:
    """Whether from the origin along +z each ray meets one surface, in the field of a camera."""
    if points[:, 2].min() <= 0.05 * points[:, 2].max():
        return False
    rays = points[:, :2] / points[:, 2:]
    if np.abs(rays).max() > 1.5 or np.ptp(rays, axis=0).min() < 0.2:
        return False
    if not ((rays.min(0) < 0) & (rays.max(0) > 0)).all():
        return False
    cells = np.floor(rays * 40.0).astype(np.int64) @ (1, 1 << 20)
    _, cell, count = np.unique(cells, return_inverse=True, return_counts=True)
    mean = np.bincount(cell, points[:, 2]) / count
    spread = np.bincount(cell, np.abs(points[:, 2] - mean[cell])) / count / mean
    return bool(np.quantile(spread[count > 3], 0.8) < _THIN) if (count > 3).any() else False
