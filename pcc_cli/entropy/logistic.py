"""The logistic function in integers: the same table on every machine.

Log odds are in units of 1/256 and limited to +-LIMIT; probabilities are in units of 2**-16.
"""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Context, Decimal, localcontext
from functools import lru_cache

import numpy as np

from pcc_cli.geometry import Array

LOGIT_UNIT = 256
LIMIT = 12 * LOGIT_UNIT - 1
PROBABILITY_BITS = 16
TOTAL = 1 << PROBABILITY_BITS
FLOOR = 2  # smallest probability, either way


@lru_cache(maxsize=1)
def squash_table() -> Array:
    """(2 LIMIT + 1,) int64: 2**16 / (1 + exp(-x / 256)) for x = -LIMIT .. LIMIT, rounded.

    By decimal arithmetic of 30 digits, because the exp of C libraries differs in its last bit; in
    a context of its own, because that of the program may be any.
    """
    power, upper = Decimal(1), []
    with localcontext(Context(prec=30, rounding=ROUND_HALF_EVEN, traps=[])):
        ratio = (Decimal(-1) / LOGIT_UNIT).exp()
        for _ in range(LIMIT + 1):
            upper.append(int((TOTAL / (1 + power)).to_integral_value()))
            power *= ratio
    half = np.minimum(np.array(upper, dtype=np.int64), TOTAL - FLOOR)
    return np.concatenate([TOTAL - half[:0:-1], half])


@lru_cache(maxsize=1)
def stretch_table() -> Array:
    """(4096,) int64: the log odds of the probability 16 i + 8, the inverse of `squash_table`."""
    centres = 16 * np.arange(4096) + 8
    return np.searchsorted(squash_table(), centres).astype(np.int64) - LIMIT


def squash(logits: Array) -> Array:
    """Probability of a 1, 2 .. 2**16 - 2, from integer log odds of any size."""
    probabilities: Array = squash_table()[np.clip(logits, -LIMIT, LIMIT) + LIMIT]
    return probabilities


def stretch(probabilities: Array) -> Array:
    """Log odds of `probabilities` 0 .. 2**16 - 1."""
    odds: Array = stretch_table()[probabilities >> 4]
    return odds
