"""Bits in contexts: counts of several tables, mixed by weights that learn, through the range coder.

Encoder and decoder share `Model.code`; what they do in their own ways is `Writer` and `Reader`.
All arithmetic is that of `entropy.counts` and `entropy.mixing`: integers, the same everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from pcc_cli.entropy.counts import Tables
from pcc_cli.entropy.logistic import FLOOR, LOGIT_UNIT, TOTAL, squash
from pcc_cli.entropy.mixing import Mixer
from pcc_cli.entropy.rangecoder import RangeDecoder, RangeEncoder
from pcc_cli.geometry import Array

BLOCK_LEAST, BLOCK_MOST = 128, 4096
_GROWTH = 3  # a block is at most 2**-3 of what was coded before
PARTS = 8  # in which bits are counted, so that what is known before can be less than one
MEMORY = 1023  # bits that a context of a mix remembers at least
LONG_MEMORY = 1 << 14  # and one without a mix
_WEIGHT = 0.4  # of each table at first, where nothing is known


class Side(Protocol):
    """One end of the stream."""

    def exchange(self, bits: Array, ones: Array) -> Array:
        """(n,) int64 the bits, which the decoder is not given; ones : 2**16 their probability."""


class Writer:
    """The encoder's end; `bits` is what was coded so far, ideally."""

    def __init__(self) -> None:
        self._coder = RangeEncoder()

    def exchange(self, bits: Array, ones: Array) -> Array:
        self._coder.encode_binary(bits, ones)
        return bits

    def finish(self) -> bytes:
        return self._coder.finish()


class Reader:
    """The decoder's end."""

    def __init__(self, data: bytes) -> None:
        self._coder = RangeDecoder(data)

    def exchange(self, bits: Array, ones: Array) -> Array:
        return self._coder.decode_binary(ones).astype(np.int64)

    def finish(self) -> None:
        self._coder.finish()


@dataclass(frozen=True)
class Prior:
    """What contexts hold before any bit.

    ones, total : of each context, table after table, in units of 1/PARTS bits
    weights : (sets, k + 1) of the mixer, units of 2**-16; () of a `Counted`
    """

    ones: Array
    total: Array
    weights: Array


def blank(sizes: Sequence[int], sets: int) -> Prior:
    """Of contexts of which nothing is known."""
    contexts = sum(sizes)
    weights = np.full((sets, len(sizes) + 1), int(_WEIGHT * 65536))
    weights[:, -1:] = 0
    return Prior(np.full(contexts, PARTS), np.full(contexts, 2 * PARTS), weights)


class Model:
    """Bits of one meaning, in contexts of several tables at once.

    sizes : contexts of each table
    memory : bits that a context remembers at least; None: all, to learn a prior from
    """

    def __init__(self, sizes: Sequence[int], prior: Prior, memory: int | None = MEMORY) -> None:
        limit = None if memory is None else memory * PARTS
        self._counts = Tables(sizes, prior.ones, prior.total, limit)
        self._mixer = Mixer(len(prior.weights), prior.weights)
        self._inputs = len(sizes) + 1
        self._coded = 0

    def code(self, side: Side, contexts: Array, sets: Array, bits: Array) -> Array:
        """(n,) int64 the bits.

        contexts : (k, n), one for each table; sets : (n,) set of weights of each bit
        bits : (n,) int64, for the encoder; the decoder's are ignored
        """
        rows = self._counts.rows(contexts)
        found = np.empty(rows.shape[1], np.int64)
        at = 0
        while at < len(found):
            size = min(max(BLOCK_LEAST, self._coded >> _GROWTH), BLOCK_MOST)
            part = slice(at, min(at + size, len(found)))
            found[part] = self._block(side, rows[:, part], sets[part], bits[part])
            at = part.stop
            self._coded += size
        return found

    def _block(self, side: Side, rows: Array, sets: Array, bits: Array) -> Array:
        inputs = np.empty((self._inputs, rows.shape[1]))
        inputs[:-1] = self._counts.log_odds(rows)
        inputs[-1] = LOGIT_UNIT
        ones = squash(self._mixer.mix(inputs, sets))
        known = side.exchange(bits, ones)
        self._mixer.learn(inputs, sets, ones, known)
        self._counts.learn(rows, known, PARTS)
        return known

    def state(self) -> Prior:
        """What the contexts hold now."""
        every = np.arange(len(self._counts))
        return Prior(*self._counts.ones_and_totals(every), self._mixer.weights)


class Counted:
    """Bits in one table of contexts, without a mixer: cheap, for those that are nearly certain."""

    def __init__(self, prior: Prior, memory: int | None = LONG_MEMORY) -> None:
        limit = None if memory is None else memory * PARTS
        self._counts = Tables([len(prior.ones)], prior.ones, prior.total, limit)
        self._weights = prior.weights  # none
        self._coded = 0

    def code(self, side: Side, contexts: Array, bits: Array) -> Array:
        """(n,) int64 the bits; contexts : (n,)."""
        found = np.empty(len(contexts), np.int64)
        at = 0
        while at < len(found):
            size = min(max(BLOCK_LEAST, self._coded >> 1), 1 << 15)
            part = slice(at, min(at + size, len(found)))
            rows = contexts[None, part]
            ones = np.clip(self._counts.ratios(rows)[0], FLOOR, TOTAL - FLOOR)
            found[part] = side.exchange(bits[part], ones)
            self._counts.learn(rows, found[part], PARTS)
            at = part.stop
            self._coded += size
        return found

    def state(self) -> Prior:
        """What the contexts hold now."""
        every = np.arange(len(self._counts))
        return Prior(*self._counts.ones_and_totals(every), self._weights)


def even(side: Side, bits: Array) -> Array:
    """Bits that nothing is known of."""
    return side.exchange(bits, np.full(len(bits), TOTAL // 2, np.int64))
