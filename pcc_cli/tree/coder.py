"""The coder of occupancy bits: blocks of a stage, predicted, coded, learned.

A block is coded with the state before it and learned afterwards, so that all work is on whole
arrays and the decoder can do the same. Blocks grow as the statistics settle.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from pcc_cli.entropy.rangecoder import RangeDecoder, RangeEncoder
from pcc_cli.geometry import Array
from pcc_cli.tree import certain as certain_bits
from pcc_cli.tree.axes import AxisCounts
from pcc_cli.tree.certain import CertainBits
from pcc_cli.tree.stage import Known, Places, StageModel

Rows = Any  # of the bits: a slice, or their numbers
Exchange = Callable[[Rows, Array], Array]  # probabilities of the bits at rows -> the bits, int64

STAGES = 8
BLOCK_MIN, BLOCK_MAX = 256, 2048  # bits
PART = 1 << 14  # bits that no block reaches across


class BitCoder:
    """Codes a tree, level by level, stage by stage; encoder and decoder make the same calls.

    rarest : bits are certain (`tree.certain`) below this probability of the other value, in units
        of 2**-16; 0: no bit is
    growth : a block has at most 2**-growth of the bits that were coded before it
    """

    def __init__(self, rarest: int = 0, growth: int = 9) -> None:
        self._growth = growth
        self._models = [StageModel(stage) for stage in range(STAGES)]
        self._certain = [CertainBits(rarest) for _ in range(STAGES)] if rarest else []
        self._axes = AxisCounts()
        self._coded = 0

    def begin_level(self) -> None:
        """Forgets what holds for one level only."""
        self._axes = AxisCounts()

    def encode(self, stream: RangeEncoder, stage: int, known: Known, bits: Array) -> None:
        """Appends `bits` (n,), 0 or 1, to `stream`."""

        def exchange(rows: Rows, ones: Array) -> Array:
            stream.encode_binary(bits[rows], ones)
            return bits[rows].astype(np.int64)

        self._run(stage, known, exchange)

    def decode(self, stream: RangeDecoder, stage: int, known: Known) -> Array:
        """The next (n,) uint8 bits of `stream`."""
        bits = np.empty(len(known), dtype=np.uint8)

        def exchange(rows: Rows, ones: Array) -> Array:
            bits[rows] = stream.decode_binary(ones)
            return bits[rows].astype(np.int64)

        self._run(stage, known, exchange)
        return bits

    def _run(self, stage: int, known: Known, exchange: Exchange) -> None:
        if not self._certain:
            self._mix(stage, known, exchange)
            return
        certain = self._certain[stage]
        bins = certain.bins(known.logits)
        are_certain = certain.are_certain(bins)
        rows = np.flatnonzero(are_certain)
        for start in range(0, len(rows), certain_bits.BLOCK):
            block = rows[start : start + certain_bits.BLOCK]
            certain.learn(bins[block], exchange(block, certain.probability(bins[block])))
        rest = np.flatnonzero(~are_certain)
        bins = bins[rest]

        def exchange_rest(rows: Rows, ones: Array) -> Array:
            bits = exchange(rest[rows], ones)
            certain.learn(bins[rows], bits)
            return bits

        self._mix(stage, known[rest], exchange_rest)

    def _mix(self, stage: int, known: Known, exchange: Exchange) -> None:
        """Codes bits with all that is known of them."""
        for start in range(0, len(known), PART):
            part = known[start : start + PART]
            places = self._models[stage].place(part, self._axes)

            def exchange_part(rows: Rows, ones: Array, start: int = start) -> Array:
                return exchange(slice(start + rows.start, start + rows.stop), ones)

            self._blocks(self._models[stage], places, exchange_part)

    def _blocks(self, model: StageModel, places: Places, exchange: Exchange) -> None:
        start = 0
        while start < len(places):
            size = min(max(BLOCK_MIN, self._coded >> self._growth), BLOCK_MAX)
            rows = slice(start, min(start + size, len(places)))
            model.learn(exchange(rows, model.predict(places[rows], self._axes)), self._axes)
            self._coded += rows.stop - start
            start = rows.stop
