"""What the coded neighbours of a block of points say: means, and how far they scatter.

All numbers are whole, in float64, in units of 1/16 of a value; quotients are rounded down. Sums
stay below 2**53, so they are exact in any order, and IEEE 754 rounds a quotient of such numbers so
that rounding it down gives the right integer.
"""

from __future__ import annotations

import threading
from typing import Any

import numpy as np

from pcc_cli.attributes.cells import OFFSETS
from pcc_cli.attributes.detail import FAR, SAME, Stage
from pcc_cli.attributes.residuals import FRACTION_BITS, OCTAVE, logarithm

Array = np.ndarray[Any, Any]

ONE = 1 << FRACTION_BITS
WEIGHTS = 48  # of a neighbour, over its squared distance
LOG_OFFSET = 8  # keeps logarithms of small numbers calm
_STEPS = 64  # of a distance in colour, in eighths of the local scale
_KERNEL_TOP = 64
_ACROSS = [k for k, offset in enumerate(OFFSETS) if sum(x * x for x in offset) == 1]
_SLOTS = np.full(256, -1)
FACES = len(_ACROSS)
_SLOTS[_ACROSS] = np.arange(FACES)


def _weights() -> Array:
    """(256,) 48 over the squared distance, by place."""
    beside = [sum(x * x for x in offset) for offset in OFFSETS]
    squares = np.array(beside + [place - FAR for place in range(len(OFFSETS), 256)])
    weights = np.maximum(WEIGHTS // squares, 1).astype(np.float64)
    weights[SAME] = WEIGHTS
    return weights


_WEIGHTS = _weights()
# 64 / (1 + (t / 8 s)**2) for s = 3 / 10 and s = 1, t in eighths: narrow and wide.
_KERNELS = [
    np.array([max(1, 64 * b // (b + a * t * t)) for t in range(_STEPS)], np.float64)
    for a, b in ((25, 144), (1, 64))
]


class Channel:
    """One column of n points: what is known of it, filled in as points are coded.

    values : (n,) in units of 1/16
    means, spreads : (n,) of the neighbours, when the point was coded
    errors : (n,) absolute errors of the guesses
    """

    def __init__(self, count: int) -> None:
        self.values, self.means, self.spreads, self.errors = (np.zeros(count) for _ in range(4))
        self._reached = 0
        self._change = threading.Condition()

    def reach(self, points: int) -> None:
        """Says that so many points are coded."""
        with self._change:
            self._reached = points
            self._change.notify_all()

    def wait(self, points: int) -> None:
        """Returns when so many points are coded."""
        with self._change:
            self._change.wait_for(lambda: self._reached >= points)


class Block:
    """Points `begin` to `end` of a stage and their neighbours, seen through one column.

    guides : columns that are known of these points, too, and resemble the one to come

    rows : (m,) of the points
    mean : (m,) of the neighbours
    scale : (m,) how far neighbours lie from their mean, and one value more
    """

    def __init__(
        self, stage: Stage, begin: int, end: int, channel: Channel, guides: list[Channel]
    ) -> None:
        bounds = stage.starts[begin : end + 1]
        near = slice(bounds[0], bounds[-1])
        self.rows = stage.rows[begin:end]
        self._near, self._places = stage.near[near], stage.places[near]
        self._starts, self._counts = bounds[:-1] - bounds[0], np.diff(bounds)
        self._weights = _WEIGHTS[self._places]
        self._total = self._sum(self._weights)
        self._look(channel, guides)

    def _sum(self, values: Array) -> Array:
        return np.add.reduceat(values, self._starts)

    def _each(self, values: Array) -> Array:
        return np.repeat(values, self._counts)

    def _mean(self, values: Array) -> Array:
        return np.floor(self._sum(self._weights * values) / self._total)

    def _look(self, channel: Channel, guides: list[Channel]) -> None:
        """Differences of neighbours from their mean, and how alike they are to each point."""
        values = channel.values[self._near]
        self.mean = self._mean(values)
        self._own = values - self._each(self.mean)
        self._spread = self._mean(np.abs(self._own))
        self._missed = self._mean(channel.errors[self._near])
        channel.means[self.rows], channel.spreads[self.rows] = self.mean, self._spread
        self._guides = [g.values[self._near] - self._each(g.means[self.rows]) for g in guides]
        self._known = [g.values[self.rows] - g.means[self.rows] for g in guides]
        self._surprises = [g.errors[self.rows] for g in guides]
        spread = [self._spread, *(g.spreads[self.rows] for g in guides)]
        self.scale = ONE + np.floor(sum(spread) / len(spread))
        apart = [
            np.abs(there - self._each(here))
            for there, here in zip(self._guides, self._known, strict=True)
        ]
        distance = sum(apart) if apart else np.abs(self._own)
        unit = self._each(self.scale * max(len(apart), 1))
        self._steps = np.minimum(np.floor(distance * 8 / unit), _STEPS - 1).astype(np.uint8)

    def inputs(self) -> tuple[Array, Array]:
        """For the guess, (k, m): means of parts of the neighbours, less `mean`; and for its
        error, (l, m): logarithms of how far neighbours scatter and were missed."""
        guess: list[Array] = []
        scatter = [self._spread]
        for kernel in _KERNELS:
            weights = self._weights * kernel[self._steps]
            mean = self._parts(weights, guess)
            rest = np.abs(self._own - self._each(mean))
            scatter.append(np.floor(self._sum(weights * rest) / self._sum(weights)))
        for weight in (WEIGHTS, WEIGHTS // 2):  # across a face, across an edge
            self._parts((self._weights == weight).astype(np.float64), guess)
        guess += self._known if self._guides else self._faces()
        logs = [logarithm(x + LOG_OFFSET) for x in [*scatter, self._missed, *self._surprises]]
        return np.stack(guess), np.stack([*logs, np.full(len(self.rows), float(OCTAVE))])

    def _parts(self, weights: Array, found: list[Array]) -> Array:
        """Adds the weighted means of the column and of what the guides differ by to `found`."""
        total = np.maximum(self._sum(weights), 1)
        mean = np.floor(self._sum(weights * self._own) / total)
        found.append(mean)
        for there, here in zip(self._guides, self._known, strict=True):
            found.append(here - np.floor(self._sum(weights * there) / total))
        return mean

    def _faces(self) -> list[Array]:
        """Six (m,), the neighbours across the faces; 0 where there is none."""
        slots = np.zeros((FACES, len(self.rows)))
        slot = _SLOTS[self._places]
        found = np.flatnonzero(slot >= 0)
        points = self._each(np.arange(len(self.rows)))
        slots[slot[found], points[found]] = self._own[found]
        return list(slots)
