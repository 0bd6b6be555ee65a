"""Adaptive frequencies of a bit in many contexts at once, in integers.

A context holds the weight of the bits seen in it and how much of it were ones. Beyond a limit both
are scaled down, so that old bits count less than new ones.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pcc_cli.entropy.logistic import PROBABILITY_BITS, TOTAL, squash, stretch

Array = np.ndarray[Any, Any]

LIMIT = 255  # bits that a context remembers
BINS, BIN_WIDTH = 33, 96  # of log odds, in units of 1/256
_EDGE = BINS // 2 * BIN_WIDTH
_TRUST = 4  # bits that a calibrated bin believes its log odds at first


class Counts:
    """`size` contexts that begin with `ones` of `total` doubtful bits."""

    def __init__(self, size: int, ones: int = 1, total: int = 2) -> None:
        self.ones = np.full(size, ones, dtype=np.int64)
        self.total = np.full(size, total, dtype=np.int64)

    def log_odds(self, rows: Array) -> Array:
        """(n,) log odds, units of 1/256, of a 1 in the contexts `rows` (n,)."""
        return stretch(_ratio(self.ones[rows], self.total[rows]))

    def learn(self, rows: Array, bits: Array) -> None:
        """Takes in `bits` (n,), each in its context."""
        np.add.at(self.total, rows, 1)
        np.add.at(self.ones, rows, bits)
        _forget(self.ones, self.total, rows, LIMIT)


class Calibration:
    """Log odds corrected by what followed when they were given, in `size` contexts.

    Each context has BINS bins of log odds; a value is read from, and learned by, the two nearest.
    """

    def __init__(self, size: int) -> None:
        centres = (np.arange(BINS) - BINS // 2) * BIN_WIDTH
        self.total = np.full(size * BINS, _TRUST * BIN_WIDTH, dtype=np.int64)
        self.ones = np.tile((squash(centres) * _TRUST * BIN_WIDTH) >> PROBABILITY_BITS, size)

    @staticmethod
    def place(logits: Array) -> tuple[Array, Array]:
        """For `logits` (n,): the lower of the two nearest bins, and the weight of the upper one."""
        inside = np.clip(logits, -_EDGE, _EDGE - 1) + _EDGE
        return inside // BIN_WIDTH, inside % BIN_WIDTH

    def log_odds(self, rows: Array, place: tuple[Array, Array]) -> Array:
        """(n,) corrected log odds in the contexts `rows` (n,) at `place`."""
        bins, upper = rows * BINS + place[0], place[1]
        low = _ratio(self.ones[bins], self.total[bins])
        high = _ratio(self.ones[bins + 1], self.total[bins + 1])
        return stretch((low * (BIN_WIDTH - upper) + high * upper) // BIN_WIDTH)

    def learn(self, rows: Array, place: tuple[Array, Array], bits: Array) -> None:
        """Takes in `bits` (n,), given what `log_odds` was given."""
        below, upper = rows * BINS + place[0], place[1]
        bins = np.concatenate([below, below + 1])
        weights = np.concatenate([BIN_WIDTH - upper, upper])
        np.add.at(self.total, bins, weights)
        np.add.at(self.ones, bins, np.tile(bits, 2) * weights)
        _forget(self.ones, self.total, bins, LIMIT * BIN_WIDTH)


def _ratio(ones: Array, total: Array) -> Array:
    """2**16 ones / total, below 2**16. Floats round quotients correctly, so this is exact."""
    quotient = (ones << PROBABILITY_BITS) / total
    return np.minimum(quotient.astype(np.int64), TOTAL - 1)


def _forget(ones: Array, total: Array, rows: Array, limit: int) -> None:
    """Scales the contexts among `rows` that have more than `limit` down to it."""
    full = rows[total[rows] > limit]
    if len(full):  # a row may stand there twice: both times it is given the same value
        ones[full] = ones[full] * limit // total[full]
        total[full] = limit
