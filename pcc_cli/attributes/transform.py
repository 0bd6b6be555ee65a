"""The region-adaptive hierarchical transform of one level, in terms of means and differences.

    eight children --z--> four --y--> two --x--> one parent

Of two nodes with means a, b and weights v, w the transform of de Queiroz and Chou (2016) keeps
sqrt(v w / (v + w)) (b - a), and the pair goes on with its mean and the weight v + w. The factor is
the pair's *gain*: coefficients scaled by it have the same error as the values that they stand for.

Every operation is one of IEEE 754 doubles on whole arrays, so the same bits come out everywhere.
"""

from __future__ import annotations

import numpy as np

from pcc_cli.attributes.hierarchy import CHILDREN, Level
from pcc_cli.geometry import Array

# (slot, first, second): pairs of children by their octants, coarsest first.
PAIRS = [(0, 0, 4), (1, 0, 2), (2, 4, 6), (3, 0, 1), (4, 2, 3), (5, 4, 5), (6, 6, 7)]
SLOTS = len(PAIRS)


class Blocks:
    """Parents `rows` (s,) of a level, and their children as (8, s), by octant.

    nodes, places, octants : (c,) the children: node in the level, which block, which child
    gains : (7, s) of each pair; 0 where there is no pair
    """

    def __init__(self, level: Level, rows: Array) -> None:
        counts = level.counts[rows]
        self.rows = rows
        self.places = np.repeat(np.arange(len(rows)), counts)
        ends = np.cumsum(counts)
        self.nodes = np.arange(ends[-1]) + np.repeat(level.firsts[rows] - ends + counts, counts)
        self.octants = level.octants[self.nodes]
        weights = np.zeros((CHILDREN, len(rows)))
        weights[self.octants, self.places] = level.weights[self.nodes]
        self.gains, self._shares = np.empty((2, SLOTS, len(rows)))
        for slot, one, two in reversed(PAIRS):
            both = weights[one] + weights[two]
            whole = np.maximum(both, 1)
            self.gains[slot] = np.sqrt(weights[one] * weights[two] / whole)
            self._shares[slot] = weights[two] / whole
            weights[one] = both

    def spread_out(self, values: Array) -> Array:
        """(k, 8, s) from `values` (k, c) of the children; 0 where there is none."""
        dense = np.zeros((len(values), CHILDREN, len(self.rows)))
        dense[:, self.octants, self.places] = values
        return dense

    def differences(self, children: Array) -> Array:
        """(k, 7, s) of the pairs, from the means of all children (k, c); 0 where none is."""
        means = self.spread_out(children)
        found = np.empty((len(means), SLOTS, len(self.rows)))
        for slot, one, two in reversed(PAIRS):
            found[:, slot] = means[:, two] - means[:, one]
            means[:, one] += self._shares[slot] * found[:, slot]
        found[:, self.gains == 0] = 0
        return found

    def means(self, parents: Array, differences: Array) -> Array:
        """(k, c) means of the children, from those of the `parents` (k, s)."""
        means = np.empty((len(parents), CHILDREN, len(self.rows)))
        means[:, 0] = parents
        for slot, one, two in PAIRS:
            step = differences[:, slot]
            means[:, one] -= self._shares[slot] * step
            means[:, two] = means[:, one] + step
        found: Array = means[:, self.octants, self.places]
        return found
