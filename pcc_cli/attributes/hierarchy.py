"""The octree over the points of a tile, from the points up: what the transform of `raht` runs on.

Points in one place are told apart by their rank there, whose bits continue the octree below its
cells. So every node at the bottom is one point.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pcc_cli.attributes.cells import cells_of
from pcc_cli.geometry import Array
from pcc_cli.tree.morton import spread

CHILDREN = 8


@dataclass(frozen=True)
class Level:
    """The m nodes of one level, in Morton order, and their p parents.

    octants : (m,) int64, which child of its parent each node is
    weights : (m,) float64, points below each node
    firsts, counts : (p,) int64, first child of each parent, and how many it has
    keys : (p,) int64, rising Morton codes of the parents; None where nodes have no place in space
    """

    octants: Array
    weights: Array
    firsts: Array
    counts: Array
    keys: Array | None

    def of_parents(self, values: Array) -> Array:
        """(m, ...): `values` (p, ...) of the parents, at their children."""
        return np.repeat(values, self.counts, axis=0)


def levels(voxels: Array) -> list[Level]:
    """All levels of `voxels` (n, 3) in Morton order, the points first, n > 0."""
    codes = spread(cells_of(voxels))
    rows = np.arange(len(codes))
    new = np.append(True, codes[1:] != codes[:-1])
    ranks = rows - np.maximum.accumulate(np.where(new, rows, 0))
    built: list[Level] = []
    nodes = rows  # the first point of each node
    for depth in range(_depth(int(ranks.max()))):
        above = ranks[nodes] >> 3 * (depth + 1)
        first = (new[nodes]) | np.append(True, above[1:] != above[:-1])
        built.append(_level(ranks[nodes] >> 3 * depth, first, built))
        nodes = nodes[first]
    for depth in range(_depth(int(codes[0] ^ codes[-1]))):
        keys = codes[nodes] >> 3 * depth
        first = np.append(True, keys[1:] >> 3 != keys[:-1] >> 3)
        built.append(_level(keys, first, built, (keys >> 3)[first]))
        nodes = nodes[first]
    return built


def _depth(code: int) -> int:
    return -(-code.bit_length() // 3)


def _level(codes: Array, first: Array, below: list[Level], keys: Array | None = None) -> Level:
    """The level of nodes with `codes` (m,), of which `first` (m,) begin a parent."""
    firsts = np.flatnonzero(first)
    counts = np.diff(firsts, append=len(first))
    weights = np.add.reduceat(below[-1].weights, below[-1].firsts) if below else np.ones(len(first))
    return Level(codes & 7, weights, firsts, counts, keys)
