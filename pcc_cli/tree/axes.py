"""Counts by coordinate: clouds with planes, lattices or layers prefer some coordinates to others.

For each axis, each coordinate a node can have and each half of the node, it is counted how often
the children in that half were occupied. If the axes were independent, child c of a node would have
a share of its children in proportion to the product of three such rates; from these shares follows
how likely the next child is, given that the node's earlier ones were missing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from pcc_cli.entropy.counts import Tables, quotient
from pcc_cli.entropy.logistic import PROBABILITY_BITS, TOTAL, stretch
from pcc_cli.geometry import Array

SPAN = 4096  # coordinates that far apart share their counts; a power of two
_DOUBT = 4  # bits at the mean rate that each coordinate begins with
_LEAST = 64  # smallest share of a half, of 2**16
_SHARE_SHIFT = 12


@dataclass(frozen=True)
class AxisPlaces:
    """Where n bits of a stage are counted, (3, n) each, one row an axis.

    rates : the lower half of the node; the upper half follows it
    halves : the half that the bit is in, and whether it and the other one have a known child
    """

    rates: Array
    halves: Array

    def __getitem__(self, rows: Any) -> AxisPlaces:
        return AxisPlaces(self.rates[rows], self.halves[rows])


class AxisCounts:
    """The counts of one level; both sides begin each level anew."""

    def __init__(self) -> None:
        self._rates = Tables([SPAN * 2] * 3, 0, 0, limit=None)
        self._halves = Tables([SPAN * 8] * 3, 2, 4)
        self._seen = [1, 4]  # ones and bits of the level so far

    def places(self, stage: int, cells: Array, siblings: Array) -> AxisPlaces:
        """Of nodes with the coordinates `cells` (n, 3) and the known children `siblings` (n,)."""
        lower = (cells.T & (SPAN - 1)) * 2
        known = [
            ((siblings & same) > 0) * 2 + ((siblings & other) > 0)
            for same, other in _HALVES_BEFORE[stage]
        ]
        halves = (lower + _upper(stage)) * 4 + np.stack(known)
        return AxisPlaces(self._rates.rows(lower), self._halves.rows(halves))

    def log_odds(self, places: AxisPlaces) -> Array:
        """(3, n) log odds of the bit, by the counts of each axis."""
        return self._halves.log_odds(places.halves)

    def hazard(self, stage: int, places: AxisPlaces, siblings: Array) -> Array:
        """(n,) log odds that child `stage` is there, if the axes were independent.

        For a node without known children: given that it has one, among those that are left. For
        others, the share alone.
        """
        mean = max(1, (self._seen[0] << PROBABILITY_BITS) // self._seen[1])
        lower = self._lower_shares(places.rates, mean)
        x, y, z = np.stack([lower, TOTAL - lower], axis=1)  # (2, n) each: lower and upper half
        shares = ((x[:, None] * y) >> PROBABILITY_BITS)[:, :, None] * z >> _SHARE_SHIFT
        left = shares.reshape(8, -1)[stage:]
        alone = quotient(left[0] << PROBABILITY_BITS, left.sum(0) + 1)
        share = np.where(siblings > 0, left[0] >> 4, alone)
        return stretch(np.minimum(share, TOTAL - 1))

    def _lower_shares(self, rates: Array, mean: int) -> Array:
        """(3, n) 2**16 times the share of the lower half on each axis."""
        ones, total = self._rates.ones_and_totals(np.stack([rates, rates + 1]))
        lower, upper = quotient((ones << PROBABILITY_BITS) + _DOUBT * mean, total + _DOUBT)
        share = quotient(lower << PROBABILITY_BITS, lower + upper + 1)
        return np.minimum(np.maximum(share, _LEAST), TOTAL - _LEAST)

    def learn(self, stage: int, places: AxisPlaces, bits: Array) -> None:
        """Takes in `bits` (n,) at `places`."""
        self._rates.learn(places.rates + _upper(stage), bits)
        self._halves.learn(places.halves, bits)
        self._seen[0] += int(bits.sum())
        self._seen[1] += len(bits)


def _upper(stage: int) -> Array:
    """(3, 1) which half of the node child `stage` lies in on each axis."""
    return np.array([[stage >> 2], [stage >> 1 & 1], [stage & 1]])


def _halves_before(stage: int) -> list[tuple[int, int]]:
    """For each axis: which children before `stage` lie in its half, and which in the other one."""
    halves = []
    for bit in (4, 2, 1):
        same = sum(1 << c for c in range(stage) if c & bit == stage & bit)
        halves.append((same, ((1 << stage) - 1) & ~same))
    return halves


_HALVES_BEFORE = [_halves_before(stage) for stage in range(8)]
