"""Tables of frequencies that fall off from 0 on both sides, by one of 64 numbers.

Bells 0 to 31 are Gaussian, 32 to 63 two-sided exponential, each from narrow to wide. Decimal
arithmetic, so that they are the same on every machine.
"""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Context, Decimal, localcontext
from functools import lru_cache

import numpy as np

from pcc_cli.entropy.reference import FREQUENCY_BITS
from pcc_cli.geometry import Array

BELLS = 64
REACH = 127  # largest magnitude
_WIDTHS = BELLS // 2


@lru_cache(maxsize=BELLS)
def bell(number: int) -> Array:
    """(2 REACH + 1,) int64, of -REACH .. REACH, at least 1 each, summing to 2**FREQUENCY_BITS."""
    with localcontext(Context(prec=30, rounding=ROUND_HALF_EVEN, traps=[])):
        step = number % _WIDTHS
        # Quarter octaves from 1/4 on: 0.25, 0.3125, 0.375, 0.4375, 0.5 and so on.
        width = Decimal((4 + step % 4) << (step // 4)) / 16
        if number < _WIDTHS:
            weights = [(-Decimal(k * k) / (2 * width * width)).exp() for k in range(REACH + 1)]
        else:
            weights = [(-Decimal(k) / width).exp() for k in range(REACH + 1)]
        spare = (1 << FREQUENCY_BITS) - (2 * REACH + 1)
        total = 2 * sum(weights) - weights[0]
        half = np.array([1 + int(spare * weight / total) for weight in weights], np.int64)
    table = np.concatenate([half[:0:-1], half])
    table[REACH] += (1 << FREQUENCY_BITS) - int(table.sum())
    return table


@lru_cache(maxsize=1)
def costs() -> Array:
    """(BELLS, 2 REACH + 1) float64: bits that each number takes, for whoever chooses a bell."""
    tables = np.stack([bell(number) for number in range(BELLS)])
    found: Array = FREQUENCY_BITS - np.log2(tables)
    return found


def best(values: Array) -> int:
    """The bell under which integers `values`, -REACH .. REACH, are smallest."""
    counts = np.bincount(values + REACH, minlength=2 * REACH + 1)
    return int((costs() @ counts).argmin())
