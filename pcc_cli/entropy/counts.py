"""Adaptive frequencies of a bit in many contexts at once, in integers.

A context holds the weight of the bits seen in it and how much of it were ones. At twice a limit
both are scaled down to it, so that old bits count less than new ones. Several tables are kept in
one array, so that a block costs a few calls and not a few for each table; and both numbers of a
context in one word, so that a block costs one gather and one scatter: `total << 32 | ones`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pcc_cli.entropy.logistic import PROBABILITY_BITS, TOTAL, squash, stretch
from pcc_cli.geometry import Array

LIMIT = 255  # bits that a context remembers at least
BINS, BIN_WIDTH = 33, 96  # of log odds, in units of 1/256
_EDGE = BINS // 2 * BIN_WIDTH
_TRUST = 4  # bits that a calibrated bin believes its log odds at first
_HIGH = 32
_LOW = (1 << _HIGH) - 1


def quotient(dividend: Array, divisor: Array) -> Array:
    """dividend // divisor as int64, of integers 0 .. 2**53: floats divide faster, and correctly
    rounded quotients of such integers have the right floor."""
    floor: Array = (dividend / divisor).astype(np.int64)
    return floor


class Tables:
    """Contexts of several tables, of `sizes`, each with `ones` of `total` doubtful bits at first.

    ones, total : one number for all, or one for each context, table after table
    limit : what a total that has reached twice as much is scaled down to; None: nothing is
    """

    def __init__(
        self, sizes: Sequence[int], ones: int | Array, total: int | Array, limit: int | None = LIMIT
    ) -> None:
        self._starts = np.concatenate([[0], np.cumsum(sizes[:-1], dtype=np.int64)])[:, None]
        self._packed = np.full(sum(sizes), total, dtype=np.int64) << _HIGH
        self._packed += ones
        self._limit = limit

    def __len__(self) -> int:
        """Contexts of all tables."""
        return len(self._packed)

    def rows(self, contexts: Array) -> Array:
        """(k, n) rows of the `contexts` (k, n), row i of them in table i."""
        rows: Array = contexts + self._starts
        return rows

    def ones_and_totals(self, rows: Array) -> tuple[Array, Array]:
        """What `rows`, of any shape, hold."""
        packed = self._packed.take(rows, mode="wrap")  # the fastest way
        return packed & _LOW, packed >> _HIGH

    def ratios(self, rows: Array) -> Array:
        """2**16 ones / total in `rows`, below 2**16."""
        ones, total = self.ones_and_totals(rows)
        return np.minimum(quotient(ones << PROBABILITY_BITS, total), TOTAL - 1)

    def log_odds(self, rows: Array) -> Array:
        """Log odds of a 1 in `rows`, units of 1/256."""
        return stretch(self.ratios(rows))

    def learn(self, rows: Array, bits: Array, weights: Array | int = 1) -> None:
        """Takes in `bits`, with `weights`, in `rows`; the last axes are as long."""
        gained = np.empty(rows.shape, dtype=np.int64)
        np.multiply((1 << _HIGH) + bits, weights, out=gained)
        # Flat, because numpy scatters flat arrays of one type five times faster than others.
        flat = rows.reshape(-1)
        np.add.at(self._packed, flat, gained.reshape(-1))
        if self._limit is not None:
            self._forget(flat, self._limit)

    def _forget(self, rows: Array, limit: int) -> None:
        """Scales the contexts that have twice the `limit` down to it."""
        packed = self._packed.take(rows, mode="wrap")  # the fastest way
        full = packed >= (2 * limit) << _HIGH
        if full.any():  # a row may stand there twice: both times it is given the same value
            packed = packed[full]
            ones = quotient((packed & _LOW) * limit, packed >> _HIGH)
            self._packed[rows[full]] = (limit << _HIGH) | ones


class Calibrations:
    """Log odds corrected by what followed when they were given, in tables of `sizes` contexts.

    Each context has BINS bins of log odds; a value is read from, and learned by, the two nearest.
    """

    def __init__(self, sizes: Sequence[int]) -> None:
        centres = (np.arange(BINS) - BINS // 2) * BIN_WIDTH
        total = _TRUST * BIN_WIDTH
        ones = np.tile((squash(centres) * total) >> PROBABILITY_BITS, sum(sizes))
        self._bins = Tables([size * BINS for size in sizes], ones, total, LIMIT * BIN_WIDTH)

    def place(self, contexts: Array, logits: Array) -> tuple[Array, Array]:
        """For `logits` (n,), `contexts` (k, n): two bins (2, k, n), and weights (2, 1, n)."""
        inside = np.minimum(np.maximum(logits, -_EDGE), _EDGE - 1) + _EDGE
        below = inside // BIN_WIDTH
        upper = inside - below * BIN_WIDTH
        rows = self._bins.rows(contexts * BINS + below)
        return np.stack([rows, rows + 1]), np.stack([BIN_WIDTH - upper, upper])[:, None]

    def log_odds(self, rows: Array, weights: Array) -> Array:
        """(k, n) corrected log odds at what `place` returned."""
        low, high = self._bins.ratios(rows) * weights
        return stretch((low + high) // BIN_WIDTH)

    def learn(self, rows: Array, weights: Array, bits: Array) -> None:
        """Takes in `bits` (n,), given what `place` returned."""
        self._bins.learn(rows, bits, weights)
