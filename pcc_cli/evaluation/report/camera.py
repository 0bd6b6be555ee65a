"""A pinhole camera, and the one that sees a whole shape."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pcc_cli.geometry import Array, Visible, VoxelCloud

Vector = tuple[float, float, float]

_MOST_FITTED = 200_000  # points that decide the framing of larger shapes


@dataclass(frozen=True)
class Camera:
    """Where the picture is taken from.

    position, target : in the units of the shape
    up : the direction that is vertical in the picture
    fov_deg : vertical field of view
    width, height : pixels
    """

    position: Vector
    target: Vector
    up: Vector = (0.0, 0.0, 1.0)
    fov_deg: float = 25.0
    width: int = 800
    height: int = 800

    @classmethod
    def looking_at(
        cls,
        shape: Visible,
        azimuth: float = -60.0,
        elevation: float = 20.0,
        *,
        up: Vector = (0.0, 0.0, 1.0),
        fov_deg: float = 25.0,
        width: int = 800,
        height: int = 800,
        margin: float = 0.08,
        inner: float = 1.0,
    ) -> Camera:
        """The camera that shows all of `shape`, as large as `margin` of the frame allows.

        azimuth : degrees about `up`; with `up` = z, 0 looks from +x and 90 from +y
        elevation : degrees above the horizon
        margin : part of the frame that stays free on every side
        inner : part of the points, those nearest to the middle, that must be seen
        """
        points = _inner(_some_points(shape), inner)
        back = _direction(np.array(up, dtype=np.float64), azimuth, elevation)
        axes = _axes(-back, up)
        limit = (1.0 - 2.0 * margin) * np.tan(np.radians(fov_deg) / 2.0)
        target, distance = _framed(points @ axes.T, limit * width / height, limit)
        target = target @ axes
        position = target + distance * back
        return cls(_vector(position), _vector(target), up, fov_deg, width, height)

    @property
    def focal(self) -> float:
        """Pixels that one unit covers at a distance of one unit."""
        return 0.5 * self.height / float(np.tan(np.radians(self.fov_deg) / 2.0))

    def axes(self) -> Array:
        """(3, 3) float64, rows: right, up and forward, unit vectors."""
        return _axes(np.array(self.target) - np.array(self.position), self.up)

    def project(self, points: Array) -> Array:
        """(n, 3) float64: column, row (pixels, of the frame's corner) and depth of `points`.

        Points that are not in front of the camera have a depth of at most 0, and no place.
        """
        seen = (points.astype(np.float64) - self.position) @ self.axes().T
        depth = seen[:, 2]
        scale = self.focal / np.where(depth > 0, depth, np.inf)
        seen[:, 0] = 0.5 * self.width + scale * seen[:, 0]
        seen[:, 1] = 0.5 * self.height - scale * seen[:, 1]
        return seen

    def enlarged(self, factor: int) -> Camera:
        """The same view with `factor` times as many pixels each way."""
        return Camera(self.position, self.target, self.up, self.fov_deg,
                      self.width * factor, self.height * factor)  # fmt: skip


def points_of(shape: Visible) -> Array:
    """(n, 3), the finite points, voxels or vertices of `shape`; float64."""
    points = shape.voxels if isinstance(shape, VoxelCloud) else shape.points
    return points.astype(np.float64)


def _some_points(shape: Visible) -> Array:
    points = points_of(shape)
    points = points[np.isfinite(points).all(1)]
    if not len(points):
        return np.zeros((1, 3))
    return points[:: 1 + len(points) // _MOST_FITTED]


def _inner(points: Array, part: float) -> Array:
    """The `part` of the points (n, 3) that lies nearest to their median."""
    away = np.linalg.norm(points - np.median(points, axis=0), axis=1)
    return points[away <= np.quantile(away, part)]


def _vector(values: Array) -> Vector:
    x, y, z = (float(value) for value in values)
    return x, y, z


def _unit(vector: Array) -> Array:
    return vector / max(float(np.linalg.norm(vector)), 1e-300)


def _direction(up: Array, azimuth: float, elevation: float) -> Array:
    """(3,) the unit vector from the target to the camera."""
    up = _unit(up)
    start = np.array([1.0, 0.0, 0.0]) if abs(up[0]) < 0.9 else np.array([0.0, 1.0, 0.0])
    start = _unit(start - (start @ up) * up)
    turn, lift = np.radians(azimuth), np.radians(elevation)
    level = np.cos(turn) * start + np.sin(turn) * np.cross(up, start)
    return np.cos(lift) * level + np.sin(lift) * up


def _axes(forward: Array, up: Vector) -> Array:
    forward = _unit(forward)
    right = np.cross(forward, up)
    if np.linalg.norm(right) < 1e-9:  # straight down: any direction may be right
        right = np.cross(forward, np.roll(np.array(up), 1))
    right = _unit(right)
    return np.stack([right, np.cross(right, forward), forward])


def _framed(seen: Array, limit_x: float, limit_y: float) -> tuple[Array, float]:
    """Target (3,) in camera axes and the distance at which `seen` (n, 3) fills the frame."""
    target = 0.5 * (seen.min(0) + seen.max(0))
    for _ in range(4):  # perspective moves the middle; it settles at once
        distance = _distance(seen - target, limit_x, limit_y)
        places = (seen - target)[:, :2] / (seen[:, 2] - target[2] + distance)[:, None]
        target[:2] += 0.5 * distance * (places.min(0) + places.max(0))
    return target, _distance(seen - target, limit_x, limit_y)


def _distance(offset: Array, limit_x: float, limit_y: float) -> float:
    """The least distance at which `offset` (n, 3) from the target is inside of both limits."""
    sides = np.abs(offset[:, :2]) / (limit_x, limit_y)
    distance = float((sides.max(1) - offset[:, 2]).max())
    in_front = 1.1 * float(-offset[:, 2].min())
    return max(distance, in_front) or 1.0  # 1.0: a single point
