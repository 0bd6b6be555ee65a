"""A column of integers, each guessed from its coded neighbours: to bytes and back.

    levels of detail -> block of points -> guess, expected error -> table -> range coder

A block is coded with what was learned before it and learned from afterwards, so all work is on
whole arrays and the decoder can do the same. Encoder and decoder share one walk; they differ in
who exchanges guesses for values.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from pcc_cli.attributes import residuals
from pcc_cli.attributes.bits import BitReader, BitWriter
from pcc_cli.attributes.detail import Stage
from pcc_cli.attributes.neighbourhood import FACES, LOG_OFFSET, ONE, Block, Channel
from pcc_cli.attributes.regression import WEIGHT_BITS, Regression
from pcc_cli.attributes.residuals import FRACTION_BITS, LIMIT, PHASES, Tables
from pcc_cli.entropy.rangecoder import RangeDecoder, RangeEncoder
from pcc_cli.errors import FormatError

Array = np.ndarray[Any, Any]

VALUE_BITS = 20  # of the largest value
GUIDES = 2  # columns that one may follow
BLOCK_MIN, BLOCK_MAX = 256, 8192
_GROWTH = 4  # a block is at most 2**-4 of what was coded before
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
        self.stream.encode(symbols, self.buckets[contexts])
        self.buckets.learn(contexts, symbols)
        sizes = np.frexp(excess[beyond].astype(np.float64))[1].astype(np.int64) - 1
        alone = np.zeros_like(sizes)
        self.stream.encode(sizes, self.excess[alone])
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
        symbols = self.stream.decode(self.buckets[contexts]).astype(np.int64)
        self.buckets.learn(contexts, symbols)
        beyond = np.flatnonzero(symbols > 2 * LIMIT)
        alone = np.zeros_like(beyond)
        sizes = self.stream.decode(self.excess[alone]).astype(np.int64)
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
    """Codes the columns side by side in threads: each follows its guides at a block's distance.

    What is computed does not depend on how the threads run; numpy lets them run at once.
    """
    channels = [Channel(count) for _ in sides]
    with ThreadPoolExecutor(len(sides) + 1) as pool:
        pool.submit(deque, stages, 0)  # makes stages before they are needed
        tasks = [
            pool.submit(_walk, side, tops[k], channels[k], channels[max(0, k - GUIDES) : k], stages)
            for k, side in enumerate(sides)
        ]
        for task in tasks:
            task.result()
    return channels


def _walk(
    side: _Side, top: int, channel: Channel, guides: list[Channel], stages: Iterable[Stage]
) -> None:
    """Codes one column, stage by stage and block by block."""
    size = 4 * (1 + len(guides)) + (len(guides) or FACES)
    wide_mean = [0] * size
    wide_mean[1 + len(guides)] = 1 << WEIGHT_BITS
    guess = Regression(wide_mean, _GUESS_TRUST)
    error = Regression([20000] * 3 + [0] * (2 + len(guides)), _ERROR_TRUST)
    coded = 1
    try:
        channel.values[0] = side.first() * ONE
        for stage in stages:
            begin, points = 0, len(stage.rows)
            while begin < points:
                end = min(begin + min(max(BLOCK_MIN, coded >> _GROWTH), BLOCK_MAX), points)
                coded += end - begin
                for guide in guides:
                    guide.wait(coded)
                _code(side, Block(stage, begin, end, channel, guides), top, channel, guess, error)
                channel.reach(coded)
                begin = end
    finally:  # whoever waits must not wait for ever when this column is damaged
        channel.reach(len(channel.values))


def _code(
    side: _Side, block: Block, top: int, channel: Channel, guess: Regression, error: Regression
) -> None:
    """Codes one block and learns from it."""
    parts, scatter = block.inputs()
    step = guess.guess(parts)
    limited = np.clip(block.mean + step, 0, top * ONE + ONE - 1)
    bins = residuals.bins_of(error.guess(scatter))
    values = side.exchange(block.rows, limited.astype(np.int64), bins) * float(ONE)
    channel.values[block.rows] = values
    actual = values - block.mean
    missed = np.abs(actual - step)
    channel.errors[block.rows] = missed
    guess.learn(np.floor(parts * _NORMAL / block.scale), np.floor(actual * _NORMAL / block.scale))
    error.learn(scatter, residuals.logarithm(missed + LOG_OFFSET))
