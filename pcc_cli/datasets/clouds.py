"""What training needs of a cloud: its own grid, its point spacing, parts of it, other poses."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pcc_cli.geometry import Array, PointCloud
from pcc_cli.tree.morton import morton_order

_DECIMAL_STEPS = (1.0, 0.1, 0.01, 0.001, 0.0001)
_NEAR = 6  # followers in Morton order among which the nearest neighbour is looked for


@dataclass(frozen=True)
class Region:
    """A ball or a box around `center`: where the scaled distance is at most `radius`.

    stretch : (3,) what one unit of distance is along each axis
    """

    center: Array
    stretch: Array
    radius: float
    round: bool

    def distances(self, points: Array) -> Array:
        """(n,) float64, Euclidean for a ball, largest coordinate for a box."""
        gaps = np.abs(points - self.center) / self.stretch
        distances: Array = np.sqrt((gaps * gaps).sum(1)) if self.round else gaps.max(1)
        return distances

    def holds(self, points: Array) -> Array:
        """(n,) bool."""
        return np.asarray(self.distances(points) <= self.radius)

    def touches(self, low: Array, high: Array) -> Array:
        """(n,) bool, whether the boxes from `low` to `high` meet the box around the region."""
        reach = self.radius * self.stretch + 2.0
        meets = (low <= self.center + reach) & (high >= self.center - reach)
        return np.asarray(meets.all(1))


def random_region(points: Array, fraction: float, rng: np.random.Generator) -> Region:
    """A ball or box around one of `points` that holds about `fraction` of them."""
    center = points[rng.integers(len(points))].astype(np.float64)
    is_round = bool(rng.random() < 0.5)
    stretch = np.ones(3) if is_round else np.exp(rng.uniform(-0.5, 0.5, 3))
    region = Region(center, stretch, 0.0, is_round)
    radius = float(np.quantile(region.distances(points), fraction))
    return Region(center, stretch, radius, is_round)


def crop(voxels: Array, count: int, rng: np.random.Generator) -> Array:
    """About `count` of `voxels` from one random region, in their order."""
    if len(voxels) <= count:
        return voxels
    return voxels[random_region(voxels, count / len(voxels), rng).holds(voxels)]


def grounded(voxels: Array) -> Array:
    """`voxels` (n, 3) moved so that each axis starts at 0."""
    return voxels - voxels.min(0) if len(voxels) else voxels


def distinct(voxels: Array) -> Array:
    """The different rows of `voxels` (n, 3) int64 >= 0, in Morton order."""
    voxels = voxels[morton_order(voxels)]
    first = np.ones(len(voxels), dtype=bool)
    first[1:] = (voxels[1:] != voxels[:-1]).any(1)
    return voxels[first]


def blocks_of(voxels: Array, size: int) -> list[Array]:
    """`voxels` (n, 3) >= 0 cut into cubes of `size` voxels along each axis; 0: all in one."""
    if not size or not len(voxels):
        return [voxels]
    places = voxels // size
    order = morton_order(places)
    ends = np.flatnonzero((np.diff(places[order], axis=0) != 0).any(1)) + 1
    return [voxels[rows] for rows in np.split(order, ends)]


def finite(cloud: PointCloud) -> Array:
    """The points (n, 3) float64 without those that hold NaN or infinity."""
    points = cloud.points.astype(np.float64)
    return points[np.isfinite(points).all(1)]


def own_grid(cloud: PointCloud) -> tuple[Array, float] | None:
    """The finite points as (n, 3) int64 >= 0 on the grid of the file, and its step, else None.

    From the scales of LAS (the step is that of x), or the coarsest of 1, 0.1 ... 0.0001 on which
    all points lie as well as their type can say; then made coarser if all are multiples of more.
    """
    points = finite(cloud)
    if "scales" in cloud.source:
        scales, offsets = (np.array(cloud.source[key]) for key in ("scales", "offsets"))
        return _coarsest(np.rint((points - offsets) / scales).astype(np.int64), float(scales[0]))
    precision = np.finfo(np.float32 if cloud.points.dtype == np.float32 else np.float64).eps
    largest = float(np.abs(points).max())
    for step in _DECIMAL_STEPS:
        error = precision * largest / step  # in steps
        nearest = np.rint(points / step)
        if error < 0.02 and (np.abs(points / step - nearest) <= error + 1e-9).all():
            return _coarsest(nearest.astype(np.int64), step)
    return None


def _coarsest(voxels: Array, step: float) -> tuple[Array, float]:
    """`voxels` from 0 and divided by their common divisor: fused scans lie on voxel centres."""
    voxels = grounded(voxels)
    divisor = max(int(np.gcd.reduce(voxels, axis=None)), 1)
    return voxels // divisor, step * divisor


def quantized(points: Array, step: float) -> Array:
    """(n, 3) int64, the nearest multiples of `step`."""
    return np.rint(points / step).astype(np.int64)


def median_spacing(points: Array) -> float:
    """About the median distance from a point to its nearest other place.

    Looked for among the next few in Morton order, from three origins: a neighbour may be missed,
    so the value is slightly high.
    """
    low = points.min(0)
    scale = (1 << 15) / max(float((points - low).max()), 1e-300)
    nearest = np.full(len(points), np.inf)
    for shift in (0, 4681, 9362):
        order = morton_order(((points - low) * scale).astype(np.int64) + shift)
        placed = points[order]
        for ahead in range(1, min(_NEAR, len(points) - 1) + 1):
            gaps = np.linalg.norm(placed[ahead:] - placed[:-ahead], axis=1)
            gaps[gaps == 0] = np.inf
            for rows in (order[ahead:], order[:-ahead]):
                nearest[rows] = np.minimum(nearest[rows], gaps)
    known = nearest[np.isfinite(nearest)]
    return float(np.median(known)) if len(known) else 1.0


def rotation(rng: np.random.Generator) -> Array:
    """(3, 3) float64, a rotation, all equally likely."""
    q, r = np.linalg.qr(rng.standard_normal((3, 3)))
    q = q * np.sign(np.diag(r))  # QR alone prefers some directions
    return np.asarray(q if np.linalg.det(q) > 0 else -q)


def turn_about_z(rng: np.random.Generator) -> Array:
    """(3, 3) float64, a rotation about z."""
    angle = rng.uniform(0.0, 2.0 * np.pi)
    cos, sin = np.cos(angle), np.sin(angle)
    return np.array([[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]])


def mirrored(voxels: Array, rng: np.random.Generator) -> Array:
    """`voxels` in one of the 48 poses that keep the grid, each axis starting at 0."""
    voxels = np.asarray(voxels[:, rng.permutation(3)] * rng.choice([-1, 1], 3))
    return grounded(voxels)


def placed(voxels: Array, rng: np.random.Generator) -> Array:
    """`voxels`, which start at 0, at a random place of their octree: its cells cut elsewhere.

    A quarter stay at 0, as whole clouds do when they are compressed.
    """
    if rng.random() < 0.25:
        return voxels
    largest = int(voxels.max()) if len(voxels) else 0
    room = (1 << largest.bit_length()) - 1 - voxels.max(0)
    return np.asarray(voxels + rng.integers(0, np.maximum(room, 63) + 1))
