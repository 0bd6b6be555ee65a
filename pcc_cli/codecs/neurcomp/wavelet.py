"""The discrete wavelet transform of a volume: CDF 9/7 by lifting, sides of any length.

Each level splits every axis that is long enough into a low half, with ceil(n / 2) entries, and a
high half; the next level splits the low corner again. All coefficients of an (z, y, x) array lie
in an array of the same shape, the coarsest in its first corner. Steps are scaled so that the
transform is nearly orthonormal: an error of a coefficient is as large an error of the samples.
Daubechies, Sweldens 1998, "Factoring wavelet transforms into lifting steps".
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise, product

import numpy as np

from pcc_cli.geometry import Array

_STEPS = (-1.586134342059924, -0.052980118572961, 0.882911075530934, 0.443506852043971)
_SCALE = 1.149604398860241  # of the low half; its inverse of the high half
# Directions with one high half, then with two, then the one with three.
_HIGHS = tuple((c, b, a) for a, b, c in sorted(product((False, True), repeat=3), key=sum)[1:])
SHORTEST = 6  # samples of an axis that is split
LEVELS_LIMIT = 8

Sides = tuple[int, int, int]


@dataclass(frozen=True)
class Band:
    """Coefficients that are alike: one high or low half on each axis.

    level : 0 for the finest; the low corner has that of the coarsest level
    high : for z, y, x whether it is the high half; (False,) * 3 is the low corner
    place : where they lie
    """

    level: int
    high: tuple[bool, bool, bool]
    place: tuple[slice, slice, slice]

    @property
    def shape(self) -> Sides:
        z, y, x = (part.stop - part.start for part in self.place)
        return z, y, x


def corners(sides: Sides) -> list[Sides]:
    """The shapes of the low corners: of the whole, after one level, after two ..."""
    found = [sides]
    while max(found[-1]) >= SHORTEST and len(found) <= LEVELS_LIMIT:
        z, y, x = (-(-n // 2) if n >= SHORTEST else n for n in found[-1])
        found.append((z, y, x))
    return found


def bands(sides: Sides) -> list[Band]:
    """All bands of an array, coarse ones first; none of them empty."""
    shapes = corners(sides)
    low = tuple(slice(0, n) for n in shapes[-1])
    found = [Band(max(len(shapes) - 2, 0), (False,) * 3, (low[0], low[1], low[2]))]
    for level in range(len(shapes) - 2, -1, -1):
        whole, half = shapes[level], shapes[level + 1]
        for high in _HIGHS:
            z, y, x = (
                slice(h, n) if up else slice(0, h)
                for up, n, h in zip(high, whole, half, strict=True)
            )
            band = Band(level, high, (z, y, x))
            if min(band.shape) > 0:
                found.append(band)
    return found


def forward(samples: Array) -> Array:
    """(z, y, x) float64 coefficients of `samples`."""
    out: Array = samples.astype(np.float64)
    shapes = corners(sides_of(out))
    for shape, half in pairwise(shapes):
        for axis in range(3):
            if shape[axis] != half[axis]:
                corner = np.moveaxis(out[: shape[0], : shape[1], : shape[2]], axis, 0)
                _analyse(corner)
    return out


def inverse(coefficients: Array, skip: int = 0) -> Array:
    """The samples; with `skip`, as many fewer levels: a volume of half the sides for each."""
    shapes = corners(sides_of(coefficients))
    skip = min(skip, len(shapes) - 1)
    z, y, x = shapes[skip]
    out: Array = coefficients[:z, :y, :x].astype(np.float64)
    gain = 1.0
    for level in range(len(shapes) - 2, -1, -1):
        shape, half = shapes[level], shapes[level + 1]
        for axis in range(3):
            if shape[axis] == half[axis]:
                continue
            if level < skip:
                gain /= np.sqrt(2.0)  # a low half is larger by that than its samples
            else:
                _synthesise(np.moveaxis(out[: shape[0], : shape[1], : shape[2]], axis, 0))
    return out * gain


def sides_of(array: Array) -> Sides:
    """The shape of an array of three axes."""
    z, y, x = array.shape
    return z, y, x


def _analyse(signal: Array) -> None:
    """One level along the first axis of (n, ...), in place: the low half, then the high one."""
    even, odd = signal[0::2].copy(), signal[1::2].copy()
    for number, step in enumerate(_STEPS):
        _lift(odd, even, step) if number % 2 == 0 else _lift_even(even, odd, step)
    signal[: len(even)] = even * _SCALE
    signal[len(even) :] = odd / _SCALE


def _synthesise(signal: Array) -> None:
    half = -(-len(signal) // 2)
    even, odd = signal[:half] / _SCALE, signal[half:] * _SCALE
    for number, step in reversed(list(enumerate(_STEPS))):
        _lift(odd, even, -step) if number % 2 == 0 else _lift_even(even, odd, -step)
    signal[0::2], signal[1::2] = even, odd


def _lift(odd: Array, even: Array, step: float) -> None:
    """Adds to each odd sample its two even neighbours; the signal is mirrored at its ends."""
    both = len(even) - 1  # odd samples with a neighbour on either side
    odd[:both] += step * (even[:-1] + even[1:])
    if len(odd) > both:
        odd[-1] += 2 * step * even[-1]


def _lift_even(even: Array, odd: Array, step: float) -> None:
    even[0] += 2 * step * odd[0]
    inner = len(odd) - 1
    even[1 : inner + 1] += step * (odd[:-1] + odd[1:])
    if len(even) > len(odd):
        even[-1] += 2 * step * odd[-1]
