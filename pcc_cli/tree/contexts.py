"""What is known around a bit before it is coded, as small integers to count by.

For child s of a node, each of the seven nodes on the child's side (three across a face, three
across an edge, one across the corner) has one child that touches child s. Where that child comes
before s its bit is known; elsewhere only whether its node exists.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pcc_cli.tree.mates import bends, line_mates
from pcc_cli.tree.neighbours import Level


@dataclass(frozen=True)
class Contexts:
    """(n,) int32 each.

    touching : 7 bits, the children that touch this one across the border of the node
    siblings : the bits of the same node that are known
    crowd : 0 .. 26, how many neighbours of the node exist
    lineage : 11 bits, code of the parent and which of its children the node is
    sides : (n, 3) int32, on each axis the known bits of the mates (`tree.mates`) before and after:
        8 bits each, of which the highest says whether there is one; then two bits, whether each is
        adjacent, and three for the bend
    faces : 6 bits, which neighbours across the faces exist
    cells : (n, 3) int64, coordinates of the node
    """

    touching: Tensor
    siblings: Tensor
    crowd: Tensor
    lineage: Tensor
    sides: Tensor
    faces: Tensor
    cells: Tensor


def _touching_tables() -> list[list[tuple[int, int]]]:
    """[s] -> the seven (neighbour of the node, child of that neighbour) that touch child s."""
    tables = []
    for s in range(8):
        bits = (s >> 2, (s >> 1) & 1, s & 1)
        pairs = []
        for mask in range(1, 8):
            crossed = (mask >> 2, (mask >> 1) & 1, mask & 1)
            x, y, z = ((2 * bit - 1) * cross for bit, cross in zip(bits, crossed, strict=True))
            pairs.append((9 * (x + 1) + 3 * (y + 1) + z + 1, s ^ mask))
        tables.append(pairs)
    return tables


_TOUCHING = _touching_tables()


class LevelContexts:
    """The contexts of one level; `at(stage, codes)` with the bits below `stage` known."""

    def __init__(self, level: Level, parent_codes: Tensor) -> None:
        self._table = level.table
        count = len(level)
        self._crowd = (level.table < count).sum(1, dtype=torch.int32) - 1
        lineage = parent_codes[level.parents].to(torch.int32) * 8 + level.octants.to(torch.int32)
        self._lineage, self._cells = lineage, level.cells
        device = level.cells.device
        cells = level.cells.cpu().numpy()
        rows, adjacent = line_mates(cells)
        self._mates = torch.from_numpy(rows).to(device)
        near = torch.from_numpy(adjacent).to(device, torch.int32)
        bend = torch.from_numpy(bends(cells, rows)).to(device)
        self._shape = near[:, :3] << 16 | near[:, 3:] << 17 | bend << 18
        self._faces = (near << torch.arange(6, device=device, dtype=torch.int32)).sum(
            1, dtype=torch.int32
        )

    def at(self, stage: int, codes: Tensor) -> Contexts:
        """Of `codes` (n,) uint8 only the bits below `stage` are read."""
        count = len(codes)
        # The last row stands for missing nodes: no children, does not exist.
        known = torch.cat([codes & ((1 << stage) - 1), codes.new_zeros(1)])
        touching = torch.zeros(count, dtype=torch.int32, device=codes.device)
        for place, (neighbour, child) in enumerate(_TOUCHING[stage]):
            rows = self._table[:, neighbour]
            is_known = child < stage
            bit = (known.index_select(0, rows) >> child) & 1 if is_known else rows < count
            touching |= bit.to(torch.int32) << place
        siblings = known[:-1].to(torch.int32)
        exists = known.to(torch.int32)
        exists[:-1] |= 0x80
        mates = exists[self._mates]
        sides = mates[:, :3] | mates[:, 3:] << 8 | self._shape
        return Contexts(
            touching, siblings, self._crowd, self._lineage, sides, self._faces, self._cells
        )
