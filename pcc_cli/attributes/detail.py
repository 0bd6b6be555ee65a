"""Levels of detail: in which order points are coded, and which coded points each one looks at.

A point is *born* at the coarsest octree level at which it is the first one of its cell, so the
points born up to a level are one for each of its cells: a thinned copy of the cloud. Levels are
coded coarse to fine, and within a level the children with octant 1 first, then 2, up to 7. Then
the neighbours of a point, all cells around it whose points are coded, are on all sides of it.

Everything is a function of the voxels alone, which the decoder knows. The neighbours of a parent
are found by binary search, those of its children follow from them by table look-up.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from pcc_cli.attributes.cells import LEVELS, OFFSETS, RANK, around, bit_length, cells_of
from pcc_cli.geometry import Array
from pcc_cli.tree.morton import spread

FEW = 6  # neighbours; a point with fewer looks further away, too
NEAR = 3  # largest squared distance of a neighbour in the cells around
SAME = 255  # place of a neighbour in the same cell
_CHUNK = 8192  # points, whose neighbours stay in the L2 cache
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
    """The stages of `voxels`, made once, for whoever walks along them, one after the other."""

    def __init__(self, voxels: Array) -> None:
        self._found: list[Stage] = []
        self._rest = stages(voxels)

    def __iter__(self) -> Iterator[Stage]:
        yield from self._found
        for stage in self._rest:
            self._found.append(stage)
            yield stage


def stages(voxels: Array) -> Iterator[Stage]:
    """All stages of `voxels` (n, 3) in Morton order, n > 0. Row 0 is in none."""
    codes = spread(cells_of(voxels))
    # The highest bit in which a code differs from the one before says where the point is born.
    born = np.append(LEVELS + 1, (bit_length(codes[1:] ^ codes[:-1]) + 2) // 3)
    for level in range(int(born[1:].max(initial=0)), 0, -1):
        if (born == level).any():
            shown = np.flatnonzero(born >= level)
            keys = codes[shown] >> 3 * (level - 1)
            yield from _Level(keys, shown, born[shown] > level).stages()
    again = np.flatnonzero(born == 0)
    if len(again):
        first = np.maximum.accumulate(np.where(born > 0, np.arange(len(born)), 0))[again]
        same = np.full(len(again), SAME, dtype=np.uint8)
        yield Stage(again, np.arange(len(again) + 1), first.astype(np.int32), same)


class _Level:
    """The cells of one level with their points.

    keys : (m,) int64, rising, Morton codes of the cells
    rows : (m,) rows of their points
    old : (m,) bool, whether the point was born before; the first child of each parent is
    """

    def __init__(self, keys: Array, rows: Array, old: Array) -> None:
        self._keys, self._old = keys, old
        self._rows = rows.astype(np.int32)
        firsts = np.flatnonzero(old)
        self._parents = keys[firsts] >> 3
        self._first_octants = np.append(keys[firsts] & 7, 0)
        self._parent_of = np.cumsum(old) - 1
        occupied = np.bitwise_or.reduceat(1 << (keys & 7), firsts)
        # The last entry stands for parents that are not there.
        self._occupied = np.append(occupied, 0).astype(np.int32)
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
                parts = [
                    self._neighbours(octant, mine[begin : begin + _CHUNK])
                    for begin in range(0, len(mine), _CHUNK)
                ]
                counts, near, places = (np.concatenate(part) for part in zip(*parts, strict=True))
                yield Stage(self._rows[mine], np.append(0, np.cumsum(counts)), near, places)

    def _neighbours(self, octant: int, mine: Array) -> tuple[Array, Array, Array]:
        """How many neighbours each of the points `mine` has, and rows and places of them all."""
        parents = self._place[self._parent_of[mine]]
        cousins = _COUSINS[octant]
        around = self._around[cousins.parents[:, None], parents]
        occupied = self._occupied[around]
        # Coded are the children before this one, and the first of each parent.
        coded = occupied & (((1 << octant) - 1) | (occupied & -occupied))
        known = coded[cousins.who] >> cousins.child[:, None] & 1
        points, places = np.divmod(np.flatnonzero(known.T), len(cousins.who))
        who = cousins.who[places]
        ranks = RANK[occupied[who, points] * 8 + cousins.child[places]]
        near, places = (
            self._rows[self._firsts[around[who, points]] + ranks],
            places.astype(np.uint8),
        )
        counts = known.sum(axis=0)  # np.bincount would keep other threads from Python
        few = np.flatnonzero(counts < FEW)
        if len(few):
            which, far, far_places = self._further(octant, parents[few])
            points = np.concatenate([points, few[which]])
            order = np.argsort(points, kind="stable")
            near = np.concatenate([near, far])[order]
            places = np.concatenate([places, far_places])[order]
            counts += np.bincount(few[which], minlength=len(mine))
        return counts, near, places

    def _further(self, octant: int, parents: Array) -> tuple[Array, Array, Array]:
        """For children of `parents`, all with that octant: which of them, and rows and places, of
        the first points in the cells around their parents that are not in the cells around them."""
        beside = self._around[:, parents].T
        points, around = np.divmod(np.flatnonzero(beside < len(self._parents)), len(beside.T))
        cells = beside[points, around]
        squares = _SQUARES[octant, around * 8 + self._first_octants[cells]]
        far = squares > NEAR
        places = (FAR + squares[far]).astype(np.uint8)
        return points[far], self._rows[self._firsts[cells[far]]], places


def _squares() -> Array:
    """(8, 27 * 8) squared distance of a child with an octant from one, with another octant, of one
    of the 27 cells around its parent."""
    octants = np.arange(8)[:, None] >> np.array([2, 1, 0]) & 1
    parents = np.stack(np.meshgrid(*[np.arange(-1, 2)] * 3, indexing="ij"), axis=-1).reshape(27, 3)
    others = (2 * parents[:, None] + octants).reshape(27 * 8, 3)
    return ((others - octants[:, None]) ** 2).sum(axis=2)


_SQUARES = _squares()


class _Cousins(NamedTuple):
    """Where the 26 cells around a child lie.

    parents : (8,) which of the 27 cells around the parent (13 is itself) they are children of
    who, child : (26,) place among `parents`, and octant there
    """

    parents: Array
    who: Array
    child: Array


def _cousins(octant: int) -> _Cousins:
    bits = np.array([octant >> 2, octant >> 1 & 1, octant & 1])
    steps = bits + np.array(OFFSETS)
    parents, who = np.unique(steps // 2 @ [9, 3, 1] + 13, return_inverse=True)
    return _Cousins(parents, who, steps % 2 @ [4, 2, 1])


_COUSINS = [_cousins(octant) for octant in range(8)]
