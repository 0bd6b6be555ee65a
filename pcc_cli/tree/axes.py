"""Counts by coordinate: clouds with planes, lattices or layers prefer some coordinates to others.

For each axis, each coordinate a node can have and each half of the node, it is counted how often
the children in that half were occupied. If the axes were independent, child c of a node would have
a share of its children in proportion to the product of three such rates; from these shares follows
how likely the next child is, given that the node's earlier ones were missing.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pcc_cli.entropy.counts import Counts
from pcc_cli.entropy.logistic import PROBABILITY_BITS, TOTAL, stretch

Array = np.ndarray[Any, Any]

SPAN = 4096  # coordinates that far apart share their counts
_DOUBT = 4  # bits at the mean rate that each coordinate begins with
_LEAST = 64  # smallest share of a half, of 2**16
_SHARE_SHIFT = 12


class AxisCounts:
    """The counts of one level; both sides begin each level anew."""

    def __init__(self) -> None:
        self._ones = np.zeros((3, SPAN * 2), dtype=np.int64)
        self._total = np.zeros((3, SPAN * 2), dtype=np.int64)
        self._seen = [1, 4]  # ones and bits of the level so far
        # By half, coordinate, and whether the same and the other half have a known child.
        self._by_halves = [Counts(SPAN * 8, 2, 4) for _ in range(3)]

    def rows(self, stage: int, cells: Array, siblings: Array) -> tuple[Array, Array]:
        """Two (3, n) arrays of contexts, from the nodes' coordinates `cells` (n, 3)."""
        places, halves = [], []
        for axis in range(3):
            bit = 4 >> axis
            half = int(stage & bit > 0)
            same = sum(1 << c for c in range(stage) if c & bit == stage & bit)
            other = ((1 << stage) - 1) & ~same
            place = (cells[:, axis] % SPAN) * 2
            places.append(place)
            occupied = ((siblings & same) > 0) * 2 + ((siblings & other) > 0)
            halves.append((place + half) * 4 + occupied)
        return np.stack(places), np.stack(halves)

    def log_odds(self, halves: Array) -> list[Array]:
        """Three (n,) log odds of the bit, by the counts of each axis."""
        return [c.log_odds(rows) for c, rows in zip(self._by_halves, halves, strict=True)]

    def hazard(self, stage: int, places: Array, siblings: Array) -> Array:
        """(n,) log odds that child `stage` is there, if the axes were independent.

        For a node without known children: given that it has one, among those that are left. For
        others, the share alone.
        """
        mean = max(1, (self._seen[0] << PROBABILITY_BITS) // self._seen[1])
        low = [self._share(axis, places[axis], mean) for axis in range(3)]
        shares = [
            (_half(low[0], c & 4) * _half(low[1], c & 2) >> PROBABILITY_BITS) * _half(low[2], c & 1)
            >> _SHARE_SHIFT
            for c in range(stage, 8)
        ]
        left = sum(shares) + 1
        alone = np.minimum((shares[0] << PROBABILITY_BITS) // left, TOTAL - 1)
        return stretch(np.where(siblings > 0, np.minimum(shares[0] >> 4, TOTAL - 1), alone))

    def _share(self, axis: int, places: Array, mean: int) -> Array:
        """(n,) 2**16 times the share of the lower half on one axis."""
        ones, total = self._ones[axis], self._total[axis]
        rate = [
            ((ones[row] << PROBABILITY_BITS) + _DOUBT * mean) // (total[row] + _DOUBT)
            for row in (places, places + 1)
        ]
        share = (rate[0] << PROBABILITY_BITS) // (rate[0] + rate[1] + 1)
        return np.clip(share, _LEAST, TOTAL - _LEAST)

    def learn(self, stage: int, places: Array, halves: Array, bits: Array) -> None:
        """Takes in `bits` (n,), given what `rows` returned."""
        for axis in range(3):
            rows = places[axis] + int(stage & (4 >> axis) > 0)
            np.add.at(self._total[axis], rows, 1)
            np.add.at(self._ones[axis], rows, bits)
            self._by_halves[axis].learn(halves[axis], bits)
        self._seen[0] += int(bits.sum())
        self._seen[1] += len(bits)


def _half(low: Array, upper: int) -> Array:
    return TOTAL - low if upper else low
