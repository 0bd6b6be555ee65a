"""The arithmetic between coordinates and base steps, one place for both directions.

IEEE 754 rounds each operation in one way only, so the order here is part of the format.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pcc_cli.geometry import Array

Triple = tuple[float, float, float]


class Base(NamedTuple):
    """coordinate = index * numerator / denominator + origin, per axis, in float64.

    numerator, denominator : finite, positive
    origin : finite, the coordinate of index 0
    """

    numerator: Triple = (1.0, 1.0, 1.0)
    denominator: Triple = (1.0, 1.0, 1.0)
    origin: Triple = (0.0, 0.0, 0.0)

    def indices(self, values: Array) -> Array:
        """(n, 3) float64, the nearest index; monotonous, so extremes give extremes."""
        moved = values.astype(np.float64)
        if any(self.origin):
            moved -= _factor(self.origin)
        moved *= _factor(self.denominator)
        moved /= _factor(self.numerator)
        return np.rint(moved, out=moved)

    def coordinates(self, index: Array) -> Array:
        """(n, 3) float64 from (n, 3) integers or whole floats below 2**53."""
        values: Array = index * _factor(self.numerator)
        values /= _factor(self.denominator)
        values += _factor(self.origin)
        return values

    @property
    def steps(self) -> Triple:
        """Distance of neighbouring indices per axis."""
        x, y, z = (a / b for a, b in zip(self.numerator, self.denominator, strict=True))
        return x, y, z


def uniform(numerator: float, denominator: float = 1.0) -> Base:
    """The same step on all axes, counted from 0."""
    return Base((numerator,) * 3, (denominator,) * 3)


def as_floats(values: Array) -> Triple:
    """Three Python floats."""
    x, y, z = (float(value) for value in values)
    return x, y, z


def _factor(triple: Triple) -> float | Array:
    """One number if the axes agree: numpy is four times faster with it than with three."""
    return triple[0] if triple[0] == triple[1] == triple[2] else np.array(triple)
