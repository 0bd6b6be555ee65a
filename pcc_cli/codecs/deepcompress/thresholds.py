"""Which of the voxels that the synthesis thinks possible are kept: one threshold for each block.

A block's threshold is `base + (index - MIDDLE) * STEP` in the units of the log odds, 1/256. The
encoder tries all indices at once: for each block and index it sums the squared distances from the
original voxels to the kept ones and back, and takes the best compromise between the two. What
lies outside the neighbourhood that it looks at counts as if it were just outside.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pcc_cli.entropy.rangecoder import TOTAL, RangeDecoder, RangeEncoder
from pcc_cli.tree import neighbours, octree
from pcc_cli.tree.morton import depth_of
from pcc_cli.tree.neighbours import NEIGHBOURS

Array = np.ndarray[Any, Any]

INDICES, MIDDLE, STEP = 16, 8, 48
_SHELLS = (0, 1, 2, 3)  # squared distances within the 27 neighbours
_BEYOND = 6, 12  # what counts for neighbours of neighbours, and for all others
_ROWS = 1 << 15
_NONE = -(1 << 30)


def pack(indices: Array) -> bytes:
    """The stream of one index for each block, with frequencies that follow what was coded."""
    encoder, counts = RangeEncoder(), np.ones(INDICES, dtype=np.int64)
    for index in indices:
        encoder.encode(np.array([index]), _frequencies(counts))
        counts[index] += _LEARNED
    return encoder.finish()


def unpack(stream: bytes, blocks: int) -> Array:
    """(blocks,) int64; FormatError when the stream is damaged."""
    decoder, counts = RangeDecoder(stream), np.ones(INDICES, dtype=np.int64)
    indices = np.empty(blocks, dtype=np.int64)
    for block in range(blocks):
        indices[block] = decoder.decode(_frequencies(counts))[0]
        counts[indices[block]] += _LEARNED
    decoder.finish()
    return indices


_LEARNED = 4  # what one occurrence adds to a count that began with 1


def _frequencies(counts: Array) -> Array:
    table = 1 + counts * (TOTAL - INDICES) // counts.sum()
    table[table.argmax()] += TOTAL - table.sum()
    return table[None]


def marks(base: int, indices: Array | Tensor) -> Any:
    """The thresholds of blocks with `indices`."""
    return base + (indices - MIDDLE) * STEP


@dataclass(frozen=True)
class Candidates:
    """voxels : (m, 3) int64 in Morton order; odds : (m,) their log odds; blocks : (m,) block"""

    voxels: Array
    odds: Array
    blocks: Array


def choose(original: Array, candidates: Candidates, base: int, blocks: int) -> Array:
    """(blocks,) int64, the best index of each block for point-to-point distances (D1).

    original : (n, 3) int64, distinct, in Morton order
    """
    steps = marks(base, np.arange(INDICES))
    near = _Surroundings.of(original, candidates, steps)
    there, back, kept = near.sums(blocks)
    best, smallest = np.full(blocks, MIDDLE), np.inf
    for weight in np.linspace(0.1, 0.9, 17):
        cost = weight * there / len(original) + (1 - weight) * back / len(original)
        chosen = cost.argmin(1)
        rows = np.arange(blocks)
        forward = there[rows, chosen].sum() / len(original)
        backward = back[rows, chosen].sum() / max(kept[rows, chosen].sum(), 1)
        if max(forward, backward) < smallest:
            best, smallest = chosen, max(forward, backward)
    return best


@dataclass(frozen=True)
class _Surroundings:
    """The union of original voxels and candidates, m voxels.

    table : (m, 27) neighbours; is_original : (m,)
    levels : (m + 1,) how many thresholds each passes, 0 for originals that are no candidates
    blocks : (m,)
    """

    table: Tensor
    is_original: Tensor
    levels: Tensor
    blocks: Array

    @classmethod
    def of(cls, original: Array, candidates: Candidates, steps: Array) -> _Surroundings:
        possible = candidates.odds >= steps[0]
        voxels = np.concatenate([original, candidates.voxels[possible]])
        union, table = _table(voxels)
        is_original = torch.zeros(len(table), dtype=torch.bool)
        is_original[union[: len(original)]] = True
        levels = torch.zeros(len(table) + 1, dtype=torch.int32)
        rows = union[len(original) :]
        passed = np.searchsorted(steps, candidates.odds[possible], side="right")
        levels[rows] = torch.from_numpy(passed.astype(np.int32))
        blocks = np.full(len(table), -1)
        blocks[rows] = candidates.blocks[possible]
        return cls(table, is_original, levels, _filled(blocks))

    def sums(self, blocks: int) -> tuple[Array, Array, Array]:
        """(blocks, INDICES) each: squared distances there and back, and number of kept voxels."""
        shells = self._best_within(self.levels)
        wide = torch.cat([shells[-1], shells[-1].new_zeros(1)])
        shells.append(self._largest(wide))
        distances = (*_SHELLS, *_BEYOND)
        mine = self.is_original.numpy()
        there = np.zeros((blocks, INDICES))
        for number, levels in enumerate(shells):
            # A threshold that a voxel does not pass costs the step to the next shell.
            missed = self._histogram(levels.numpy()[mine], self.blocks[mine], blocks).cumsum(1)
            there += (distances[number + 1] - distances[number]) * missed[:, :INDICES]
        away = self._away().numpy()
        levels = self.levels[:-1].numpy()
        passed = self._histogram(levels, self.blocks, blocks, away)
        count = self._histogram(levels, self.blocks, blocks)
        return there, _at_least(passed), _at_least(count)

    def _histogram(
        self, levels: Array, blocks: Array, count: int, weights: Array | None = None
    ) -> Array:
        flat = blocks * (INDICES + 1) + levels
        found = np.bincount(flat, weights, count * (INDICES + 1))
        return found.reshape(count, INDICES + 1).astype(np.float64)

    def _away(self) -> Tensor:
        """(m,) float64, squared distance of each voxel to the nearest original one."""
        exists = torch.cat([self.is_original, self.is_original.new_zeros(1)]).to(torch.int32)
        shells = self._best_within(exists)
        shells.append(self._largest(torch.cat([shells[-1], shells[-1].new_zeros(1)])))
        distances = (*_SHELLS, *_BEYOND)
        away = torch.zeros(len(self.table), dtype=torch.float64)
        for number, found in enumerate(shells):
            away += (distances[number + 1] - distances[number]) * (found == 0)
        return away

    def _best_within(self, values: Tensor) -> list[Tensor]:
        """For each shell, (m,) the largest of `values` (m + 1,) at that distance or nearer."""
        found = [values[:-1]]
        for distance in _SHELLS[1:]:
            places = [k for k in range(NEIGHBOURS) if _squared(k) == distance]
            found.append(torch.maximum(found[-1], self._largest(values, places)))
        return found

    def _largest(self, values: Tensor, places: list[int] | None = None) -> Tensor:
        table = self.table if places is None else self.table[:, places]
        parts = [values[table[i : i + _ROWS]].amax(1) for i in range(0, len(table), _ROWS)]
        return torch.cat(parts)


def _squared(place: int) -> int:
    return sum(abs(axis - 1) for axis in (place // 9, place // 3 % 3, place % 3))


def _at_least(histogram: Array) -> Array:
    """(b, INDICES): how much passes each threshold; histogram (b, INDICES + 1) by levels."""
    passed: Array = histogram[:, ::-1].cumsum(1)[:, ::-1][:, 1:]
    return passed


def _filled(blocks: Array) -> Array:
    """Blocks of voxels in Morton order; where unknown (-1) that of the voxel before."""
    known = np.maximum.accumulate(np.where(blocks >= 0, np.arange(len(blocks)), 0))
    return np.maximum(blocks[known], 0)


def _table(voxels: Array) -> tuple[Tensor, Tensor]:
    """(row of each of `voxels` in their union, (m, 27) neighbours of the union)."""
    from pcc_cli.tree.morton import spread

    keys, rows = np.unique(spread(voxels), return_inverse=True)
    first = np.empty(len(keys), dtype=np.int64)
    first[rows] = np.arange(len(voxels))
    union = voxels[first]
    tree = octree.build(union, max(depth_of(union), 1))
    level = neighbours.root()
    for codes in tree.codes:
        level = neighbours.children(level, torch.from_numpy(codes))
    return torch.from_numpy(rows), level.table
