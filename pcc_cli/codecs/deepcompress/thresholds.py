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
from pcc_cli.geometry import Array
from pcc_cli.tree import neighbours, octree
from pcc_cli.tree.morton import depth_of, firsts, morton_order
from pcc_cli.tree.neighbours import NEIGHBOURS

INDICES, MIDDLE, STEP = 16, 8, 48
METRICS = ("d1", "d2")
_WEIGHTS = np.linspace(0.05, 0.95, 37)  # of distances there against those back
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


def choose(
    original: Array, candidates: Candidates, base: int, blocks: int, most: int, metric: str
) -> Array:
    """(blocks,) int64, the best index of each block.

    original : (n, 3) int64, distinct, in Morton order
    most : voxels that may be kept
    metric : of METRICS
    """
    near = _Surroundings.of(original, candidates, marks(base, np.arange(INDICES)))
    there, back, kept = near.sums(blocks, metric)
    best, smallest = np.full(blocks, MIDDLE), np.inf
    rows = np.arange(blocks)
    for weight in _WEIGHTS:
        chosen = (weight * there + (1 - weight) * back).argmin(1)
        count = kept[rows, chosen].sum()
        forward = there[rows, chosen].sum() / len(original)
        backward = back[rows, chosen].sum() / max(count, 1)
        if 0 < count <= most and max(forward, backward) < smallest:
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

    def sums(self, blocks: int, metric: str) -> tuple[Array, Array, Array]:
        """(blocks, INDICES) each: squared distances there and back, and number of kept voxels."""
        exists = torch.cat([self.is_original, self.is_original.new_zeros(1)]).to(torch.int32)
        costs = _PlaneCosts(self) if metric == "d2" else _PointCosts(len(self.table))
        mine, levels = self.is_original.numpy(), self.levels[:-1].numpy()
        there = np.zeros((blocks, INDICES))
        for number, found in enumerate(self._shells(self.levels)):
            # A threshold that a voxel does not pass costs the step to the next shell.
            step = costs.there(number + 1) - costs.there(number)
            missed = self._histogram(found.numpy()[mine], self.blocks[mine], blocks, step[mine])
            there += missed.cumsum(1)[:, :INDICES]
        away = np.zeros(len(levels))
        for number, found in enumerate(self._shells(exists)):
            away += (costs.back(number + 1) - costs.back(number)) * (found == 0).numpy()
        passed = self._histogram(levels, self.blocks, blocks, away)
        count = self._histogram(levels, self.blocks, blocks)
        return there, _at_least(passed), _at_least(count)

    def _histogram(
        self, levels: Array, blocks: Array, count: int, weights: Array | None = None
    ) -> Array:
        flat = blocks * (INDICES + 1) + levels
        found = np.bincount(flat, weights, count * (INDICES + 1))
        return found.reshape(count, INDICES + 1).astype(np.float64)

    def _shells(self, values: Tensor) -> list[Tensor]:
        """As `_best_within`, and among neighbours of neighbours."""
        found = self._best_within(values)
        return [*found, self._largest(torch.cat([found[-1], found[-1].new_zeros(1)]))]

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
    order = morton_order(voxels)
    placed = voxels[order]
    first = firsts(placed)
    rows = np.empty(len(order), dtype=np.int64)
    rows[order] = np.cumsum(first) - 1
    union = placed[first]
    level = neighbours.root()
    for codes in octree.build(union, max(depth_of(union), 1)).codes:
        level = neighbours.children(level, torch.from_numpy(codes))
    return torch.from_numpy(rows), level.table


class _PointCosts:
    """What it costs that the nearest voxel lies in a shell, to points: its squared distance."""

    def __init__(self, count: int) -> None:
        self._count = count

    def there(self, shell: int) -> Array:
        """(m,) of each voxel of the union, seen from the original ones."""
        return np.full(self._count, float((*_SHELLS, *_BEYOND)[shell]))

    def back(self, shell: int) -> Array:
        """(m,) seen from the kept ones."""
        return self.there(shell)


class _PlaneCosts:
    """The same to planes: the squared distance along the normal of the original voxel.

    In a shell, the mean over the voxels of the union that lie in it; without any, a third of the
    squared distance, which it is for a normal of random direction.
    """

    def __init__(self, near: _Surroundings) -> None:
        count = len(near.table)
        normals = np.zeros((count + 1, 3))
        normals[:-1] = _normals(near.table.numpy(), near.is_original.numpy())
        known = np.append(near.is_original.numpy(), False)
        offsets = np.array([(k // 9 - 1, k // 3 % 3 - 1, k % 3 - 1) for k in range(NEIGHBOURS)])
        self._costs = []
        for shell, distance in enumerate((*_SHELLS, *_BEYOND)):
            there, back = np.zeros((2, count)), np.zeros((2, count))
            for k in range(NEIGHBOURS) if shell < len(_SHELLS) else ():
                if _squared(k) == distance:
                    rows = near.table[:, k].numpy()
                    there += (normals[:-1] @ offsets[k]) ** 2 * (rows < count), rows < count
                    back += (normals[rows] @ offsets[k]) ** 2 * known[rows], known[rows]
            self._costs.append([
                np.where(n > 0, total / np.maximum(n, 1), distance / 3)
                for total, n in (there, back)
            ])  # fmt: skip

    def there(self, shell: int) -> Array:
        """(m,) of each voxel of the union, seen from the original ones."""
        found: Array = self._costs[shell][0]
        return found

    def back(self, shell: int) -> Array:
        """(m,) seen from the kept ones."""
        found: Array = self._costs[shell][1]
        return found


def _normals(table: Array, is_original: Array) -> Array:
    """(m, 3) unit: the direction in which the original voxels around each one vary least."""
    known = np.append(is_original, False)[table].astype(np.float64)  # (m, 27)
    offsets = np.array([(k // 9 - 1, k // 3 % 3 - 1, k % 3 - 1) for k in range(NEIGHBOURS)], float)
    count = np.maximum(known.sum(1), 1)
    mean = known @ offsets / count[:, None]
    products = np.einsum("ki,kj->kij", offsets, offsets).reshape(NEIGHBOURS, 9)
    spread = (known @ products / count[:, None]).reshape(-1, 3, 3)
    spread -= np.einsum("ni,nj->nij", mean, mean)
    normals: Array = np.linalg.eigh(spread)[1][:, :, 0]
    return normals
