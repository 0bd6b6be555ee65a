"""What the coded neighbours of a block of points say: means, and how far they scatter.

All numbers are whole, in units of 1/16 of a value; quotients are rounded down. Sums stay below
2**53 in float64, so they are exact in any order, and IEEE 754 rounds a quotient of such numbers so
that rounding it down gives the right integer. Numbers of 8 bits fit in int32, which is faster.

Points of a block are worked on in groups with about as many neighbours each, so that sums over
neighbours are sums over the rows of a matrix in which hardly a place is empty.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

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
    means, spreads : (n,) of the neighbours, when the point was coded
    errors : (n,) absolute errors of the guesses
    """

    def __init__(self, count: int) -> None:
        self.values, self.errors = (np.zeros(count, dtype=np.int32) for _ in range(2))
        self.means, self.spreads = np.zeros(count), np.zeros(count)

    def keep(self, rows: Array, values: Array, errors: Array) -> None:
        """Takes in `values` and `errors` (m,) of the points `rows`."""
        self.values = _wide_enough(self.values, values, _NARROW_VALUE)
        self.errors = _wide_enough(self.errors, errors, _NARROW_ERROR)
        self.values[rows], self.errors[rows] = values, errors


def _wide_enough(kept: Array, fresh: Array, limit: int) -> Array:
    """`kept` in a type that takes `fresh` and sums of them, too."""
    return kept if fresh.max() < limit else kept.astype(np.float64, copy=False)


class Group:
    """m points of a block and their neighbours, at most k each, as all columns see them.

    places, rows : (m,) of the points in the block and in the cloud
    near : (k, m) rows of the neighbours
    weights : (k, m), 0 where a point has no more neighbours
    across : which neighbours lie across a face, and which across an edge, (k, m) 0 or 1, with the
        number of them, at least 1, (m,)
    own : (k, m) for each column seen so far, how far the neighbours lie from their mean
    """

    def __init__(self, stage: Stage, rows: Array, places: Array, counts: Array) -> None:
        """rows : (m,) of the points in the stage; counts : (m,) of their neighbours"""
        self.places, self.rows = places, stage.rows[rows]
        steps = np.arange(counts.max())[:, None]
        there = steps < counts
        entries = stage.starts[rows] + np.where(there, steps, 0)
        self.near = stage.near[entries].astype(np.int64)
        self._places = np.where(there, stage.places[entries], _NOWHERE)
        self.weights = _WEIGHTS[self._places]
        self._total = self.weights.sum(axis=0)
        across = [(self.weights == w).astype(np.int32) for w in (WEIGHTS, WEIGHTS // 2)]
        self.across = [(mask, np.maximum(mask.sum(axis=0), 1)) for mask in across]
        self.own: list[Array] = []

    def mean(self, values: Array) -> Array:
        """(m,) means of `values` (k, m)."""
        return _mean(self.weights, values, self._total)

    def faces(self, values: Array) -> Array:
        """(6, m) of `values` (k, m), those across the faces; 0 where there is none."""
        slots = np.zeros((FACES, len(self.rows)))
        slot = _SLOTS[self._places]
        found = np.nonzero(slot >= 0)
        slots[slot[found], found[1]] = values[found]
        return slots


class Block:
    """Points of a stage that are coded side by side.

    rows : (m,) of the points, rising
    groups : the same points, in groups
    """

    def __init__(self, stage: Stage, begin: int, end: int) -> None:
        self.rows = stage.rows[begin:end]
        counts = np.diff(stage.starts[begin : end + 1])
        order = np.argsort(counts.astype(np.uint8), kind="stable")
        cuts = range(_GROUP, len(order), _GROUP)
        self.groups = [
            Group(stage, begin + places, places, counts[places]) for places in np.split(order, cuts)
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
    """What one column shows of a block before it is coded there.

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
        self.scatter = np.zeros((inputs_of_error(len(guides)), points))
        for group in block.groups:
            self._look(group, channel, guides)
        self.scatter = logarithm(self.scatter + LOG_OFFSET)
        self.scatter[-1] = OCTAVE

    def _look(self, group: Group, channel: Channel, guides: Sequence[Channel]) -> None:
        """Fills in what a group of points sees."""
        rows = group.rows
        values = channel.values[group.near]
        mean = group.mean(values)
        group.own.append(values - mean.astype(values.dtype))
        own = group.own[-1 - len(guides) :]
        spread = group.mean(np.abs(own[-1]))
        channel.means[rows], channel.spreads[rows] = mean, spread
        here = [guide.values[rows] - guide.means[rows] for guide in guides]
        spreads = [spread, *(guide.spreads[rows] for guide in guides)]
        scale = ONE + np.floor(sum(spreads) / len(spreads))
        steps = _steps(own, here, scale)
        scatter, means = [spread], []
        for kernel in _KERNELS:
            weights = group.weights * kernel[steps]
            total = weights.sum(axis=0)
            means.append([_mean(weights, x, total) for x in own])
            rest = np.abs(own[-1] - means[-1][-1].astype(values.dtype))
            scatter.append(_mean(weights, rest, total))
        for mask, number in group.across:
            means.append([_mean(mask, x, number) for x in own])
        missed = group.mean(channel.errors[group.near])
        guess = []
        for *others, mine in means:
            guess += [mine, *(h - other for h, other in zip(here, others, strict=True))]
        guess += here if guides else list(group.faces(own[-1]))
        scatter += [missed, *(guide.errors[rows] for guide in guides)]
        self.mean[group.places], self.scale[group.places] = mean, scale
        for row, found in zip([*self.guess, *self.scatter], [*guess, *scatter], strict=False):
            row[group.places] = found


def inputs_of_guess(guides: int) -> int:
    """Rows of `View.guess`: of two kernels, faces and edges, then guides or faces themselves."""
    return 4 * (1 + guides) + (guides or FACES)


def inputs_of_error(guides: int) -> int:
    """Rows of `View.scatter`: three of how far neighbours scatter, one of how they were missed,
    one for each guide, and a constant."""
    return 5 + guides


def _steps(own: Sequence[Array], here: Sequence[Array], scale: Array) -> Array:
    """(k, m) int64, how far neighbours are from the point as its guides tell, else from the mean,
    in eighths of the local scale."""
    if here:
        apart = sum(np.abs(x - h.astype(x.dtype)) for x, h in zip(own, here, strict=False))
    else:
        apart = np.abs(own[0])
    # Numbers of 24 bits are exact in float32, and so is a quotient of them that is rounded down.
    kind = np.float32 if apart.dtype == np.int32 else np.float64
    unit = (scale * max(len(here), 1)).astype(kind)
    return np.minimum(apart.astype(kind) * 8 / unit, _STEPS - 1).astype(np.int64)


def _mean(weights: Array, values: Array, total: Array) -> Array:
    """(m,) float64: sums of `weights` times `values`, both (k, m), over `total` (m,)."""
    return np.floor(np.einsum("km,km->m", weights, values) / total)
