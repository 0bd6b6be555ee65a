"""Neighbour tables of octree levels, without a hash and without a sort.

In breadth-first Morton order the children of a node are consecutive, and the 26 neighbours of a
child lie in the 27-neighbourhood of its parent. So the table of a level follows from the table of
the level above by look-up: first child of the right parent neighbour, plus the number of its
occupied children before the right one. Neighbour k of a node is at offset
(k // 9 - 1, k // 3 % 3 - 1, k % 3 - 1); neighbour 26 - k is the opposite one; 13 is the node.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

NEIGHBOURS = 27
_CHUNK = 1 << 15  # rows handled at once: the int64 temporaries stay in the cache


def _offset_tables() -> tuple[Tensor, Tensor]:
    """(8, 27) each: which neighbour of the parent holds neighbour k of child c, and as which child.

    Along one axis the neighbour lies at child position p = bit + offset in -1 .. 2: in the parent
    at p >> 1, as child p & 1.
    """
    parent = torch.zeros(8, NEIGHBOURS, dtype=torch.long)
    child = torch.zeros(8, NEIGHBOURS, dtype=torch.long)
    for c in range(8):
        for k in range(NEIGHBOURS):
            bits = (c >> 2, (c >> 1) & 1, c & 1)
            offsets = (k // 9 - 1, k // 3 % 3 - 1, k % 3 - 1)
            p = [bit + offset for bit, offset in zip(bits, offsets, strict=True)]
            parent[c, k] = 9 * ((p[0] >> 1) + 1) + 3 * ((p[1] >> 1) + 1) + (p[2] >> 1) + 1
            child[c, k] = 4 * (p[0] & 1) + 2 * (p[1] & 1) + (p[2] & 1)
    return parent, child


def _rank_table() -> Tensor:
    """(256 * 8,) : children of `code` before child c, or -1 where c is not occupied."""
    codes = torch.arange(256)
    occupied = (codes[:, None] >> torch.arange(8)) & 1
    before = occupied.cumsum(1) - occupied
    return torch.where(occupied > 0, before, -1).flatten().to(torch.int32)


_PARENT, _CHILD = _offset_tables()
_RANK = _rank_table()


@dataclass(frozen=True)
class Level:
    """The nodes of one octree level, as a codec sees them before their codes are known.

    table : (n, 27) int32, row of each neighbour, n where there is none
    parents : (n,) int64, row of the parent in the level above
    octants : (n,) int64, which child of its parent the node is
    cells : (n, 3) int64, coordinates of the node among the cells of its level
    """

    table: Tensor
    parents: Tensor
    octants: Tensor
    cells: Tensor

    def __len__(self) -> int:
        return len(self.parents)


def root(device: torch.device | str = "cpu") -> Level:
    """Level 0: one node, its own and only neighbour."""
    table = torch.ones(1, NEIGHBOURS, dtype=torch.int32, device=device)
    table[0, NEIGHBOURS // 2] = 0
    zero = torch.zeros(1, dtype=torch.long, device=device)
    return Level(table, zero, zero, torch.zeros(1, 3, dtype=torch.long, device=device))


def children(level: Level, codes: Tensor) -> Level:
    """The level below `level`, whose nodes have the occupancy `codes` (n,) uint8, all above 0."""
    device = codes.device
    occupied = (codes[:, None] >> torch.arange(8, dtype=torch.uint8, device=device)) & 1
    parents, octants = occupied.nonzero(as_tuple=True)
    counts = occupied.sum(1, dtype=torch.int32)
    first = torch.cat([counts.cumsum(0, dtype=torch.int32) - counts, counts.new_zeros(1)])
    keys = torch.cat([codes, codes.new_zeros(1)]).to(torch.int32) * 8
    flat = level.table.flatten()
    parent_of, child_of, rank_of = (t.to(device) for t in (_PARENT, _CHILD.to(torch.int32), _RANK))
    total = len(parents)
    table = torch.empty(total, NEIGHBOURS, dtype=torch.int32, device=device)
    for start in range(0, total, _CHUNK):
        rows = slice(start, start + _CHUNK)
        octant = octants[rows]
        cousins = flat[parents[rows, None] * NEIGHBOURS + parent_of[octant]]
        rank = rank_of[keys[cousins] + child_of[octant]]
        table[rows] = torch.where(rank < 0, total, first[cousins] + rank)
    axes = torch.tensor([4, 2, 1], device=device)
    cells = 2 * level.cells[parents] + (octants[:, None] & axes).ne(0)
    return Level(table, parents, octants, cells)
