"""What the coded neighbours of a block of points say: means, and how far they scatter.

All numbers are whole, in units of 1/16 of a value; quotients are rounded down. Sums stay below
2**53 in float64, so they are exact in any order, and IEEE 754 rounds a quotient of such numbers so
that rounding it down gives the right integer. Numbers of 8 bits fit in int32, which is faster.

Points of a block are worked on in groups with about as many neighbours each, so that sums over
neighbours are sums over the rows of a matrix in which hardly a place is empty.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from pcc_cli.attributes.cells import OFFSETS
from pcc_cli.attributes.detail import FAR, SAME, Stage
from pcc_cli.attributes.residuals import FRACTION_BITS, OCTAVE, logarithm
from pcc_cli.geometry import Array

BLOCK_MIN, BLOCK_MAX = 256, 8192  # points
ONE = 1 << FRACTION_BITS
WEIGHTS = 48  # of a neighbour, over its squared distance
LOG_OFFSET = 8  # keeps logarithms of small numbers calm
_GROWTH = 4  # a block is at most 2**-4 of what was coded before
_GROUP = 2048  # points, whose neighbours stay in the L2 cache
_NOWHERE = 254  # place that stands for a neighbour that is not there
# Limits of what int32 holds: a sum over 53 neighbours, of weights up to 48 * 64, or 48 for errors.
_NARROW_VALUE, _NARROW_ERROR = 1 << 12, 1 << 19
_STEPS = 64  # of a distance in colour, in eighths of the local scale
_ACROSS = [k for k, offset in enumerate(OFFSETS) if sum(x * x for x in offset) == 1]
_SLOTS = np.full(256, -1)
FACES = len(_ACROSS)
_SLOTS[_ACROSS] = np.arange(FACES)


def _weights() -> Array:
    """(256,) 48 over the squared distance, by place."""
    beside = [sum(x * x for x in offset) for offset in OFFSETS]
    squares = np.array(beside + [place - FAR for place in range(len(OFFSETS), 256)])
    weights = np.maximum(WEIGHTS // squares, 1).astype(np.int32)
    weights[SAME] = WEIGHTS
    weights[_NOWHERE] = 0
    return weights


_WEIGHTS = _weights()
# 64 / (1 + (t / 8 s)**2) for s = 3 / 10 and s = 1, t in eighths: narrow and wide.
_KERNELS = [
    np.array([max(1, 64 * b // (b + a * t * t)) for t in range(_STEPS)], np.int32)
    for a, b in ((25, 144), (1, 64))
]


class Channel:
    """One column of n points: what is known of it, filled in as points are coded.

    values : (n,) in units of 1/16
    errors : (n,) absolute errors of the guesses
    """

    def __init__(self, count: int) -> None:
        self.values, self.errors = (np.zeros(count, dtype=np.int32) for _ in range(2))

    def keep(self, rows: Array, values: Array, errors: Array) -> None:
        """Takes in `values` and `errors` (m,) of the points `rows`."""
        self.values = _wide_enough(self.values, values, _NARROW_VALUE)
        self.errors = _wide_enough(self.errors, errors, _NARROW_ERROR)
        self.values[rows], self.errors[rows] = values, errors


def _wide_enough(kept: Array, fresh: Array, limit: int) -> Array:
    """`kept` in a type that takes `fresh` and sums of them, too."""
    return kept if fresh.max() < limit else kept.astype(np.float64, copy=False)


class Seen(NamedTuple):
    """What m points see of a column in their neighbours, at most k each.

    mean, spread : (m,) of the neighbours, and of how far they lie from it
    own : (k, m) how far each lies from it
    across : (m,) means of `own` over neighbours across a face, and over those across an edge
    """

    mean: Array
    spread: Array
    own: Array
    across: list[Array]


class Group:
    """m points of a block and their neighbours, at most k each, as all columns see them.

    rows : (m,) of the points in the cloud
    near : (k, m) rows of the neighbours
    weights : (k, m), 0 where a point has no more neighbours
    seen : of each column so far
    """

    def __init__(self, stage: Stage, rows: Array, counts: Array) -> None:
        """rows : (m,) of the points in the stage; counts : (m,) of their neighbours"""
        self.rows = stage.rows[rows]
        steps = np.arange(counts.max())[:, None]
        there = steps < counts
        entries = stage.starts[rows] + np.where(there, steps, 0)
        self.near = stage.near[entries].astype(np.int64)
        places = np.where(there, stage.places[entries], _NOWHERE)
        self.weights = _WEIGHTS[places]
        self._total = self.weights.sum(axis=0)
        masks = [(self.weights == w).astype(np.int32) for w in (WEIGHTS, WEIGHTS // 2)]
        self._masks = [(mask, np.maximum(mask.sum(axis=0), 1)) for mask in masks]
        self._across = np.flatnonzero(masks[0])
        self._slots = _SLOTS[places.ravel()[self._across]] * len(rows) + self._across % len(rows)
        self.seen: list[Seen] = []

    def mean(self, values: Array) -> Array:
        """(m,) means of `values` (k, m)."""
        return _mean(self.weights, values, self._total)

    def look(self, channel: Channel) -> None:
        """Takes in one more column."""
        values = channel.values.take(self.near, mode="wrap")  # the fastest mode
        mean = self.mean(values)
        own = values - mean.astype(values.dtype)
        across = [_mean(mask, own, number) for mask, number in self._masks]
        self.seen.append(Seen(mean, self.mean(np.abs(own)), own, across))

    def faces(self, values: Array) -> Array:
        """(6, m) of `values` (k, m), those across the faces; 0 where there is none."""
        slots = np.zeros((FACES, len(self.rows)))
        slots.ravel()[self._slots] = values.ravel()[self._across]
        return slots


class Block:
    """Points of a stage that are coded side by side.

    rows : (m,) of the points in the cloud, rising
    order : (m,) where in `rows` the points of the groups are, of one group after the other
    groups : the same points, in groups
    """

    def __init__(self, stage: Stage, begin: int, end: int) -> None:
        self.rows = stage.rows[begin:end]
        counts = np.diff(stage.starts[begin : end + 1])
        self.order = np.argsort(counts.astype(np.uint8), kind="stable")
        cuts = range(_GROUP, len(counts), _GROUP)
        self.groups = [
            Group(stage, begin + places, counts[places]) for places in np.split(self.order, cuts)
        ]


def blocks(stages: Iterable[Stage]) -> Iterator[Block]:
    """All points but row 0, in the blocks in which they are coded, which grow."""
    coded = 1
    for stage in stages:
        begin, points = 0, len(stage.rows)
        while begin < points:
            end = min(begin + min(max(BLOCK_MIN, coded >> _GROWTH), BLOCK_MAX), points)
            yield Block(stage, begin, end)
            coded += end - begin
            begin = end


class View:
    """What one column shows of a block before it is coded there, points in the block's `order`.

    guides : columns that are known of these points, too, and resemble the one to come

    mean : (m,) of the neighbours
    scale : (m,) how far neighbours lie from their mean, and one value more
    guess : (i, m) means of parts of the neighbours, less `mean`, from which to guess the value
    scatter : (j, m) logarithms of how far neighbours scatter and were missed, from which to guess
        the error
    """

    def __init__(self, block: Block, channel: Channel, guides: Sequence[Channel]) -> None:
        points = len(block.rows)
        self.mean, self.scale = np.empty(points), np.empty(points)
        self.guess = np.empty((inputs_of_guess(len(guides)), points))
        scatter = np.zeros((inputs_of_error(len(guides)), points))
        begin = 0
        for group in block.groups:
            here = slice(begin, begin + len(group.rows))
            self.mean[here], self.scale[here], *seen = _look(group, channel, guides)
            for rows, found in zip((self.guess, scatter), seen, strict=True):
                for row, values in enumerate(found):
                    rows[row, here] = values
            begin = here.stop
        self.scatter = logarithm(scatter + LOG_OFFSET)
        self.scatter[-1] = OCTAVE


def _look(
    group: Group, channel: Channel, guides: Sequence[Channel]
) -> tuple[Array, Array, list[Array], list[Array]]:
    """Mean, scale, and rows of guess and scatter of a `View`, of the points of a group."""
    group.look(channel)
    *others, mine = group.seen[-1 - len(guides) :]
    here = [g.values[group.rows] - seen.mean for g, seen in zip(guides, others, strict=True)]
    scale = ONE + np.floor(sum(seen.spread for seen in (*others, mine)) / (1 + len(guides)))
    own = [seen.own for seen in (*others, mine)]
    steps = _steps(own, here, scale)
    means, scatter = [], [mine.spread]
    for kernel in _KERNELS:
        weights = group.weights * kernel.take(steps, mode="clip")
        total = np.einsum("km->m", weights)
        means.append([_mean(weights, x, total) for x in own])
        rest = np.abs(mine.own - means[-1][-1].astype(mine.own.dtype))
        scatter.append(_mean(weights, rest, total))
    means += map(list, zip(*(seen.across for seen in (*others, mine)), strict=True))
    guess = []
    for *theirs, ours in means:
        guess += [ours, *(h - other for h, other in zip(here, theirs, strict=True))]
    guess += here if guides else list(group.faces(mine.own))
    missed = group.mean(channel.errors.take(group.near, mode="wrap"))
    scatter += [missed, *(guide.errors[group.rows] for guide in guides)]
    return mine.mean, scale, guess, scatter


def inputs_of_guess(guides: int) -> int:
    """Rows of `View.guess`: of two kernels, faces and edges, then guides or faces themselves."""
    return 4 * (1 + guides) + (guides or FACES)


def inputs_of_error(guides: int) -> int:
    """Rows of `View.scatter`: three of how far neighbours scatter, one of how they were missed,
    one for each guide, and a constant."""
    return 5 + guides


def _steps(own: Sequence[Array], here: Sequence[Array], scale: Array) -> Array:
    """(k, m) int64, how far neighbours are from the point as its guides tell, else from the mean,
    in eighths of the local scale; from _STEPS - 1 on, all is far."""
    if here:
        apart = sum(np.abs(x - h.astype(x.dtype)) for x, h in zip(own, here, strict=False))
    else:
        apart = np.abs(own[0])
    # Numbers of 24 bits are exact in float32, and so is a quotient of them that is rounded down.
    kind = np.float32 if apart.dtype == np.int32 else np.float64
    unit = (scale * max(len(here), 1)).astype(kind)
    steps = apart.astype(kind) * 8 / unit
    # By way of int32: numpy does each of the two steps many at a time, and both at once one by one.
    return steps.astype(np.int32).astype(np.int64)


def _mean(weights: Array, values: Array, total: Array) -> Array:
    """(m,) float64: sums of `weights` times `values`, both (k, m), over `total` (m,)."""
    return np.floor(np.einsum("km,km->m", weights, values) / total)
