"""Bits that a network is nearly certain of, coded without the counts and the mixing of others.

On a dense surface half of the bits are such: most cells beside it are empty, and inside it full.
They cost next to nothing either way, and this way next to no time. The network has to earn that
trust: it is counted how often a 1 followed its log odds in this file, and only that decides.
"""

from __future__ import annotations

import numpy as np

from pcc_cli.entropy.counts import Tables
from pcc_cli.entropy.logistic import FLOOR, TOTAL
from pcc_cli.geometry import Array

BINS, BIN_WIDTH = 79, 64  # of the network's log odds, units of 1/256
BLOCK = 1 << 14  # bits, after each of which is learned
_WEIGHT = 1 << 10  # of a bit, so that small probabilities can be told apart
_LIMIT = 8192 * _WEIGHT  # bits that a bin remembers at least


class CertainBits:
    """The counts of one stage.

    rarest : a bit whose less probable value has a probability below rarest / 2**16 is certain
    """

    def __init__(self, rarest: int) -> None:
        self._rarest = rarest
        self._bins = Tables([BINS], _WEIGHT, 2 * _WEIGHT, _LIMIT)

    @staticmethod
    def bins(logits: Array) -> Array:
        """(n,) which count the bits with the network's log odds `logits` (n,) belong to."""
        nearest = (logits.astype(np.int64) + BIN_WIDTH // 2) // BIN_WIDTH + BINS // 2
        return np.minimum(np.maximum(nearest, 0), BINS - 1)

    def probability(self, bins: Array) -> Array:
        """(n,) 2**16 times the probability of a 1."""
        return np.minimum(np.maximum(self._ratios(), FLOOR), TOTAL - FLOOR)[bins]

    def are_certain(self, bins: Array) -> Array:
        """(n,) bool."""
        ratios = self._ratios()
        certain: Array = (np.minimum(ratios, TOTAL - ratios) < self._rarest)[bins]
        return certain

    def learn(self, bins: Array, bits: Array) -> None:
        """Takes in `bits` (n,) int64, certain or not."""
        self._bins.learn(bins, bits, _WEIGHT)

    def _ratios(self) -> Array:
        return self._bins.ratios(np.arange(BINS))
