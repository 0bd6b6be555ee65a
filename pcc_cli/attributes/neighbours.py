"""A column of integers, each guessed from its coded neighbours: to bytes and back.

    levels of detail -> block of points -> guess, expected error -> table -> range coder

A block is coded with what was learned before it and learned from afterwards, so all work is on
whole arrays and the decoder can do the same. Encoder and decoder share one walk; they differ in
who exchanges guesses for values.

One thread makes blocks ahead while another codes them. More, such as one that learns beside, would
wait for each other's Python more than they save.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from pcc_cli.attributes import residuals
from pcc_cli.attributes.ahead import ahead
from pcc_cli.attributes.bits import BitReader, BitWriter
from pcc_cli.attributes.detail import Stage
from pcc_cli.attributes.neighbourhood import (
    LOG_OFFSET,
    ONE,
    Block,
    Channel,
    View,
    blocks,
    inputs_of_error,
    inputs_of_guess,
)
from pcc_cli.attributes.regression import WEIGHT_BITS, Regression
from pcc_cli.attributes.residuals import FRACTION_BITS, LIMIT, PHASES, Tables
from pcc_cli.entropy.rangecoder import RangeDecoder, RangeEncoder
from pcc_cli.errors import FormatError
from pcc_cli.geometry import Array

VALUE_BITS = 20  # of the largest value
GUIDES = 2  # columns that one may follow
_AHEAD = 64  # blocks
_GUESS_TRUST = 1 << 22
_ERROR_TRUST = 1 << 16
_NORMAL = 256  # differences are learned in units of 1/256 of the local scale
_ABOVE, _BELOW = 2 * LIMIT + 1, 2 * LIMIT + 2  # symbols of buckets beyond the limit


@dataclass(frozen=True)
class Coded:
    """A column as it is stored: the range-coded stream, and bits that follow no model."""

    stream: bytes
    plain: bytes


def encode(columns: Sequence[Array], tops: Sequence[int], stages: Iterable[Stage]) -> list[Coded]:
    """`columns` of the same points, each with up to GUIDES before it as guides.

    columns : (n,) int64 of 0 .. top, tops below 2**VALUE_BITS, n > 0
    stages : of `detail.stages`
    """
    sides = [_Writer(values) for values in columns]
    _walk_all(sides, tops, stages, len(columns[0]))
    return [Coded(side.stream.finish(), side.plain.finish()) for side in sides]


def decode(
    coded: Sequence[Coded], tops: Sequence[int], stages: Iterable[Stage], count: int
) -> list[Array]:
    """The columns (count,) int64 that `encode` saw; FormatError when the data are damaged."""
    sides = [_Reader(column, top) for column, top in zip(coded, tops, strict=True)]
    channels = _walk_all(sides, tops, stages, count)
    for side in sides:
        side.stream.finish()
        side.plain.finish()
    return [(channel.values / ONE).astype(np.int64) for channel in channels]


class _Side(Protocol):
    """What encoder and decoder do in their own ways."""

    def first(self) -> int:
        """The value of row 0."""

    def exchange(self, rows: Array, guesses: Array, bins: Array) -> Array:
        """The values (m,) of the points `rows`, for their `guesses` in units of 1/16."""


class _Tables:
    """The adaptive tables of one column."""

    def __init__(self) -> None:
        self.buckets = Tables(residuals.first_frequencies())
        even = np.ones((1, VALUE_BITS), dtype=np.int64)
        self.excess = Tables(residuals.normal(even))

    @staticmethod
    def contexts(guesses: Array, bins: Array, low: Array) -> Array:
        """(m,) rows of `buckets`: of the bin, and of where the guess is in its bucket."""
        phase = (guesses * PHASES >> low + FRACTION_BITS) % PHASES
        return bins * PHASES + phase


class _Writer(_Tables):
    def __init__(self, values: Array) -> None:
        super().__init__()
        self._values, self.stream, self.plain = values, RangeEncoder(), BitWriter()

    def first(self) -> int:
        self.plain.put(self._values[:1], np.array([VALUE_BITS]))
        return int(self._values[0])

    def exchange(self, rows: Array, guesses: Array, bins: Array) -> Array:
        values, low = self._values[rows], residuals.low_bits(bins)
        steps = (values >> low) - (guesses >> low + FRACTION_BITS)
        excess = np.abs(steps) - LIMIT
        beyond = np.flatnonzero(excess > 0)
        outside = np.where(steps > 0, _ABOVE, _BELOW)
        symbols = np.where(excess > 0, outside, steps + LIMIT)
        contexts = self.contexts(guesses, bins, low)
        self.stream.encode_of(symbols, self.buckets.frequencies, contexts)
        self.buckets.learn(contexts, symbols)
        sizes = np.frexp(excess[beyond].astype(np.float64))[1].astype(np.int64) - 1
        alone = np.zeros_like(sizes)
        self.stream.encode_of(sizes, self.excess.frequencies, alone)
        self.excess.learn(alone, sizes)
        self.plain.put(values, low)
        self.plain.put(excess[beyond], sizes)
        return values


class _Reader(_Tables):
    def __init__(self, coded: Coded, top: int) -> None:
        super().__init__()
        self._top = top
        self.stream, self.plain = RangeDecoder(coded.stream), BitReader(coded.plain)

    def first(self) -> int:
        return int(self._checked(self.plain.take(np.array([VALUE_BITS])))[0])

    def exchange(self, rows: Array, guesses: Array, bins: Array) -> Array:
        low = residuals.low_bits(bins)
        contexts = self.contexts(guesses, bins, low)
        symbols = self.stream.decode_of(self.buckets.frequencies, contexts).astype(np.int64)
        self.buckets.learn(contexts, symbols)
        beyond = np.flatnonzero(symbols > 2 * LIMIT)
        alone = np.zeros_like(beyond)
        sizes = self.stream.decode_of(self.excess.frequencies, alone).astype(np.int64)
        self.excess.learn(alone, sizes)
        rest = self.plain.take(low)
        excess = LIMIT + (self.plain.take(sizes) | 1 << sizes)
        steps = symbols - LIMIT
        steps[beyond] = np.where(symbols[beyond] == _ABOVE, excess, -excess)
        return self._checked((steps + (guesses >> low + FRACTION_BITS) << low) | rest)

    def _checked(self, values: Array) -> Array:
        if values.min() < 0 or values.max() > self._top:
            raise FormatError("a column holds a value beyond its limits")
        return values


def _walk_all(
    sides: Sequence[_Side], tops: Sequence[int], stages: Iterable[Stage], count: int
) -> list[Channel]:
    """Codes the columns, block by block."""
    channels = [Channel(count) for _ in sides]
    walks = [
        _Walk(side, tops[k], channels[k], channels[max(0, k - GUIDES) : k])
        for k, side in enumerate(sides)
    ]
    with closing(ahead(blocks(stages), _AHEAD)) as made:
        for block in made:
            for walk in walks:
                walk.code(block)
    return channels


class _Walk:
    """Codes one column, block by block, and learns from each."""

    def __init__(self, side: _Side, top: int, channel: Channel, guides: list[Channel]) -> None:
        self._side, self._top, self._channel, self._guides = side, top, channel, guides
        wide_mean = [0] * inputs_of_guess(len(guides))
        wide_mean[1 + len(guides)] = 1 << WEIGHT_BITS
        self._guess = Regression(wide_mean, _GUESS_TRUST)
        self._error = Regression(
            [20000] * 3 + [0] * (inputs_of_error(len(guides)) - 3), _ERROR_TRUST
        )
        channel.keep(np.array([0]), np.array([side.first() * float(ONE)]), np.zeros(1))

    def code(self, block: Block) -> None:
        seen = View(block, self._channel, self._guides)
        step = self._guess.guess(seen.guess)
        limited = np.clip(seen.mean + step, 0, self._top * ONE + ONE - 1).astype(np.int64)
        bins = residuals.bins_of(self._error.guess(seen.scatter))
        values = self._exchanged(block, limited, bins) * float(ONE)
        actual = values - seen.mean
        missed = np.abs(actual - step)
        self._channel.keep(block.rows[block.order], values, missed)
        inputs, target = seen.guess * _NORMAL / seen.scale, actual * _NORMAL / seen.scale
        self._guess.learn(np.floor(inputs), np.floor(target))
        self._error.learn(seen.scatter, residuals.logarithm(missed + LOG_OFFSET))

    def _exchanged(self, block: Block, guesses: Array, bins: Array) -> Array:
        """The values in the order of the block's groups; the stream has them in that of rows."""
        rising = np.empty((2, len(guesses)), dtype=np.int64)
        rising[:, block.order] = guesses, bins
        return self._side.exchange(block.rows, *rising)[block.order]
