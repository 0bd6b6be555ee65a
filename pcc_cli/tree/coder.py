"""The coder of occupancy bits: a network's guess, corrected by what the file has shown so far.

A network is right on average over its training set; a file is one cloud. So its log odds are only
one of twelve inputs of a logistic mixer. The others come from counts that both sides keep:

    counted     how often a 1 followed: by touching children and siblings; by lineage and siblings
                (see `tree.contexts`); by the coordinate on each axis, and on all (`tree.axes`)
    calibrated  how often a 1 followed the network's log odds: by the first count, by crowd, by
                touching children, and by the guess from the coordinates
    constant    so that the mix can shift

Each stage has its own counts, and two sets of weights: for nodes whose known children are all
missing, and for others. Bits come in blocks: a block is coded with the state before it, then
learned, so that all work is on whole arrays. Every value is an integer, so encoder and decoder
agree on every machine. In the manner of PAQ (Mahoney, 2005) and of G-PCC's planar mode.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from pcc_cli.entropy.counts import Calibration, Counts
from pcc_cli.entropy.logistic import LOGIT_UNIT, squash
from pcc_cli.entropy.mixing import Mixer
from pcc_cli.entropy.rangecoder import RangeDecoder, RangeEncoder
from pcc_cli.tree.axes import AxisCounts

Array = np.ndarray[Any, Any]

STAGES = 8
BLOCK_MIN, BLOCK_MAX = 256, 2048  # bits; blocks grow as the statistics settle
BLOCK_GROWTH = 9  # a block is at most 2**-9 of what was coded before
NETWORK_LIMIT = 2500  # of the network's log odds, units of 1/256
COUNT_BINS, COUNT_WIDTH = 16, 128  # of counted log odds, as a context
HAZARD_BINS, HAZARD_WIDTH = 20, 192
# The inputs in order: the network; counted by touching, by lineage; calibrated by count, crowd,
# touching; counted on the three axes; the guess from the coordinates; calibrated by it; constant.
FIRST_WEIGHTS = (0, 0, 0, 27000, 20500, 18000, 0, 0, 0, 0, 0, 0, 0, 0, 0)
SIDE_BITS = 17
SIDE_FACTOR = 0x9E3779B1


@dataclass(frozen=True)
class Known:
    """What is known of the bits of one stage.

    logits : (n,) the network's log odds in units of 1/256
    touching, siblings, crowd, lineage : (n,) see `tree.contexts`
    sides, faces, cells : (n, 3), (n,), (n, 3) likewise
    """

    logits: Array
    touching: Array
    siblings: Array
    crowd: Array
    lineage: Array
    sides: Array
    faces: Array
    cells: Array

    def __getitem__(self, rows: Any) -> Known:
        return Known(*(getattr(self, field.name)[rows] for field in fields(self)))

    def __len__(self) -> int:
        return len(self.logits)


class _StageModel:
    """The counts and weights of one stage."""

    def __init__(self, stage: int) -> None:
        self.stage = stage
        self.by_touching = Counts(128 << stage)
        self.by_lineage = Counts(2048 << stage)
        self.by_sides = [Counts(1 << SIDE_BITS) for _ in range(3)]
        self.calibrations = [Calibration(n) for n in (COUNT_BINS, 27, 128, 64 * 2 * HAZARD_BINS)]
        self.mixers = [Mixer(FIRST_WEIGHTS), Mixer(FIRST_WEIGHTS)]

    def predict(self, known: Known, axes: AxisCounts) -> Array:
        """(n,) 2**16 times the probability of a 1; keeps what `learn` needs."""
        logits = np.clip(known.logits, -NETWORK_LIMIT, NETWORK_LIMIT).astype(np.int64)
        siblings = known.siblings.astype(np.int64)
        self._touching = (known.touching.astype(np.int64) << self.stage) + siblings
        self._lineage = (known.lineage.astype(np.int64) << self.stage) + siblings
        self._places, self._halves = axes.rows(self.stage, known.cells, siblings)
        packed = (known.sides.astype(np.int64) << self.stage) + siblings[:, None]
        self._sides = ((packed * SIDE_FACTOR & 0xFFFFFFFF) >> (32 - SIDE_BITS)).T
        count = self.by_touching.log_odds(self._touching)
        hazard = axes.hazard(self.stage, self._places, siblings)
        self._begun = siblings > 0
        self._contexts = (
            _bin(count, COUNT_BINS, COUNT_WIDTH),
            known.crowd,
            known.touching,
            (known.faces * 2 + self._begun) * HAZARD_BINS + _bin(hazard, HAZARD_BINS, HAZARD_WIDTH),
        )
        self._place = Calibration.place(logits)
        calibrated = [
            table.log_odds(context, self._place)
            for table, context in zip(self.calibrations, self._contexts, strict=True)
        ]
        self._inputs = np.array(
            [
                logits,
                count,
                self.by_lineage.log_odds(self._lineage),
                *calibrated[:3],
                *axes.log_odds(self._halves),
                *(c.log_odds(rows) for c, rows in zip(self.by_sides, self._sides, strict=True)),
                hazard,
                calibrated[3],
                np.full(len(known), LOGIT_UNIT),
            ],
            dtype=np.float64,
        )
        mixed = [mixer.mix(self._inputs) for mixer in self.mixers]
        self._probability = squash(np.where(self._begun, mixed[1], mixed[0]))
        return self._probability

    def learn(self, bits: Array, axes: AxisCounts) -> None:
        """Takes in the bits (n,) int64 of the block that was predicted last."""
        for begun, mixer in enumerate(self.mixers):
            rows = np.flatnonzero(self._begun == begun)
            mixer.learn(self._inputs[:, rows], self._probability[rows], bits[rows])
        self.by_touching.learn(self._touching, bits)
        self.by_lineage.learn(self._lineage, bits)
        for counts, rows in zip(self.by_sides, self._sides, strict=True):
            counts.learn(rows, bits)
        for table, context in zip(self.calibrations, self._contexts, strict=True):
            table.learn(context, self._place, bits)
        axes.learn(self.stage, self._places, self._halves, bits)


def _bin(values: Array, bins: int, width: int) -> Array:
    return np.clip(values // width + bins // 2, 0, bins - 1)


class BitCoder:
    """Codes a tree, level by level, stage by stage; encoder and decoder make the same calls."""

    def __init__(self) -> None:
        self._models = [_StageModel(stage) for stage in range(STAGES)]
        self._axes = AxisCounts()
        self._coded = 0

    def begin_level(self) -> None:
        """Forgets what holds for one level only."""
        self._axes = AxisCounts()

    def encode(self, stream: RangeEncoder, stage: int, known: Known, bits: Array) -> None:
        """Appends `bits` (n,), 0 or 1, to `stream`."""

        def exchange(rows: slice, ones: Array) -> Array:
            stream.encode_binary(bits[rows], ones)
            return bits[rows]

        self._run(stage, known, exchange)

    def decode(self, stream: RangeDecoder, stage: int, known: Known) -> Array:
        """The next (n,) uint8 bits of `stream`."""
        bits = np.empty(len(known), dtype=np.uint8)

        def exchange(rows: slice, ones: Array) -> Array:
            bits[rows] = stream.decode_binary(ones)
            return bits[rows]

        self._run(stage, known, exchange)
        return bits

    def _run(self, stage: int, known: Known, exchange: Callable[[slice, Array], Array]) -> None:
        model, start = self._models[stage], 0
        while start < len(known):
            size = min(max(BLOCK_MIN, self._coded >> BLOCK_GROWTH), BLOCK_MAX)
            rows = slice(start, min(start + size, len(known)))
            bits = exchange(rows, model.predict(known[rows], self._axes))
            model.learn(bits.astype(np.int64), self._axes)
            self._coded += rows.stop - start
            start = rows.stop
