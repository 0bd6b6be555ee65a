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

from pcc_cli.entropy.counts import Calibrations, Tables
from pcc_cli.entropy.logistic import LOGIT_UNIT, squash
from pcc_cli.entropy.mixing import Mixer
from pcc_cli.geometry import Array
from pcc_cli.tree.axes import AxisCounts, AxisPlaces

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


@dataclass(frozen=True)
class Places:
    """Where n bits are counted, whatever the counts are: (n,) or (k, n) int64 each.

    begun : 1 where a child of the node is known to be there
    contexts : (3, n) of the calibrations; of the last without its bin of the guess
    counts, axes : rows of the tables
    """

    logits: Array
    siblings: Array
    begun: Array
    contexts: Array
    counts: Array
    axes: AxisPlaces

    def __getitem__(self, rows: slice) -> Places:
        return Places(*(getattr(self, field.name)[..., rows] for field in fields(self)))

    def __len__(self) -> int:
        return len(self.logits)


class StageModel:
    """The counts and weights of one stage: `place` bits, and for each block `predict` and `learn`.

    There are two sets of weights: for nodes whose known children are all missing, and for others.
    """

    def __init__(self, stage: int) -> None:
        self.stage = stage
        self._counts = Tables([128 << stage, 2048 << stage, *[1 << HASH_BITS] * 5], 1, 2)
        self._calibrations = Calibrations([COUNT_BINS, 27, 128, 64 * 2 * HAZARD_BINS])
        self._mixer = Mixer(2, FIRST_WEIGHTS)

    def place(self, known: Known, axes: AxisCounts) -> Places:
        """Where the bits belong; done for many blocks at once, because it costs calls, not time."""
        siblings = known.siblings.astype(np.int64)
        begun = (siblings > 0).astype(np.int64)
        logits = np.minimum(np.maximum(known.logits, -NETWORK_LIMIT), NETWORK_LIMIT)
        contexts = [known.crowd, known.touching, (known.faces * 2 + begun) * HAZARD_BINS]
        return Places(
            logits.astype(np.int64),
            siblings,
            begun,
            np.stack(contexts).astype(np.int64),
            self._counts.rows(self._contexts(known, siblings)),
            axes.places(self.stage, known.cells, siblings),
        )

    def _contexts(self, known: Known, siblings: Array) -> Array:
        """(7, n) which of the counts of each table each bit belongs to."""
        sides = known.sides.astype(np.int64).T
        before, after = (
            byte[0] << 16 | byte[1] << 8 | byte[2] for byte in (sides & 255, sides >> 8 & 255)
        )
        contexts = np.empty((7, len(known)), dtype=np.int64)
        contexts[0] = (known.touching.astype(np.int64) << self.stage) + siblings
        contexts[1] = (known.lineage.astype(np.int64) << self.stage) + siblings
        contexts[2:] = _hash(np.stack([*sides, before, after]) << 8 | siblings)
        return contexts

    def predict(self, places: Places, axes: AxisCounts) -> Array:
        """(n,) 2**16 times the probability of a 1; keeps what `learn` needs."""
        inputs = np.empty((len(FIRST_WEIGHTS), len(places)))
        inputs[0] = places.logits
        counted = inputs[1:8] = self._counts.log_odds(places.counts)
        inputs[8:11] = axes.log_odds(places.axes)
        guess = inputs[11] = axes.hazard(self.stage, places.axes, places.siblings)
        contexts = np.empty((4, len(places)), dtype=np.int64)
        contexts[0] = _bin(counted[0], COUNT_BINS, COUNT_WIDTH)
        contexts[1:] = places.contexts
        contexts[3] += _bin(guess, HAZARD_BINS, HAZARD_WIDTH)
        self._bins = self._calibrations.place(contexts, places.logits)
        inputs[12:16] = self._calibrations.log_odds(*self._bins)
        inputs[16] = LOGIT_UNIT
        self._places, self._inputs = places, inputs
        self._probability = squash(self._mixer.mix(inputs, places.begun))
        return self._probability

    def learn(self, bits: Array, axes: AxisCounts) -> None:
        """Takes in the bits (n,) int64 of the block that was predicted last."""
        self._mixer.learn(self._inputs, self._places.begun, self._probability, bits)
        self._counts.learn(self._places.counts, bits)
        self._calibrations.learn(*self._bins, bits)
        axes.learn(self.stage, self._places.axes, bits)


def _bin(values: Array, bins: int, width: int) -> Array:
    return np.minimum(np.maximum(values // width + bins // 2, 0), bins - 1)


def _hash(values: Array) -> Array:
    """`values` below 2**32 scattered over 2**HASH_BITS."""
    scattered: Array = (values * _HASH_FACTOR & 0xFFFFFFFF) >> (32 - HASH_BITS)
    return scattered
