"""Logistic mixing: several guesses of a bit become one, with weights learned on the fly.

The log odds of the mix are a weighted sum of the log odds put in. After each block the weights
take one damped Newton step towards the lowest cost of the recent blocks. Sums are of integers, in
float64 products whose terms and totals stay below 2**53, so they are exact in any order. Only the
step is found in floats: `solve` says why it is the same everywhere.
"""

from __future__ import annotations

import numpy as np

from pcc_cli.entropy.logistic import PROBABILITY_BITS, TOTAL
from pcc_cli.geometry import Array

WEIGHT_BITS = 16
WEIGHT_LIMIT = 8 << WEIGHT_BITS
STEP_LIMIT = 1 << (WEIGHT_BITS - 1)
_VARIANCE_SHIFT = 20  # p (1 - p) in units of 2**-12
_SCALE = 20  # brings gradient / curvature to units of weights: 16 + (8 + 12 + 8) - (8 + 16)
DAMPING = 100 << 28  # in the units of the curvature: as much as 400 even bits of log odds 1
MEMORY_LOSS = 5243  # of 2**16, the part of the curvature that 2**11 bits displace
_MEMORY_SPAN = 11


class Mixer:
    """`sets` sets of weights; each bit belongs to one of them.

    first : (k,) weights to begin with, or (sets, k) of each set, in units of 2**-16
    """

    def __init__(self, sets: int, first: tuple[int, ...] | Array) -> None:
        k = np.shape(first)[-1]
        self._weights: Array = np.zeros((sets, k), dtype=np.int64)
        self._weights += np.asarray(first)
        self._curvature = np.zeros((sets, k, k), dtype=np.int64)
        self._damping = np.eye(k) * DAMPING

    @property
    def weights(self) -> Array:
        """(sets, k) as they are now."""
        return self._weights

    def mix(self, inputs: Array, sets: Array) -> Array:
        """(n,) log odds, units of 1/256, from `inputs` (k, n) of log odds within +-4095.

        sets : (n,) which set of weights each bit belongs to
        """
        mixed = (self._weights.astype(np.float64) @ inputs).astype(np.int64) >> WEIGHT_BITS
        return np.choose(sets, mixed)

    def learn(self, inputs: Array, sets: Array, probability: Array, bits: Array) -> None:
        """Takes in a block of at most 4096 `bits` (n,), which had `probability` (n,) of being 1.

        inputs : (k, n) float64, whole numbers within +-4095
        """
        own = np.equal(sets, np.arange(len(self._weights))[:, None])  # (sets, n)
        variance = np.maximum((probability * (TOTAL - probability)) >> _VARIANCE_SHIFT, 4)
        curvature = (inputs * (own * variance)[:, None]) @ inputs.T
        gradient = (own * ((bits << PROBABILITY_BITS) - probability)) @ inputs.T
        loss = (MEMORY_LOSS * own.sum(1)) >> _MEMORY_SPAN
        kept = (self._curvature >> 16) * loss[:, None, None]
        self._curvature += curvature.astype(np.int64) - kept
        step = solve(self._curvature + self._damping, gradient * (1 << _SCALE))
        limited = np.floor(np.minimum(np.maximum(step, -STEP_LIMIT), STEP_LIMIT)).astype(np.int64)
        self._weights = np.clip(self._weights + limited, -WEIGHT_LIMIT, WEIGHT_LIMIT)


def solve(matrix: Array, right: Array) -> Array:
    """(m, k) float64, the x of `matrix` x = `right` for m symmetric, positive definite systems.

    matrix : (m, k, k) float64
    right : (m, k) float64

    Gauss-Jordan elimination without pivoting. The same bits on every machine: each quotient,
    product and difference is one operation of IEEE 754 doubles, rounded by itself in the order
    written here. So no BLAS, no LAPACK, no reduction, whose order of summation is their own.
    """
    system = np.concatenate([matrix, right[:, :, None]], axis=2)
    for k in range(system.shape[1]):
        row = system[:, k] / system[:, k, k, None]
        system -= system[:, :, k, None] * row[:, None]
        system[:, k] = row
    solution: Array = system[:, :, -1]
    return solution
