"""Generated outdoor scans: a spinning LiDAR among boxes, and terrain with trees from the air.

Metres throughout. The same seed gives the same cloud.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pcc_cli.datasets.noise import fractal_noise
from pcc_cli.geometry import Array, PointCloud

_SENSOR_HEIGHT, _FARTHEST = 1.73, 100.0
_RANGE_STEP, _RANGE_NOISE = 0.002, 0.006
_DENSITY = 8.0  # points per square metre from the air
_PLOT = 9.0  # there is at most one tree in a square of this size
_CHUNK = 1 << 19  # points at a time: bounds the memory of large clouds
_GROUND, _TREE = 2, 5  # classes of the LAS standard
ORIGIN = (412_000, 5_318_000, 480)  # of the terrain, as in a national grid


def lidar(lasers: int = 64, columns: int = 1800, boxes: int = 60, seed: int = 0) -> PointCloud:
    """One turn of a LiDAR over a plane with boxes: float32 points, not on a Cartesian grid.

    Its ranges are multiples of 2 mm. Columns: intensity float32 in 0 .. 1 and ring uint16.
    """
    rng = np.random.default_rng(seed)
    lift = np.radians(np.linspace(2.0, -24.8, lasers))
    turn = np.linspace(-np.pi, np.pi, columns, endpoint=False)
    ring, column = (index.ravel() for index in np.indices((lasers, columns)))
    level = np.cos(lift[ring])
    rays = np.stack(
        [level * np.cos(turn[column]), level * np.sin(turn[column]), np.sin(lift[ring])], axis=1
    )
    with np.errstate(divide="ignore"):
        ranges = np.where(rays[:, 2] < 0, -_SENSOR_HEIGHT / rays[:, 2], np.inf)
        shade = np.full(len(rays), 0.25)
        for low, high in _boxes(boxes, rng):
            _hit(rays, low, high, ranges, shade, float(rng.uniform(0.2, 0.9)))
    measured = ranges + rng.normal(0.0, _RANGE_NOISE, len(ranges))
    back = (ranges < _FARTHEST) & (rng.random(len(ranges)) > 0.02)
    steps = np.rint(measured[back] / _RANGE_STEP) * _RANGE_STEP
    intensity = np.clip(shade + rng.normal(0.0, 0.03, len(rays)), 0.0, 1.0)[back]
    attributes: dict[str, Array] = {
        "intensity": (np.rint(intensity * 100.0) / 100.0).astype(np.float32),
        "ring": ring[back].astype(np.uint16),
    }
    return PointCloud((steps[:, None] * rays[back]).astype(np.float32), attributes)


def terrain(
    count: int = 200_000, seed: int = 0, *, plain: bool = False, density: float = _DENSITY
) -> PointCloud:
    """`count` points of an airborne survey on a 1 cm grid, made piece by piece.

    float64 in a national grid, with intensity uint16, classification uint8 and gps_time float64;
    `plain`: float32 around zero and nothing else, which 20 M points fit into 240 MB with.
    """
    origin = np.zeros(3, dtype=np.int64) if plain else 100 * np.array(ORIGIN)
    points = np.empty((count, 3), dtype=np.float32 if plain else np.float64)
    classes = np.empty(count, dtype=np.uint8)
    for start, cells, kinds in _pieces(count, density, seed):
        points[start : start + len(cells)] = (cells + origin) / 100.0
        classes[start : start + len(cells)] = kinds
    if plain:
        return PointCloud(points)
    rng = np.random.default_rng([seed, 1])
    bright = np.where(classes == _GROUND, 900.0, 400.0) + rng.normal(0.0, 90.0, count)
    attributes: dict[str, Array] = {
        "intensity": np.clip(bright, 0.0, 65535.0).astype(np.uint16),
        "classification": classes,
        "gps_time": 3.0e5 + np.arange(count) * 4.0e-6,
    }
    return PointCloud(points, attributes)


def _boxes(count: int, rng: np.random.Generator) -> Iterator[tuple[Array, Array]]:
    """Lowest and highest corners (3,): cars, walls and posts that stand on the ground."""
    sizes = np.array([(4.4, 1.8, 1.5), (18.0, 12.0, 7.0), (0.3, 0.3, 5.0)])
    nearest = np.array([5.0, 22.0, 4.0])
    for kind in rng.choice(3, count, p=(0.55, 0.15, 0.3)):
        size = sizes[kind] * rng.uniform(0.7, 1.3, 3)
        if rng.random() < 0.5:
            size[:2] = size[1::-1]
        turn = rng.uniform(0.0, 2.0 * np.pi)
        away = nearest[kind] + rng.gamma(2.0, 9.0)
        middle = away * np.array([np.cos(turn), np.sin(turn)])
        low = np.array([*(middle - 0.5 * size[:2]), -_SENSOR_HEIGHT])
        if np.maximum(low[:2], -low[:2] - size[:2]).max() > 1.0:  # not around the sensor
            yield low, low + size


def _hit(rays: Array, low: Array, high: Array, ranges: Array, shade: Array, colour: float) -> None:
    """Shorten `ranges` where the rays from the origin enter the box, and set `shade` there."""
    with np.errstate(invalid="ignore"):
        first, second = low / rays, high / rays
    enter = np.fmax.reduce(np.fmin(first, second), axis=1)
    leave = np.fmin.reduce(np.fmax(first, second), axis=1)
    nearer = (enter > 0) & (enter <= leave) & (enter < ranges)
    ranges[nearer], shade[nearer] = enter[nearer], colour


def _pieces(count: int, density: float, seed: int) -> Iterator[tuple[int, Array, Array]]:
    """(first index, cells (m, 3) int64 in centimetres, classes (m,)), scan line by scan line."""
    per_line = max(round(count**0.5), 1)
    gap = density**-0.5
    for start in range(0, count, _CHUNK):
        rng = np.random.default_rng([seed, 0, start])
        index = np.arange(start, min(start + _CHUNK, count))
        line, place = np.divmod(index, per_line)
        place = np.where(line % 2, per_line - 1 - place, place)  # the mirror swings
        spots = np.stack([place, line], axis=1) + rng.uniform(-0.4, 0.4, (len(index), 2))
        heights, classes = _landscape(spots * gap, seed, rng)
        points = np.column_stack([spots * gap, heights])
        yield start, np.rint(points * 100.0).astype(np.int64), classes


def _landscape(spots: Array, seed: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """Height and class (m,) of what a pulse that comes down at `spots` (m, 2) meets."""
    ground = 12.0 * fractal_noise(spots, 160.0, 17 * seed, 5)
    ground += rng.normal(0.0, 0.02, len(spots))
    plots = np.floor(spots / _PLOT).astype(np.int64)
    lot = np.random.default_rng([seed, 2]).random((4, 64, 64))[
        :, plots[:, 0] % 64, plots[:, 1] % 64
    ]
    wood = fractal_noise(spots, 90.0, 17 * seed + 9, 2) > 0.6 - 1.2 * lot[0]
    radius = 2.0 + 2.3 * lot[1]
    stem = (plots + 0.3 + 0.4 * lot[2:].T) * _PLOT
    away = np.hypot(*(spots - stem).T) / radius
    inside = wood & (away < 1.0) & (rng.random(len(spots)) < 0.75)
    top = radius * (2.2 + 1.1 * np.sqrt(np.maximum(1.0 - away * away, 0.0)))
    depth = radius * np.minimum(rng.exponential(0.35, len(spots)), 1.8)  # leaves let light through
    heights = np.where(inside, ground + top - depth, ground)
    return heights, np.where(inside, _TREE, _GROUND).astype(np.uint8)
