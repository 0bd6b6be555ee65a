"""Integers around a guess, as symbols and bits: one adaptive table for each size of the error.

A value v is coded as the bucket v >> q that it lies in, counted from the bucket of the guess, and
its q lowest bits as they are. q grows with the error that is expected, so that a bucket is always
a small part of it. The frequencies of buckets begin as a logistic distribution gives them, and
follow what has been coded.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from pcc_cli.entropy.logistic import LOGIT_UNIT, TOTAL, squash
from pcc_cli.entropy.rangecoder import Frequencies
from pcc_cli.geometry import Array

FRACTION_BITS = 4  # of guesses and errors, behind the point
OCTAVE = 16  # units of a logarithm to base 2
LIMIT = 28  # buckets on each side of the guess that have a symbol of their own
ALPHABET = 2 * LIMIT + 3  # -28 .. 28, then beyond them above, then below
PHASES = 4  # of the guess within its bucket
BINS_PER_OCTAVE = 4
OCTAVES = 24
BINS = BINS_PER_OCTAVE * OCTAVES  # bin b: errors of about 2**(b / 4 - 2)
SMALLEST = 8  # bin 0 begins at this many quarters of an octave, in 1/16 of a value
WHOLE_OCTAVES = 4  # of bins whose buckets are single integers
_MANTISSAS = (16, 19, 23, 27)  # 16 * 2 ** (i / 4), rounded
_PRIOR = 128  # symbols that the first frequencies count for
_UNIT = 32  # of a count
_COUNT_LIMIT = 8192 * _UNIT
_LOG_BITS = 5
_LOG_STEPS = 1 << _LOG_BITS


@lru_cache(maxsize=1)
def _log_table() -> Array:
    """(64 * _LOG_STEPS,) logarithms of 2**e (1 + i / 32), e from 0, i from 0 to 31; 16 times what
    (i + 32.5) / 32 has, rounded down, in integer arithmetic."""
    powers = [(2 * i + 65) ** OCTAVE for i in range(_LOG_STEPS)]
    parts = [(power >> 6 * OCTAVE).bit_length() - 1 for power in powers]
    return np.add.outer(OCTAVE * np.arange(64.0), parts).ravel()


def logarithm(values: Array) -> Array:
    """(...) float64, about 16 log2 of `values`, float64 whole numbers of at least 1."""
    # Exponent and the five highest bits of the mantissa, as IEEE 754 has them side by side.
    steps = (values.view(np.int64) >> 52 - _LOG_BITS) - (1023 << _LOG_BITS)
    logs: Array = _log_table()[steps]
    return logs


def bins_of(logs: Array) -> Array:
    """(n,) int64 bins for expected errors of `logs` (n,): logarithms of 1/16 of a value."""
    return np.clip(logs // (OCTAVE // BINS_PER_OCTAVE) - SMALLEST, 0, BINS - 1).astype(np.int64)


def low_bits(bins: Array) -> Array:
    """(n,) q: the lowest bits that are coded as they are, in `bins` (n,)."""
    return np.maximum(bins // BINS_PER_OCTAVE - WHOLE_OCTAVES, 0)


@lru_cache(maxsize=1)
def first_frequencies() -> Array:
    """(BINS * PHASES, ALPHABET) int64: logistic, for each bin and phase."""
    rows = []
    edges = 2 * PHASES * np.arange(-LIMIT, LIMIT + 2)
    for bin_ in range(BINS):
        octave, part = divmod(bin_, BINS_PER_OCTAVE)
        shrink = LOGIT_UNIT * 64 // (2 * PHASES) << max(octave - WHOLE_OCTAVES, 0)
        for phase in range(PHASES):
            logits = (edges - (2 * phase + 1)) * shrink // (_MANTISSAS[part] << octave)
            below = squash(logits)
            rows.append([*np.diff(below), TOTAL - below[-1], below[0]])
    return normal(np.array(rows, dtype=np.int64) + 8)


def normal(counts: Array) -> Array:
    """`counts` (r, k) as frequencies: at least 1 each, rows summing to TOTAL."""
    size = counts.shape[1]
    frequencies = 1 + counts * (TOTAL - size) // counts.sum(axis=1, keepdims=True)
    frequencies[np.arange(len(counts)), counts.argmax(axis=1)] += TOTAL - frequencies.sum(axis=1)
    return frequencies


class Tables:
    """Counts of symbols in each context, and the frequencies that follow from them.

    first : (r, k) int64, the frequencies to begin with
    frequencies : as they are now
    """

    def __init__(self, first: Array) -> None:
        self._counts = first * (_PRIOR * _UNIT) // TOTAL
        self.frequencies = Frequencies(normal(self._counts))

    def learn(self, rows: Array, symbols: Array) -> None:
        """Takes in `symbols` (n,), each in its context."""
        contexts, size = self._counts.shape
        seen = np.zeros(contexts, dtype=bool)
        seen[rows] = True
        touched = np.flatnonzero(seen)
        cells = (np.cumsum(seen) - 1)[rows] * size + symbols
        fresh = np.bincount(cells, minlength=len(touched) * size).reshape(-1, size)
        counts = self._counts[touched] + fresh * _UNIT
        full = counts.sum(axis=1) > _COUNT_LIMIT
        counts[full] -= counts[full] >> 1
        self._counts[touched] = counts
        self.frequencies.replace(touched, normal(counts))
