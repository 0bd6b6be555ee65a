"""Levels of detail: in which order points are coded, and which coded points each one looks at.

A point is *born* at the coarsest octree level at which it is the first one of its cell, so the
points born up to a level are one for each of its cells: a thinned copy of the cloud. Levels are
coded coarse to fine, and within a level the children with octant 1 first, then 2, up to 7. Then
the neighbours of a point, all cells around it whose points are coded, are on all sides of it.

Everything is a function of the voxels alone, which the decoder knows. The neighbours of a parent
are found by binary search, those of its children follow from them by table look-up.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from pcc_cli.attributes.cells import LEVELS, OFFSETS, RANK, around, bit_length, cells_of
from pcc_cli.tree.morton import spread

Array = np.ndarray[Any, Any]

FEW = 6  # neighbours; a point with fewer looks further away, too
NEAR = 3  # largest squared distance of a neighbour in the cells around
SAME = 255  # place of a neighbour in the same cell
FAR = len(OFFSETS) - NEAR - 1  # and its squared distance is the place of a neighbour further away


@dataclass(frozen=True)
class Stage:
    """m points that are coded side by side, from points coded before.

    rows : (m,) int64, rows of the points, rising
    starts : (m + 1,) int64, where the neighbours of each begin in `near`, and where the last end
    near : (p,) int32, rows of the neighbours, at least one of each point
    places : (p,) uint8, where each lies: 0 .. 25 as in OFFSETS; further away, FAR and its squared
             distance; SAME
    """

    rows: Array
    starts: Array
    near: Array
    places: Array


class Stages:
    """The stages of `voxels`, made once, while threads walk along them."""

    def __init__(self, voxels: Array) -> None:
        self._found: list[Stage] = []
        self._rest = stages(voxels)
        self._turn = threading.Lock()

    def __iter__(self) -> Iterator[Stage]:
        for place in itertools.count():
            with self._turn:
                if place == len(self._found):
                    self._found += itertools.islice(self._rest, 1)
            if place == len(self._found):
                return
            yield self._found[place]


def stages(voxels: Array) -> Iterator[Stage]:
    """All stages of `voxels` (n, 3) in Morton order, n > 0. Row 0 is in none."""
    cells = cells_of(voxels)
    codes = spread(cells)
    # The highest bit in which a code differs from the one before says where the point is born.
    born = np.append(LEVELS + 1, (bit_length(codes[1:] ^ codes[:-1]) + 2) // 3)
    for level in range(int(born[1:].max(initial=0)), 0, -1):
        if (born == level).any():
            shown = np.flatnonzero(born >= level)
            keys, coordinates = codes[shown] >> 3 * (level - 1), cells[shown] >> level - 1
            yield from _Level(keys, coordinates, shown, born[shown] > level).stages()
    again = np.flatnonzero(born == 0)
    if len(again):
        first = np.maximum.accumulate(np.where(born > 0, np.arange(len(born)), 0))[again]
        same = np.full(len(again), SAME, dtype=np.uint8)
        yield Stage(again, np.arange(len(again) + 1), first.astype(np.int32), same)


class _Level:
    """The cells of one level with their points.

    keys : (m,) int64, rising, Morton codes of the cells
    cells : (m, 3) int64, their coordinates
    rows : (m,) rows of their points
    old : (m,) bool, whether the point was born before; the first child of each parent is
    """

    def __init__(self, keys: Array, cells: Array, rows: Array, old: Array) -> None:
        self._keys, self._cells, self._old = keys, cells, old
        self._rows = rows.astype(np.int32)
        firsts = np.flatnonzero(old)
        self._parents = keys[firsts] >> 3
        self._parent_of = np.cumsum(old) - 1
        occupied = np.bitwise_or.reduceat(1 << (keys & 7), firsts)
        # The last entry stands for parents that are not there.
        self._occupied = np.append(occupied, 0).astype(np.int32) * 8
        self._firsts = np.append(firsts, 0).astype(np.int32)
        fresh = np.flatnonzero(np.diff(firsts, append=len(keys)) > 1)  # parents with new children
        self._place = np.zeros(len(firsts), dtype=np.int32)
        self._place[fresh] = np.arange(len(fresh))
        self._around = around(self._parents, self._parents[fresh], fresh)

    def stages(self) -> Iterator[Stage]:
        octants = np.where(self._old, 0, self._keys & 7)
        for octant in range(1, 8):
            mine = np.flatnonzero(octants == octant)
            if len(mine):
                yield self._stage(octant, mine)

    def _stage(self, octant: int, mine: Array) -> Stage:
        parents = self._place[self._parent_of[mine]]
        known = np.empty((len(mine), len(OFFSETS)), dtype=bool)
        cells = np.empty((len(mine), len(OFFSETS)), dtype=np.int32)
        for k, (parent, child) in enumerate(_COUSINS[octant]):
            cousins = self._around[parent, parents]
            rank = RANK[self._occupied[cousins] + child]
            known[:, k] = rank >= 0 if child < octant else rank == 0
            cells[:, k] = self._firsts[cousins] + rank
        points, places = np.nonzero(known)
        near, places = self._rows[cells[known]], places.astype(np.uint8)
        counts = np.bincount(points, minlength=len(mine))
        few = np.flatnonzero(counts < FEW)
        if len(few):
            which, far, far_places = self._further(mine[few], parents[few])
            points = np.concatenate([points, few[which]])
            order = np.argsort(points, kind="stable")
            near = np.concatenate([near, far])[order]
            places = np.concatenate([places, far_places])[order]
            counts += np.bincount(few[which], minlength=len(mine))
        return Stage(self._rows[mine], np.append(0, np.cumsum(counts)), near, places)

    def _further(self, mine: Array, parents: Array) -> tuple[Array, Array, Array]:
        """For the points `mine`: which of them, and rows and places, of the first points in the
        cells around their parents that are not in the cells around them."""
        beside = self._around[:, parents].T
        which, parent = np.nonzero(beside < len(self._parents))
        cells = self._firsts[beside[which, parent]]
        steps = self._cells[cells] - self._cells[mine[which]]
        squares = np.einsum("ij,ij->i", steps, steps)
        far = squares > NEAR
        places = (FAR + squares[far]).astype(np.uint8)
        return which[far], self._rows[cells[far]], places


def _cousins() -> list[list[tuple[int, int]]]:
    """[octant][k] -> the parent around (27, the own one is 13) and its child at offset k."""
    table = []
    for octant in range(8):
        bits = (octant >> 2, octant >> 1 & 1, octant & 1)
        steps = [[b + o for b, o in zip(bits, offset, strict=True)] for offset in OFFSETS]
        table.append([
            (9 * (x // 2) + 3 * (y // 2) + z // 2 + 13, 4 * (x % 2) + 2 * (y % 2) + z % 2)
            for x, y, z in steps
        ])  # fmt: skip
    return table


_COUSINS = _cousins()
