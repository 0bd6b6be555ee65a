"""A scanner that walks around a scene: rays from several stations, noise, one fused cloud."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pcc_cli.datasets import solids
from pcc_cli.datasets.still_life import Scene
from pcc_cli.geometry import Array

_STEP = 0.85  # part of the distance that a ray goes: the fields are not quite distances
_HIT = 0.03  # millimetres from the surface at which a ray has arrived
_MOST_STEPS = 120
_GRAIN = 0.004  # deviation of a point's brightness, which goes from 0 to 1
_LIFTS_DEG = (8.0, 48.0, 24.0)  # heights of the stations above the horizon, by turns
_LAMP = np.array([-0.42, -0.62, 0.66]) / np.linalg.norm([-0.42, -0.62, 0.66])
_OCCLUSION = (1.0, 2.5, 5.0, 9.0)  # millimetres above the surface where the sky is looked for


@dataclass(frozen=True)
class Scanner:
    """Lengths are millimetres.

    stations : places around the scene
    spacing : between the rays, where they pass the middle of the scene
    noise : deviation of a measured range
    grid : the points are rounded to multiples of this; one point is kept of those that coincide
    """

    stations: int = 10
    spacing: float = 0.8
    noise: float = 0.12
    grid: float = 1.0
    distance: float = 420.0
    steepest_deg: float = 78.0  # surfaces that a ray meets at a flatter angle return nothing

    def scan(self, scene: Scene, center: Array, radius: float, seed: int) -> tuple[Array, Array]:
        """Cells (n, 3) int64 in units of `grid` and colours (n, 3) uint8, station by station.

        `center` and `radius` are the ball that the scanner looks at.
        """
        rng = np.random.default_rng(seed)
        views = [self._view(number, center, radius, rng) for number in range(self.stations)]
        origins, rays = (np.concatenate(parts) for parts in zip(*views, strict=True))
        ranges = self._ranges(scene, origins, rays, radius)
        back = np.isfinite(ranges)
        origins, rays, ranges = origins[back], rays[back], ranges[back, None]
        points = origins + ranges * rays
        normals = solids.normals(scene.distance, points)
        facing = -np.einsum("ij,ij->i", normals, rays) > np.cos(np.radians(self.steepest_deg))
        points, normals, rays = points[facing], normals[facing], rays[facing]
        colours = _photographed(scene, points, normals) + rng.normal(0.0, _GRAIN, (len(points), 1))
        measured = points + rng.normal(0.0, self.noise, (len(points), 1)) * rays
        return _fused(np.rint(measured / self.grid).astype(np.int64), colours)

    def _view(
        self, number: int, center: Array, radius: float, rng: np.random.Generator
    ) -> tuple[Array, Array]:
        """Origins and unit directions (m, 3) of the rays of a station: a jittered grid."""
        turn = 2.0 * np.pi * (number + 0.25) / self.stations
        lift = np.radians(_LIFTS_DEG[number % len(_LIFTS_DEG)])
        back = np.array([np.cos(lift) * np.cos(turn), np.cos(lift) * np.sin(turn), np.sin(lift)])
        right = np.array([-np.sin(turn), np.cos(turn), 0.0])
        ticks = np.arange(-radius, radius, self.spacing)
        places = np.stack(np.meshgrid(ticks, ticks), axis=-1).reshape(-1, 2)
        places = places[np.hypot(*places.T) < radius]
        places += rng.uniform(-0.3, 0.3, places.shape) * self.spacing
        aim = places @ np.stack([right, np.cross(back, right)]) - self.distance * back
        origins = np.broadcast_to(center + self.distance * back, aim.shape)
        return origins, aim / np.linalg.norm(aim, axis=1, keepdims=True)

    def _ranges(self, scene: Scene, origins: Array, rays: Array, radius: float) -> Array:
        """(m,) how far each ray goes until it meets the scene, infinite when it does not."""
        ranges = np.full(len(rays), self.distance - radius)
        going = np.arange(len(rays))
        for _ in range(_MOST_STEPS):
            gaps = scene.distance(origins[going] + ranges[going, None] * rays[going])
            going, gaps = going[gaps >= _HIT], gaps[gaps >= _HIT]
            ranges[going] += _STEP * gaps
            going = going[ranges[going] < self.distance + radius]
            if not len(going):
                break
        ranges[going] = np.inf  # rays that graze something for too long
        ranges[ranges >= self.distance + radius] = np.inf
        return ranges


def _photographed(scene: Scene, points: Array, normals: Array) -> Array:
    """(n, 3) in 0 .. 1: the paint under a lamp and a sky that hollows see less of."""
    open_sky = np.zeros(len(points))
    for reach in _OCCLUSION:
        gap = scene.distance(points + reach * normals)
        open_sky += np.clip(gap / reach, 0.0, 1.0) / len(_OCCLUSION)
    lamp = np.clip(normals @ _LAMP, 0.0, None)
    light = open_sky * (0.62 + 0.16 * normals[:, 2] + 0.55 * lamp)
    linear = scene.colours(points, normals) ** 2.2 * light[:, None]
    return linear ** (1.0 / 2.2)


def _fused(cells: Array, colours: Array) -> tuple[Array, Array]:
    """Each cell once, where it was first seen, in the mean colour of its points."""
    low = cells.min(0)
    spans = cells.max(0) - low + 1
    keys = np.ravel_multi_index(tuple((cells - low).T), tuple(spans))
    _, first, inverse, counts = np.unique(
        keys, return_index=True, return_inverse=True, return_counts=True
    )
    means = np.stack([np.bincount(inverse, column) / counts for column in colours.T], axis=1)
    order = np.argsort(first)
    shades = np.rint(255.0 * np.clip(means[order], 0.0, 1.0)).astype(np.uint8)
    return cells[first[order]], shades
