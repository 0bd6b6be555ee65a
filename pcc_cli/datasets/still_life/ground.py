"""The lawn with its path, and the pedestal."""

from __future__ import annotations

import numpy as np

from pcc_cli.datasets import solids
from pcc_cli.datasets.noise import fractal_noise, value_noise
from pcc_cli.datasets.still_life.scene import Thing, mix, over
from pcc_cli.geometry import Array


def ground() -> Thing:
    plate = solids.slab((0.0, 0.0, -3.7), (76.0, 38.0, 3.7), 38.0, 0.4)

    def turf(points: Array) -> Array:
        return 0.35 * value_noise(points, 7.0, 11) * (points[:, 2] > -2.0)

    def paint(points: Array, normals: Array) -> Array:
        grass = mix("4f7a2e", "9db553", 0.5 + 0.8 * fractal_noise(points, 9.0, 12))
        earth = mix("6d4c33", "8a6444", 0.5 + fractal_noise(points, 5.0, 15))
        colours = over(earth, grass, 4.0 * (normals[:, 2] - 0.45))
        stones, joint = _cobbles(points)
        path = 7.0 - np.abs(points[:, 0] - 0.4 * points[:, 1] - 9.0)
        on_path = np.where((points[:, 1] < -20.0) & (normals[:, 2] > 0.6), path, -1.0)
        return over(colours, over(stones, earth, joint), on_path)

    return Thing(solids.bounded(solids.rough(plate, turf, 0.35), (0.0, 0.0, -3.5), 78.0), paint)


def _cobbles(points: Array) -> tuple[Array, Array]:
    """Colour (n, 3) of paving stones about 5 mm wide, and how much a place is a joint (n,)."""
    places = points[:, :2] / 5.0
    cells = np.floor(places)
    gaps, shades = [], []
    for step in np.ndindex(3, 3):
        cell = cells + np.array(step) - 1.0
        jitter = np.modf(np.abs(np.sin(cell @ [[127.1, 269.5], [311.7, 183.3]]) * 43.7))[0]
        gaps.append(np.linalg.norm(cell + jitter - places, axis=1))
        shades.append(jitter[:, 0])
    order = np.argsort(gaps, axis=0)
    first, second = (np.take_along_axis(np.array(gaps), order[k : k + 1], 0)[0] for k in (0, 1))
    shade = np.take_along_axis(np.array(shades), order[:1], 0)[0]
    return mix("b9b2a6", "8f8a86", shade), 1.0 - 6.0 * (second - first)


def pedestal() -> Thing:
    steps = ((3.0, 23.0, 3.0), (7.5, 20.0, 2.0), (40.0, 19.5, 1.4), (43.3, 22.0, 2.7))
    parts = [solids.block((0.0, 0.0, z), (half, half, tall), 0.4) for z, half, tall in steps]
    parts.append(solids.block((0.0, 0.0, 24.0), (17.0, 17.0, 20.0), 0.8))
    field = solids.union(parts, 0.8)

    def paint(points: Array, normals: Array) -> Array:
        veins = np.abs(fractal_noise(points, 30.0, 23, 4))
        stone = mix("efe6d6", "d9c9b2", 0.5 + fractal_noise(points, 14.0, 25))
        stone = over(stone, mix("a88d78", "a88d78", veins), 0.8 - 14.0 * veins)
        gold = mix("d9a441", "f0cf7a", 0.5 + value_noise(points, 3.0, 27))
        return over(stone, gold, np.where(points[:, 1] < -15.0, _inscription(points), 0.0))

    return Thing(solids.bounded(field, (0.0, 0.0, 23.0), 40.0), paint)


def _inscription(points: Array) -> Array:
    """(n,) in 0 .. 1: the letters p, c, c, on the front of the pedestal."""
    places = points[:, [0, 2]] - (0.0, 25.0)
    ink = np.full(len(points), np.inf)
    for middle, is_open in ((-8.6, False), (0.4, True), (9.0, True)):
        offset = places - (middle, 0.0)
        bow = np.abs(np.hypot(offset[:, 0], offset[:, 1]) - 3.1)
        if is_open:
            bow[(offset[:, 0] > 0.0) & (np.abs(offset[:, 1]) < 0.85 * offset[:, 0])] = np.inf
        ink = np.minimum(ink, bow)
    stem = np.hypot(places[:, 0] + 11.7, np.maximum(np.abs(places[:, 1] + 2.6) - 5.6, 0.0))
    return 2.0 * (1.45 - np.minimum(ink, stem))
