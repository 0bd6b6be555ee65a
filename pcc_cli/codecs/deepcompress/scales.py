"""Tables of the discretized Gaussian, in integers, by scale and by the fraction of the mean.

A latent has a predicted mean m + f / 16, m whole and f in -8 .. 7, and one of 64 scales
2**(i / 8 - 3.5). Symbols are latent - m, within -reach .. reach; the reach grows with the scale.
Frequencies are differences of a table of the normal distribution that is computed by decimal
arithmetic, so that they are the same everywhere.
"""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Context, Decimal, localcontext
from functools import lru_cache

import numpy as np

from pcc_cli.entropy.rangecoder import TOTAL
from pcc_cli.geometry import Array

SCALES = 64
SCALE_STEPS = 8  # scales in a factor of two
LOG_SCALE_MIN = -3.5  # log2 of the smallest
FRACTIONS = 16  # of the mean, in one step of quantization
# (scales below, reach): six standard deviations of the largest scale of each class, or more.
CLASSES = ((19, 7), (31, 15), (43, 31), (64, 127))

_STEP = 256  # entries of the table of the normal distribution, in one standard deviation
_SPAN = 8  # standard deviations that it covers on each side
_UNIT = 1 << 40  # of its values
_FINE = 1 << 16  # parts of an entry that points are rounded to


@lru_cache(maxsize=1)
def _normal_table() -> Array:
    """(2 * _SPAN * _STEP + 1,) int64: _UNIT times the normal distribution at -_SPAN .. _SPAN.

    Simpson's rule on 2 _STEP intervals a deviation, by decimals of 30 digits.
    """
    with localcontext(Context(prec=30, rounding=ROUND_HALF_EVEN, traps=[])):
        step = Decimal(1) / (2 * _STEP)
        density = [(-((step * i) ** 2) / 2).exp() for i in range(2 * _SPAN * _STEP + 1)]
        sums = [Decimal(0)]
        for i in range(0, 2 * _SPAN * _STEP, 2):
            sums.append(sums[-1] + density[i] + 4 * density[i + 1] + density[i + 2])
        half = [int((_UNIT * total / (2 * sums[-1])).to_integral_value()) for total in sums]
    upper = np.array(half, dtype=np.int64)
    return np.concatenate([_UNIT // 2 - upper[:0:-1], _UNIT // 2 + upper])


@lru_cache(maxsize=1)
def _inverse_scales() -> Array:
    """(SCALES,) int64: entries of the table in 1/16 of a step of quantization, times _FINE."""
    with localcontext(Context(prec=30, rounding=ROUND_HALF_EVEN, traps=[])):
        exponents = [Decimal(i) / SCALE_STEPS + Decimal(str(LOG_SCALE_MIN)) for i in range(SCALES)]
        inverse = [_STEP * _FINE / (FRACTIONS * Decimal(2) ** e) for e in exponents]
        return np.array([int(value.to_integral_value()) for value in inverse], dtype=np.int64)


def _distribution(sixteenths: Array, scale: int) -> Array:
    """_UNIT times the chance of a value below `sixteenths` / 16 steps of quantization."""
    table = _normal_table()
    limit = _SPAN * _STEP * _FINE
    place = np.clip(sixteenths * _inverse_scales()[scale], -limit, limit - 1) + limit
    entry, part = place // _FINE, place % _FINE
    return table[entry] + ((table[entry + 1] - table[entry]) * part) // _FINE


@lru_cache(maxsize=len(CLASSES))
def frequency_table(number: int) -> Array:
    """(scales of the class, FRACTIONS, 2 reach + 1) int64: frequencies, each row summing to TOTAL.

    number : of the class
    """
    first = CLASSES[number - 1][0] if number else 0
    beyond, reach = CLASSES[number]
    count = 2 * reach + 1
    edges = FRACTIONS * np.arange(-reach, reach + 2) - FRACTIONS // 2
    fractions = np.arange(FRACTIONS)[:, None] - FRACTIONS // 2
    table = np.empty((beyond - first, FRACTIONS, count), dtype=np.int64)
    for scale in range(first, beyond):
        chance = np.diff(_distribution(edges - fractions, scale), axis=1)
        chance = np.maximum(chance, 0)
        whole = 1 + chance * (TOTAL - count) // chance.sum(1, keepdims=True)
        largest = whole.argmax(1)
        whole[np.arange(FRACTIONS), largest] += TOTAL - whole.sum(1)
        table[scale - first] = whole
    return table


def class_of(scales: Array) -> Array:
    """(n,) the class of each scale index."""
    return np.searchsorted([beyond for beyond, _ in CLASSES], scales, side="right")


def reach_of(scales: Array) -> Array:
    """(n,) the largest symbol, either way."""
    reaches: Array = np.array([reach for _, reach in CLASSES])[class_of(scales)]
    return reaches
