"""Coefficients to whole numbers of steps, and back: what costs bits has to be worth them.

A coefficient is rounded towards zero where the bits that this saves are worth the error. What bits
cost is taken from how often each size occurs among alike neighbours, in a first plain rounding.
Sullivan, Wiegand 1998, "Rate-distortion optimization for video compression".
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pcc_cli.codecs.neurcomp.around import binned, bits_of, summed, upsampled
from pcc_cli.codecs.neurcomp.coefficients import CAP
from pcc_cli.codecs.neurcomp.wavelet import bands, sides_of
from pcc_cli.geometry import Array

ROUNDING = 0.4  # what is added before the first rounding down
WORTH = 0.12  # squared steps of error that a bit is worth
LARGEST = (1 << 30) - 1
_SHRINK = 0.06  # steps; values between whole numbers are more often small
_TOP = 24  # sizes that are told apart
_NUDGE = 256  # parts of a step in which `Centres` are stored


class Whole(NamedTuple):
    """int32 multiples of the step, and about how many bits they take."""

    values: Array
    bits: float


class Centres(NamedTuple):
    """Where values of 1, of 2 and of more steps lie on average, in parts of a step beyond them."""

    one: int
    two: int
    more: int


def quantize(coefficients: Array, step: float, worth: float = WORTH) -> Whole:
    """`coefficients` in steps. ValueError for a step that is too small for them."""
    size = np.abs(coefficients) / step
    if size.size and size.max() > LARGEST:
        raise ValueError("the step is too small for the coefficients")
    whole = np.floor(size + ROUNDING).astype(np.int32)
    classes = _classes(whole)
    for _ in range(2 if worth else 0):
        whole = _cheapest(size, classes, _costs(whole, classes), worth)
        classes = _classes(whole)
    costs = _costs(whole, classes)
    bits = float(costs[classes, np.minimum(bits_of(whole), _TOP)].sum())
    return Whole(np.where(coefficients < 0, -whole, whole), bits)


def centres(coefficients: Array, step: float, whole: Array) -> Centres:
    """Of the coefficients that were made `whole`."""
    size, steps = np.abs(coefficients) / step, np.abs(whole)
    found = []
    for chosen in (steps == 1, steps == 2, steps > 2):
        shift = float((size[chosen] - steps[chosen]).mean()) if chosen.any() else 0.0
        found.append(int(np.clip(round(shift * _NUDGE), -127, 127)))
    return Centres(*found)


def restored(whole: Array, step: float, centres: Centres) -> Array:
    """float64 coefficients. Each number is one operation of IEEE 754: the same everywhere."""
    nudges = np.array([0, *centres], np.float64) / _NUDGE
    size = np.abs(whole)
    values = (size + nudges[np.minimum(size, 3)]) * step
    return np.where(whole < 0, -values, values)


def _cheapest(size: Array, classes: Array, bits: Array, worth: float) -> Array:
    """Of the nearest whole number, the two below and zero, the one with the least cost."""
    best = np.floor(size + 0.5).astype(np.int32)
    cost = _cost(size, best, classes, bits, worth)
    for other in (np.maximum(best - 1, 0), np.maximum(best - 2, 0)):
        price = _cost(size, other, classes, bits, worth)
        cheaper = price < cost
        best, cost = np.where(cheaper, other, best), np.where(cheaper, price, cost)
    return best


def _cost(size: Array, whole: Array, classes: Array, bits: Array, worth: float) -> Array:
    error = size - whole + _SHRINK * (whole > 0)
    price: Array = error * error + worth * bits[classes, np.minimum(bits_of(whole), _TOP)]
    return price


def _costs(whole: Array, classes: Array) -> Array:
    """(classes, sizes) bits of a coefficient, with its sign and the bits below its first."""
    sizes = np.minimum(bits_of(whole), _TOP)
    pairs = classes.ravel().astype(np.int64) * (_TOP + 1) + sizes.ravel()
    rows = int(classes.max(initial=0)) + 1
    counts = np.bincount(pairs, minlength=rows * (_TOP + 1)).reshape(rows, -1) + 0.05
    bits: Array = -np.log2(counts / counts.sum(1, keepdims=True))
    bits[:, 1:] += np.arange(1, _TOP + 1)
    return bits


def _classes(whole: Array) -> Array:
    """How much there is around each coefficient: its neighbours and its parent."""
    out = np.zeros(whole.shape, np.int32)
    coarse: dict[tuple[bool, bool, bool], Array] = {}
    for band in bands(sides_of(whole)):
        size = np.minimum(np.abs(whole[band.place]), CAP)
        total = summed(size) - 8 * size
        parent = coarse.get(band.high)
        if parent is not None:
            total += 4 * upsampled(parent, band.shape)
        coarse[band.high] = size
        out[band.place] = binned(total)
    return out
