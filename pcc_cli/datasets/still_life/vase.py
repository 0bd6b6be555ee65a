"""The painted vase."""

from __future__ import annotations

import numpy as np

from pcc_cli.datasets import solids
from pcc_cli.datasets.noise import fractal_noise
from pcc_cli.datasets.still_life.scene import Thing, mix, over
from pcc_cli.geometry import Array

_PLACE = (-47.0, -12.0)
_BANDS = ((1.5, 3.5), (19.0, 1.0), (33.0, 1.0), (36.0, 2.2), (46.0, 2.4), (53.5, 2.0))


def vase() -> Thing:
    outer = solids.turned(
        ((0.0, 8.0), (2.5, 8.0), (4.0, 5.2), (7.0, 6.5), (20.0, 15.5), (32.0, 15.5), (39.0, 9.0),
         (43.0, 5.6), (49.0, 5.4), (52.0, 8.2), (54.0, 8.2)), _PLACE,
    )  # fmt: skip
    throat = solids.turned(((44.0, 3.8), (49.0, 4.0), (53.0, 6.8), (56.0, 7.0)), _PLACE)
    handles = [
        solids.ring((_PLACE[0] + side * 8.6, _PLACE[1], 42.5), (0.0, 1.0, 0.0), 5.6, 1.35)
        for side in (-1.0, 1.0)
    ]
    field = solids.hollow(solids.union([outer, *handles], 0.8), throat)

    def paint(points: Array, normals: Array) -> Array:
        clay = mix("b4512b", "d97b46", 0.5 + 0.8 * fractal_noise(points, 9.0, 51))
        slip = mix("2a1d1a", "43302a", 0.5 + fractal_noise(points, 7.0, 54))
        return over(clay, slip, _ornament(points))

    return Thing(solids.bounded(field, (_PLACE[0], _PLACE[1], 27.0), 33.0), paint)


def _ornament(points: Array) -> Array:
    """(n,) in 0 .. 1: bands and two rows of zigzag, as on a Greek vase."""
    height = points[:, 2]
    angle = np.arctan2(points[:, 1] - _PLACE[1], points[:, 0] - _PLACE[0])
    saw = np.abs(np.modf((angle / np.pi + 1.0) * 8.0)[0] - 0.5) * 2.0
    waves = 1.0 - np.abs(height - 26.0 - 6.0 * (saw - 0.5)) / 0.9
    teeth = np.where((height > 8.5) & (height < 17.0), (17.0 - height) / 8.5 - saw, -1.0) * 4.0
    bands = [1.6 - 2.0 * np.abs(height - middle) / wide for middle, wide in _BANDS]
    inked = np.maximum(np.max(bands, axis=0), np.maximum(waves, teeth))
    arm = np.hypot(points[:, 0] - _PLACE[0], points[:, 1] - _PLACE[1]) > 9.5
    return np.where(arm & (height > 36.5), 1.0, inked)
