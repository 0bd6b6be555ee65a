"""Logistic mixing: several guesses of a bit become one, with weights learned on the fly.

The log odds of the mix are a weighted sum of the log odds put in. After each block the weights
take one damped Newton step towards the lowest cost of the recent blocks. All in integers: sums go
through float64 products whose terms and totals stay below 2**53, so they are exact in any order.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pcc_cli.entropy.logistic import PROBABILITY_BITS, TOTAL

Array = np.ndarray[Any, Any]

WEIGHT_BITS = 16
WEIGHT_LIMIT = 8 << WEIGHT_BITS
STEP_LIMIT = 1 << (WEIGHT_BITS - 1)
_VARIANCE_SHIFT = 20  # p (1 - p) in units of 2**-12
_SCALE = 20  # brings gradient / curvature to units of weights: 16 + (8 + 12 + 8) - (8 + 16)
DAMPING = 100 << 28  # in the units of the curvature: as much as 400 even bits of log odds 1
MEMORY_LOSS = 5243  # of 2**16, the part of the curvature that 2**11 bits displace
_MEMORY_SPAN = 11
_FRACTION = 24  # bits behind the point in `solve`


class Mixer:
    """One set of weights.

    first : (k,) weights to begin with, in units of 2**-16
    """

    def __init__(self, first: tuple[int, ...]) -> None:
        self.weights = np.array(first, dtype=np.int64)
        self._curvature = np.zeros((len(first), len(first)), dtype=np.int64)

    def mix(self, inputs: Array) -> Array:
        """(n,) log odds, units of 1/256, from `inputs` (k, n) of log odds within +-4095."""
        mixed: Array = (self.weights.astype(np.float64) @ inputs).astype(np.int64) >> WEIGHT_BITS
        return mixed

    def learn(self, inputs: Array, probability: Array, bits: Array) -> None:
        """Takes in a block of at most 4096 `bits` (n,), which had `probability` (n,) of being 1.

        inputs : (k, n) float64, whole numbers within +-4095
        """
        count = len(bits)
        if not count:
            return
        variance = np.maximum((probability * (TOTAL - probability)) >> _VARIANCE_SHIFT, 4)
        curvature = ((inputs * variance) @ inputs.T).astype(np.int64)
        gradient = inputs @ ((bits << PROBABILITY_BITS) - probability)
        loss = (MEMORY_LOSS * count) >> _MEMORY_SPAN
        self._curvature += curvature - (self._curvature >> 16) * loss
        damped = self._curvature.tolist()
        for k, row in enumerate(damped):
            row[k] += DAMPING
        step = solve(damped, [int(g) << _SCALE for g in gradient])
        limited = np.clip(np.array(step, dtype=object), -STEP_LIMIT, STEP_LIMIT).astype(np.int64)
        self.weights = np.clip(self.weights + limited, -WEIGHT_LIMIT, WEIGHT_LIMIT)


def solve(matrix: list[list[int]], right: list[int]) -> list[int]:
    """The x of `matrix` x = `right`, rounded down: symmetric, positive definite, Python integers.

    Gaussian elimination on the upper triangle, with factors of 24 fractional bits.
    """
    size, right = len(right), list(right)
    upper = [row[k:] for k, row in enumerate(matrix)]
    for k in range(size):
        row, pivot = upper[k], upper[k][0]
        for i in range(k + 1, size):
            tail = row[i - k :]
            factor = (tail[0] << _FRACTION) // pivot
            upper[i] = [b - (factor * t >> _FRACTION) for b, t in zip(upper[i], tail, strict=True)]
            right[i] -= factor * right[k] >> _FRACTION
    solution = [0] * size
    for k in reversed(range(size)):
        known = sum(map(int.__mul__, upper[k][1:], solution[k + 1 :]))
        solution[k] = (right[k] - known) // upper[k][0]
    return solution
