"""The probability of one bit: a network's guess, corrected by what the file has shown so far.

A network is right on average over its training set; a file is one cloud. So its log odds are only
one of the inputs of a logistic mixer. The others come from counts that both sides keep:

    counted     how often a 1 followed: by touching children, by lineage, by the mates on each
                line, by the three mates before and the three after, each with the siblings; by
                the coordinate on each axis; and a guess from all coordinates (`tree.axes`)
    calibrated  how often a 1 followed the network's log odds: by the first count, by crowd, by
                touching children, and by faces with the guess from the coordinates
    constant    so that the mix can shift

`tree.contexts` says what these words mean. Every value is an integer. In the manner of PAQ
(Mahoney, "Adaptive weighing of context models", 2005) and of the planar mode of G-PCC.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from pcc_cli.entropy.counts import Calibration, Counts
from pcc_cli.entropy.logistic import LOGIT_UNIT, squash
from pcc_cli.entropy.mixing import Mixer
from pcc_cli.tree.axes import AxisCounts

Array = np.ndarray[Any, Any]

NETWORK_LIMIT = 2500  # of the network's log odds, units of 1/256
COUNT_BINS, COUNT_WIDTH = 16, 128  # of counted log odds, as a context
HAZARD_BINS, HAZARD_WIDTH = 20, 192
HASH_BITS = 17
_HASH_FACTOR = 0x9E3779B1  # Knuth's multiplicative hash: 2**32 over the golden ratio, odd
# 1 network, 7 counted, 3 axes, their guess, 4 calibrated, 1 constant; units of 2**-16.
FIRST_WEIGHTS = (0,) * 12 + (27000, 20500, 18000, 0, 0)


@dataclass(frozen=True)
class Known:
    """What is known of n bits of one stage before they are coded.

    logits : (n,) the network's log odds in units of 1/256
    touching, siblings, crowd, lineage, sides, faces, cells : see `tree.contexts`
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


class StageModel:
    """The counts and weights of one stage: `predict` a block, then `learn` its bits.

    There are two sets of weights: for nodes whose known children are all missing, and for others.
    """

    def __init__(self, stage: int) -> None:
        self.stage = stage
        sizes = [128 << stage, 2048 << stage] + [1 << HASH_BITS] * 5
        self._counts = [Counts(size) for size in sizes]
        sizes = [COUNT_BINS, 27, 128, 64 * 2 * HAZARD_BINS]
        self._calibrations = [Calibration(size) for size in sizes]
        self._mixers = [Mixer(FIRST_WEIGHTS), Mixer(FIRST_WEIGHTS)]

    def predict(self, known: Known, axes: AxisCounts) -> Array:
        """(n,) 2**16 times the probability of a 1; keeps what `learn` needs."""
        siblings = known.siblings.astype(np.int64)
        self._begun = siblings > 0
        self._rows = self._count_rows(known, siblings)
        self._places, self._halves = axes.rows(self.stage, known.cells, siblings)
        counted = [c.log_odds(rows) for c, rows in zip(self._counts, self._rows, strict=True)]
        guess = axes.hazard(self.stage, self._places, siblings)
        logits = np.clip(known.logits, -NETWORK_LIMIT, NETWORK_LIMIT).astype(np.int64)
        self._bins = Calibration.place(logits)
        self._contexts = (
            _bin(counted[0], COUNT_BINS, COUNT_WIDTH),
            known.crowd,
            known.touching,
            (known.faces * 2 + self._begun) * HAZARD_BINS + _bin(guess, HAZARD_BINS, HAZARD_WIDTH),
        )
        calibrated = [
            table.log_odds(context, self._bins)
            for table, context in zip(self._calibrations, self._contexts, strict=True)
        ]
        constant = np.full(len(known), LOGIT_UNIT)
        inputs = [logits, *counted, *axes.log_odds(self._halves), guess, *calibrated, constant]
        self._inputs = np.array(inputs, dtype=np.float64)
        mixed = [mixer.mix(self._inputs) for mixer in self._mixers]
        self._probability = squash(np.where(self._begun, mixed[1], mixed[0]))
        return self._probability

    def _count_rows(self, known: Known, siblings: Array) -> list[Array]:
        """Which of the counts each bit belongs to."""
        direct = [
            (known.touching.astype(np.int64) << self.stage) + siblings,
            (known.lineage.astype(np.int64) << self.stage) + siblings,
        ]
        sides = known.sides.astype(np.int64)
        before, after = (
            byte[:, 0] << 16 | byte[:, 1] << 8 | byte[:, 2]
            for byte in (sides & 255, sides >> 8 & 255)
        )
        hashed = [*sides.T, before, after]
        return direct + [_hash(mates << 8 | siblings) for mates in hashed]

    def learn(self, bits: Array, axes: AxisCounts) -> None:
        """Takes in the bits (n,) int64 of the block that was predicted last."""
        for begun, mixer in enumerate(self._mixers):
            rows = np.flatnonzero(self._begun == begun)
            mixer.learn(self._inputs[:, rows], self._probability[rows], bits[rows])
        for counts, rows in zip(self._counts, self._rows, strict=True):
            counts.learn(rows, bits)
        for table, context in zip(self._calibrations, self._contexts, strict=True):
            table.learn(context, self._bins, bits)
        axes.learn(self.stage, self._places, self._halves, bits)


def _bin(values: Array, bins: int, width: int) -> Array:
    return np.clip(values // width + bins // 2, 0, bins - 1)


def _hash(values: Array) -> Array:
    """`values` below 2**32 scattered over 2**HASH_BITS."""
    scattered: Array = (values * _HASH_FACTOR & 0xFFFFFFFF) >> (32 - HASH_BITS)
    return scattered
