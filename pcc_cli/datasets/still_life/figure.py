"""The bronze figure: robe, arms, head, and wings of three rows of feathers. It faces -y."""

from __future__ import annotations

import numpy as np

from pcc_cli.datasets import solids
from pcc_cli.datasets.noise import fractal_noise, value_noise
from pcc_cli.datasets.solids import Field, Vector
from pcc_cli.datasets.still_life.scene import Thing, mix, over
from pcc_cli.geometry import Array

FEET = 46.0  # height on which the figure stands: the top of the pedestal


def figure() -> Thing:
    body = solids.union([_robe(), _torso()], 2.0)
    parts = solids.union([body, *_arms(), *_head()], 0.9)
    solid = solids.bounded(solids.union([parts, *_gilded()], 0.4), (-4.0, -2.0, 51.0), 58.0)
    whole = solids.union([solid, _wings()], 0.4)

    def field(points: Array) -> Array:
        return whole(points - (0.0, 0.0, FEET))

    def paint(points: Array, normals: Array) -> Array:
        # Patina settles where rain runs: on what looks up, less where hands touch.
        wet = 0.68 + 0.6 * fractal_noise(points, 10.0, 31) + 0.35 * normals[:, 2]
        bronze = mix("6e4a2a", "a9743c", 0.5 + fractal_noise(points, 6.0, 35))
        patina = mix("4f9d8c", "8fcdb6", 0.5 + fractal_noise(points, 8.0, 38))
        colours = over(bronze, patina, 0.5 + 1.4 * (wet - 0.5))
        is_gold = solids.union(_gilded())(points - (0.0, 0.0, FEET)) < 0.3
        gold = mix("d8a032", "f7d774", 0.6 + value_noise(points, 4.0, 41))
        return np.where(is_gold[:, None], gold, colours)

    return Thing(field, paint)


def _robe() -> Field:
    drape = solids.turned(
        ((0.0, 15.5), (3.0, 15.5), (14.0, 13.5), (30.0, 10.5), (41.0, 8.2), (47.0, 6.9),
         (53.0, 8.0), (60.0, 9.2), (66.0, 8.8), (71.0, 5.5), (73.0, 2.5)), (0.0, 0.0),
    )  # fmt: skip

    def field(points: Array) -> Array:
        height = points[:, 2]
        moved = points - np.stack(
            [1.8 * np.sin(height / 16.0), 0.8 * np.cos(height / 20.0), 0.0 * height], axis=1
        )
        moved = moved / (1.12, 0.86, 1.0)
        angle = np.arctan2(moved[:, 1], moved[:, 0])
        fall = np.clip(1.0 - height / 46.0, 0.0, 1.0)
        folds = np.cos(11.0 * angle + 1.6 * np.sin(3.0 * angle) + 0.035 * height)
        fine = np.cos(23.0 * angle - 0.05 * height)
        return 0.8 * (drape(moved) - fall * (1.15 * folds + 0.3 * fine))

    return field


def _torso() -> Field:
    return solids.union(
        [
            solids.limb((-8.0, 0.0, 68.0), (8.0, 0.0, 68.0), 3.4, 3.4),
            solids.ball((-3.6, -4.2, 61.5), (3.6, 3.4, 3.8)),
            solids.ball((3.6, -4.2, 61.5), (3.6, 3.4, 3.8)),
            solids.limb((-9.0, -3.5, 70.0), (8.0, -6.5, 49.0), 1.2, 1.2),
            solids.ring((0.0, 0.0, 47.5), (0.1, 0.0, 0.995), 7.2, 1.3),
        ],
        1.6,
    )


def _arms() -> list[Field]:
    return [
        solids.limb((-9.5, 0.0, 68.0), (-19.0, -5.0, 72.0), 3.2, 2.5),
        solids.limb((-19.0, -5.0, 72.0), (-20.0, -9.0, 90.0), 2.5, 1.7),
        solids.ball((-20.0, -9.5, 92.0), (2.0, 1.7, 2.6)),
        solids.limb((9.5, 0.0, 68.0), (16.5, -1.5, 54.0), 3.2, 2.4),
        solids.limb((16.5, -1.5, 54.0), (12.5, -12.0, 47.5), 2.4, 1.6),
        solids.ball((12.0, -13.5, 47.0), (1.9, 2.4, 1.8)),
    ]


def _head() -> list[Field]:
    return [
        solids.limb((0.0, 0.0, 70.0), (0.3, -0.6, 79.0), 2.7, 2.5),
        solids.ball((0.4, -1.0, 85.0), (5.2, 5.9, 7.0)),
        solids.limb((0.4, -6.4, 85.6), (0.4, -7.3, 83.4), 0.6, 0.9),
        solids.ball((0.4, 0.9, 87.5), (6.0, 6.0, 6.2)),
        solids.ball((0.4, 7.2, 88.0), (3.3, 3.3, 3.3)),
    ]


_BONE = np.array([(3.5, 6.0, 63.0), (22.0, 12.0, 88.0), (33.0, 12.5, 99.0)])
# number, shortest, longest, half width, and place in front of the bone
_FEATHERS = (
    (14, 25.0, 39.0, 3.6, 1.0), (13, 16.0, 25.0, 3.4, -0.6), (11, 8.0, 13.0, 3.2, -2.0),
)  # fmt: skip
_FLAT = 2.4  # width of a feather over its thickness


def _wings() -> Field:
    """Both at once: space is folded at the middle plane, and pressed flat for the feathers."""
    bone = solids.union(
        [solids.limb(_place(_BONE[0]), _place(_BONE[1]), 3.2, 2.6),
         solids.limb(_place(_BONE[1]), _place(_BONE[2]), 2.6, 1.6)]
    )  # fmt: skip
    press = np.array([1.0, _FLAT, 1.0])
    rows = [_feathers(row) for row in _FEATHERS]
    roots, tips, widths = (np.concatenate(parts) for parts in zip(*rows, strict=True))
    feathers = solids.limbs(roots * press, tips * press, widths, 0.72 * widths)

    wing = solids.bounded(
        lambda points: np.minimum(bone(points), feathers(points * press) / _FLAT),
        (33.0, 13.0, 72.0), 60.0,
    )  # fmt: skip
    return lambda points: wing(np.abs(points) * (1.0, 0.0, 0.0) + points * (0.0, 1.0, 1.0))


def _feathers(row: tuple[int, float, float, float, float]) -> tuple[Array, Array, Array]:
    """Roots (m, 3), tips (m, 3) and half widths (m,) of one row along the bone."""
    count, shortest, longest, width, before = row
    part = np.linspace(0.0, 1.0, count)
    roots = np.stack([np.interp(part, (0.0, 0.6, 1.0), _BONE[:, k]) for k in range(3)], axis=1)
    roots[:, 1] += before
    angle = np.radians(-100.0 + 148.0 * part**1.25)
    length = shortest + (longest - shortest) * np.sin(np.pi * (0.1 + 0.8 * part))
    away = np.stack([np.cos(angle), 0.1 + 0.1 * part, np.sin(angle)], axis=1)
    return roots, roots + length[:, None] * away, np.full(count, width)


def _place(row: Array) -> Vector:
    x, y, z = row.tolist()
    return x, y, z


def _gilded() -> list[Field]:
    """What is gilded: a globe, a wreath, a circlet."""
    return [
        solids.ball((-20.0, -10.0, 98.0), (4.8, 4.8, 4.8)),
        solids.ring((12.0, -15.0, 41.5), (0.35, -0.9, 0.26), 6.0, 1.25),
        solids.ring((0.4, 0.3, 88.8), (0.0, -0.26, 0.966), 6.1, 0.8),
    ]
