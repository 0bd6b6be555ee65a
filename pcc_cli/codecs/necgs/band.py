"""Nodes of grids near a surface, coarse to fine, and where their neighbours are.

A grid of `side` nodes along an axis of [-1, 1] has them in the middle of its cells; node (x, y, z)
has the number (x side + y) side + z. The grid of twice the side has eight children of each node.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pcc_cli.geometry import Array
from pcc_cli.levelset.marching import CORNERS

FIRST, DENSE = 4, 16  # sides of the first grid, and of the last one that has all its nodes
REACH = 1.25  # nodes nearer to the surface than so many steps have children
AROUND = np.stack(np.meshgrid(*[np.arange(-1, 2)] * 3, indexing="ij"), -1).reshape(-1, 3)


@dataclass(frozen=True)
class Level:
    """A grid on the way to a finer one.

    side : nodes along an axis
    parents : (p,) rows, among the nodes that are known here, of those that have children
    table : (p, 27) int32 rows of the neighbours of each parent; the number of nodes where none is
    nodes : (8 p,) numbers of the children on the next grid
    """

    side: int
    parents: Array
    table: Array
    nodes: Array


@dataclass(frozen=True)
class Band:
    """levels : from FIRST to half of the side; table : (n, 27) neighbours of the last nodes"""

    levels: list[Level]
    table: Array

    @property
    def side(self) -> int:
        return self.levels[-1].side * 2

    @property
    def nodes(self) -> Array:
        """(n,) numbers of the last nodes."""
        return self.levels[-1].nodes


def sides(side: int) -> list[int]:
    """FIRST, twice that, and so on, below `side`."""
    return [FIRST << k for k in range((side // FIRST).bit_length() - 1)]


def level(side: int, nodes: Array, near: Array) -> Level:
    """The level of `nodes`, of which those that are `near` (n,) bool have children."""
    parents = np.flatnonzero(near)
    table = neighbours(nodes, parents, side)
    children = (coordinates(nodes[parents], side)[:, None] * 2 + CORNERS).reshape(-1, 3)
    return Level(side, parents, table, numbers(children, side * 2))


def neighbours(nodes: Array, rows: Array, side: int) -> Array:
    """(len(rows), 27) int32: rows of the nodes AROUND each of `nodes[rows]`; len(nodes): none."""
    place = np.full((side + 2) ** 3, len(nodes), np.int32)
    padded = numbers(coordinates(nodes, side) + 1, side + 2)
    place[padded] = np.arange(len(nodes), dtype=np.int32)
    found: Array = place[padded[rows][:, None] + numbers(AROUND, side + 2)]
    return found


def all_nodes(side: int) -> Array:
    return np.arange(side**3)


def coordinates(nodes: Array, side: int) -> Array:
    """(n, 3) whole numbers x, y, z."""
    return np.stack([nodes // side**2, nodes // side % side, nodes % side], axis=1)


def numbers(places: Array, side: int) -> Array:
    found: Array = (places[:, 0] * side + places[:, 1]) * side + places[:, 2]
    return found


def points(nodes: Array, side: int) -> Array:
    """(n, 3) float64 in [-1, 1]."""
    found: Array = (coordinates(nodes, side) + 0.5) * (2 / side) - 1
    return found
