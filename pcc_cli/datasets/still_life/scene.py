"""A scene: solids with paint on them, and what the scanner asks of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pcc_cli.datasets.solids import Field
from pcc_cli.geometry import Array

Paint = Callable[[Array, Array], Array]


@dataclass(frozen=True)
class Thing:
    """A solid and its colours.

    paint : (points, normals) (n, 3) -> (n, 3) colours in 0 .. 1, as shown on a screen
    """

    field: Field
    paint: Paint


@dataclass(frozen=True)
class Scene:
    """Things, and the distance to the nearest of them."""

    things: tuple[Thing, ...]

    def distance(self, points: Array) -> Array:
        """(n,) distances: close to the truth near a thing, elsewhere never above it."""
        return np.min([thing.field(points) for thing in self.things], axis=0)

    def colours(self, points: Array, normals: Array) -> Array:
        """(n, 3) in 0 .. 1: the paint of the thing that each point lies on."""
        distances = np.stack([thing.field(points) for thing in self.things])
        owner = distances.argmin(0)
        colours = np.zeros((len(points), 3))
        for index, thing in enumerate(self.things):
            rows = owner == index
            colours[rows] = thing.paint(points[rows], normals[rows])
        return np.clip(colours, 0.0, 1.0)


def mix(first: str, second: str, part: Array) -> Array:
    """(n, 3) from the colour `first` (part 0) to `second` (part 1), both as "rrggbb"."""
    low, high = (np.array(list(bytes.fromhex(name))) / 255.0 for name in (first, second))
    amount = np.clip(part, 0.0, 1.0)[:, None]
    return low * (1.0 - amount) + high * amount


def over(below: Array, above: Array, where: Array) -> Array:
    """`below` (n, 3) covered by `above` as far as `where` (n,) in 0 .. 1 says."""
    amount = np.clip(where, 0.0, 1.0)[:, None]
    return below * (1.0 - amount) + above * amount
