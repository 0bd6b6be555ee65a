"""Quantized coefficients, most of them 0, as symbols and bits: one adaptive table for each size
that is expected.

How large a coefficient may be is learned from what is known around it, as `neighbours` learns how
far its guesses are off. The sign follows no model.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from pcc_cli.attributes.bits import BitReader, BitWriter
from pcc_cli.attributes.regression import Regression
from pcc_cli.attributes.residuals import Tables, logarithm, normal
from pcc_cli.entropy.logistic import TOTAL
from pcc_cli.entropy.rangecoder import RangeDecoder, RangeEncoder
from pcc_cli.geometry import Array

UNIT = 16  # parts of a quantizer step
OFFSET = 8  # parts; keeps logarithms of small numbers calm
LIMIT = 15  # the symbol of this and larger magnitudes, which have an excess
EXCESS_BITS = 24
PENALTY = 0.1  # steps squared: the error that the encoder takes to save a bit
_FINE, _COARSE = 32, 32  # bins
BINS = _FINE + _COARSE
_FINE_STEP, _COARSE_STEP = 6, 24  # units of the expected logarithm, 1/128 octave
_LEAST = 368  # and where the first bin begins
_SCALE = 8  # from units of `logarithm`, so that small chances differ
_TRUST = 1 << 16
_FIRST_WEIGHTS = [157286, 262144]  # of how far the surroundings scatter and guesses were missed
_MEAN_UNIT = 1100


@lru_cache(maxsize=1)
def first_frequencies() -> Array:
    """(BINS, LIMIT + 1) int64: geometric, of a mean that grows with the bin."""
    means = [max(1, (bin_ - 1) * (bin_ + 11)) for bin_ in range(_FINE)]
    for _ in range(_COARSE):
        means.append(means[-1] * 8 // 7)
    rows = []
    for mean in means:
        row = [1 << 20]
        for _ in range(LIMIT):
            row.append(row[-1] * mean // (mean + _MEAN_UNIT))
        rows.append([*row[:-1], row[-1] * (mean + _MEAN_UNIT) // _MEAN_UNIT])
    return normal(np.array(rows, dtype=np.int64))


def parts(values: Array) -> Array:
    """(n,) float64 logarithms of `values` (n,), in steps of the quantizer."""
    return logarithm(np.floor(np.minimum(values * UNIT, float(1 << 24))) + OFFSET)


class _Model:
    """What one channel has learned; `inputs` are logarithms, two and `others` more."""

    def __init__(self, others: int) -> None:
        self._size = Regression([*_FIRST_WEIGHTS, *[0] * others], _TRUST)
        self._tables = Tables(first_frequencies())
        self._excess = Tables(normal(np.ones((1, EXCESS_BITS), dtype=np.int64)))

    def _bins(self, inputs: Array) -> Array:
        level = np.maximum(self._size.guess(inputs) - _LEAST, 0)
        coarse = np.floor((level - _FINE * _FINE_STEP) / _COARSE_STEP) + _FINE
        fine = np.floor(level / _FINE_STEP)
        return np.where(fine < _FINE, fine, np.minimum(coarse, BINS - 1)).astype(np.int64)

    def _learn(self, inputs: Array, bins: Array, magnitudes: Array) -> None:
        self._tables.learn(bins, np.minimum(magnitudes, LIMIT))
        self._size.learn(inputs, _SCALE * parts(magnitudes.astype(np.float64)))


class MagnitudeWriter(_Model):
    """Quantizes coefficients and codes them."""

    def __init__(self, others: int) -> None:
        super().__init__(others)
        self.stream, self.plain = RangeEncoder(), BitWriter()

    def exchange(self, inputs: Array, wanted: Array) -> Array:
        """(n,) int64, what stands for the coefficients `wanted` (n,), in steps.

        inputs : (i, n); n is at most 2**14
        """
        bins = self._bins(inputs)
        magnitudes = self._chosen(bins, np.abs(wanted))
        symbols = np.minimum(magnitudes, LIMIT)
        self.stream.encode_of(symbols, self._tables.frequencies, bins)
        beyond = magnitudes[magnitudes >= LIMIT] - (LIMIT - 1)
        sizes = _bits(beyond) - 1
        alone = np.zeros_like(sizes)
        self.stream.encode_of(sizes, self._excess.frequencies, alone)
        self._excess.learn(alone, sizes)
        self.plain.put(beyond, sizes)
        negative = wanted[magnitudes > 0] < 0
        self.plain.put(negative, np.ones(len(negative), dtype=np.int64))
        self._learn(inputs, bins, magnitudes)
        return np.where(wanted < 0, -magnitudes, magnitudes)

    def _chosen(self, bins: Array, wanted: Array) -> Array:
        """The magnitude next to each one `wanted`, or one nearer to 0 that saves enough bits."""
        bits = -np.log2(self._tables.frequencies.rows / TOTAL)
        nearest = np.minimum(np.floor(wanted + 0.5), 1 << EXCESS_BITS).astype(np.int64)
        rivals = [nearest, np.maximum(nearest - 1, 0), np.zeros_like(nearest)]
        costs = []
        for rival in rivals:
            excess = np.where(rival >= LIMIT, _bits(np.maximum(rival - (LIMIT - 1), 1)), 0)
            rate = bits[bins, np.minimum(rival, LIMIT)] + (rival > 0) + 2 * excess
            costs.append((wanted - rival) ** 2 + PENALTY * rate)
        return np.choose(np.argmin(costs, axis=0), rivals)


class MagnitudeReader(_Model):
    """Reads what a `MagnitudeWriter` wrote."""

    def __init__(self, others: int, stream: bytes, plain: bytes) -> None:
        super().__init__(others)
        self.stream, self.plain = RangeDecoder(stream), BitReader(plain)

    def exchange(self, inputs: Array) -> Array:
        """(n,) int64 coefficients, in steps; inputs : (i, n)"""
        bins = self._bins(inputs)
        magnitudes = self.stream.decode_of(self._tables.frequencies, bins).astype(np.int64)
        beyond = np.flatnonzero(magnitudes == LIMIT)
        alone = np.zeros_like(beyond)
        sizes = self.stream.decode_of(self._excess.frequencies, alone).astype(np.int64)
        self._excess.learn(alone, sizes)
        magnitudes[beyond] = LIMIT - 1 + (self.plain.take(sizes) | 1 << sizes)
        some = np.flatnonzero(magnitudes)
        negative = self.plain.take(np.ones(len(some), dtype=np.int64))
        self._learn(inputs, bins, magnitudes)
        magnitudes[some] = np.where(negative > 0, -magnitudes[some], magnitudes[some])
        return magnitudes

    def finish(self) -> None:
        """FormatError when anything is left."""
        self.stream.finish()
        self.plain.finish()


def _bits(values: Array) -> Array:
    """(n,) int64 bits of positive `values` (n,)."""
    return np.frexp(values.astype(np.float64))[1].astype(np.int64)
