"""What a block of the octree sees around it: a guess of its children, and how far it may be off.

Blocks of a level are coded in eight stages, by the octant of the parent in its own parent. So of
every node that touches another block, the one across the face is often known already; the parents
around always are.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pcc_cli.attributes.cells import OFFSETS, RANK, around
from pcc_cli.attributes.hierarchy import CHILDREN, Level
from pcc_cli.attributes.transform import Blocks
from pcc_cli.geometry import Array

OWN, KNOWN = 24, 14  # weights in a guess: of the own parent, of a known node across a face
NEAR = {1: 9, 2: 2, 3: 1}  # of the parents on the child's side, by axes on which they differ
BESIDE = {1: 6, 2: 3, 3: 2}  # of the parents around, in what they scatter
_AXES = ((9, 4), (3, 2), (1, 1))  # step to the next parent, and the bit of the octant


class View(NamedTuple):
    """What is known of some blocks before they are decoded, in k channels.

    own : (k, s) means of the parents
    differences : (k, 7, s) as they are guessed
    guesses : (k, c) means of the children that follow from them
    scatter, near : (k, s) how far the parents around lie from `own`, and how far guesses in known
        nodes that touch the blocks were off
    """

    blocks: Blocks
    own: Array
    differences: Array
    guesses: Array
    scatter: Array
    near: Array


class Surroundings:
    """The nodes of a level while they are decoded, each with its means in k channels.

    means : (m, k), at first those of the parents
    errors : (m, k), how far the guesses were off; at first half of what they were for the parents
    """

    def __init__(self, level: Level, means: Array, errors: Array) -> None:
        self._level, self._above, self._missed = level, means, errors / 2
        self.means, self.errors = level.of_parents(means), level.of_parents(self._missed)
        self._known = level.of_parents(level.counts == 1)
        self._split = np.flatnonzero(level.counts > 1)
        self._keys = level.keys
        if self._keys is not None and len(self._split):
            self._occupied = np.bitwise_or.reduceat(1 << level.octants, level.firsts)
            self._around = np.full((27, len(self._keys)), len(self._keys), dtype=np.int32)
            self._around[:, self._split] = around(self._keys, self._keys[self._split], self._split)

    def stages(self) -> list[Array]:
        """Rows of the parents with several children, in stages."""
        if self._keys is None:
            return [self._split]
        octants = self._keys[self._split] & 7
        return [self._split[octants == octant] for octant in range(CHILDREN)]

    def keep(self, seen: View, means: Array) -> None:
        """Takes in the decoded `means` (k, c) of the children."""
        nodes = seen.blocks.nodes
        self.means[nodes] = means.T
        self.errors[nodes] = np.abs(means - seen.guesses).T
        self._known[nodes] = True

    def look(self, rows: Array) -> View:
        """The view of the blocks below the parents `rows`."""
        blocks = Blocks(self._level, rows)
        own = self._above[rows].T
        children, scatter, near = (found.T for found in self._seen(blocks))
        differences = blocks.differences(children)
        return View(blocks, own, differences, blocks.means(own, differences), scatter, near)

    def _seen(self, blocks: Blocks) -> tuple[Array, Array, Array]:
        """(c, k) guesses of the children, (s, k) `scatter` and `near`."""
        own, missed = self._above[blocks.rows], self._missed[blocks.rows]
        if self._keys is None:
            return own[blocks.places], np.zeros_like(own), missed
        beside = self._around[:, blocks.rows]
        sums = OWN * own[blocks.places]
        weights = np.full(len(sums), float(OWN))
        errors, touching = np.zeros_like(own), np.zeros(len(own))
        for octant in range(CHILDREN):
            mine = np.flatnonzero(blocks.octants == octant)
            places = blocks.places[mine]
            steps = [step if octant & bit else -step for step, bit in _AXES]
            for step, (_, bit) in zip(steps, _AXES, strict=True):
                who, nodes = self._across(beside[13 + step, places], octant ^ bit)
                sums[mine[who]] += KNOWN * self.means[nodes]
                weights[mine[who]] += KNOWN
                errors[places[who]] += self.errors[nodes]
                touching[places[who]] += 1
            for which in range(1, CHILDREN):
                axes = [step for step, (_, bit) in zip(steps, _AXES, strict=True) if which & bit]
                who, parents = self._there(beside[13 + sum(axes), places])
                sums[mine[who]] += NEAR[len(axes)] * self._above[parents]
                weights[mine[who]] += NEAR[len(axes)]
        touched = (touching > 0)[:, None]
        near = np.where(touched, errors / np.maximum(touching, 1)[:, None], missed)
        return sums / weights[:, None], self._scatter(beside, own), near

    def _there(self, parents: Array) -> tuple[Array, Array]:
        """Which of the `parents` (j,) exist, and those."""
        who = np.flatnonzero(parents < len(self._above))
        return who, parents[who]

    def _across(self, parents: Array, octant: int) -> tuple[Array, Array]:
        """Which of the `parents` (j,) have a known child `octant`, and those nodes."""
        who, parents = self._there(parents)
        ranks = RANK[self._occupied[parents] * CHILDREN + octant]
        nodes = self._level.firsts[parents] + ranks
        there = (ranks >= 0) & self._known[nodes]
        return who[there], nodes[there]

    def _scatter(self, beside: Array, own: Array) -> Array:
        sums, weights = np.zeros_like(own), np.zeros(len(own))
        for offset in OFFSETS:
            who, parents = self._there(beside[13 + 9 * offset[0] + 3 * offset[1] + offset[2]])
            weight = BESIDE[sum(map(abs, offset))]
            sums[who] += weight * np.abs(self._above[parents] - own[who])
            weights[who] += weight
        return sums / np.maximum(weights, 1)[:, None]
