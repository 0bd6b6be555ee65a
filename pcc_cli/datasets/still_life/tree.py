"""The tree in blossom."""

from __future__ import annotations

from pcc_cli.datasets import solids
from pcc_cli.datasets.noise import fractal_noise, value_noise
from pcc_cli.datasets.solids import Vector
from pcc_cli.datasets.still_life.scene import Thing, mix, over
from pcc_cli.geometry import Array

_PLACE = (45.0, 6.0)
_BRANCHES: tuple[tuple[Vector, Vector, float, float], ...] = (
    ((0.0, 0.0, -2.0), (4.0, -2.0, 14.0), 5.6, 4.2),
    ((4.0, -2.0, 14.0), (-2.0, 1.0, 32.0), 4.2, 3.2),
    ((-2.0, 1.0, 32.0), (2.0, 2.0, 56.0), 3.2, 2.0),
    ((2.0, -1.0, 20.0), (15.0, -6.0, 40.0), 2.4, 1.5),
    ((-2.0, 1.0, 32.0), (-13.0, 4.0, 50.0), 2.2, 1.4),
    ((0.0, 1.5, 44.0), (9.0, 8.0, 60.0), 1.8, 1.2),
    ((0.0, 0.0, 3.0), (-8.0, -5.0, -2.0), 2.8, 1.2),
    ((0.0, 0.0, 3.0), (6.0, -8.0, -2.0), 2.8, 1.2),
    ((0.0, 0.0, 3.0), (8.0, 5.0, -2.0), 2.8, 1.2),
)
_CLOUDS: tuple[tuple[Vector, float], ...] = (
    ((2.0, 2.0, 72.0), 13.5), ((-12.0, 4.0, 58.0), 11.0), ((15.0, -4.0, 52.0), 11.5),
    ((8.0, 9.0, 63.0), 11.0), ((-4.0, -8.0, 61.0), 10.5), ((10.0, -8.0, 65.0), 8.5),
    ((-5.0, 9.0, 68.0), 9.5), ((22.0, 2.0, 45.0), 7.5), ((-17.0, -2.0, 49.0), 7.0),
)  # fmt: skip


def _at_tree(place: Vector) -> Vector:
    return place[0] + _PLACE[0], place[1] + _PLACE[1], place[2]


def trunk() -> Thing:
    rods = [solids.limb(_at_tree(a), _at_tree(b), first, last) for a, b, first, last in _BRANCHES]
    wood = solids.union(rods, 2.0)

    def bark(points: Array) -> Array:
        return 0.35 * value_noise(points * (1.0, 1.0, 0.25), 2.6, 61)

    def paint(points: Array, normals: Array) -> Array:
        grain = fractal_noise(points * (1.0, 1.0, 0.3), 3.0, 62)
        return mix("4a3226", "8d6a50", 0.45 + 0.9 * grain)

    return Thing(
        solids.bounded(solids.rough(wood, bark, 0.35), _at_tree((0.0, 0.0, 28.0)), 40.0), paint
    )


def crown() -> Thing:
    balls = [
        solids.ball(_at_tree(middle), (radius, radius, 0.78 * radius)) for middle, radius in _CLOUDS
    ]
    leaves = solids.union(balls, 3.0)

    def petals(points: Array) -> Array:
        return 1.3 * value_noise(points, 5.0, 71) + 0.8 * value_noise(points, 2.4, 72)

    def paint(points: Array, normals: Array) -> Array:
        blossom = mix("e58aa6", "fbd9df", 0.5 + 0.9 * fractal_noise(points, 6.0, 73))
        green = mix("5d7f39", "8fab57", 0.5 + value_noise(points, 4.0, 76))
        under = -0.25 - 0.9 * normals[:, 2] + 0.8 * value_noise(points, 3.5, 77)
        return over(blossom, green, 2.0 * under)

    return Thing(
        solids.bounded(solids.rough(leaves, petals, 2.1), _at_tree((2.0, 0.0, 62.0)), 36.0), paint
    )
