"""Least squares, learned block by block: the same weights on every machine.

Inputs and targets are whole numbers in float64, limited so that every sum of products stays below
2**53 and is exact in any order. `mixing.solve` finds the weights in plain doubles, the same ones
everywhere; rounded down they are whole numbers again.
"""

from __future__ import annotations

import numpy as np

from pcc_cli.entropy.mixing import solve
from pcc_cli.geometry import Array

WEIGHT_BITS = 16
WEIGHT_LIMIT = 16 << WEIGHT_BITS
INPUT_LIMIT = 4095  # of what is learned from
MEMORY = 1 << 14  # rows; beyond, a quarter of what was seen is forgotten
_RIDGE = 12  # 2**-12 of what an input weighs is believed of the first weights, always


class Regression:
    """The weights (k,) of a linear guess, in units of 2**-16.

    first : the weights to begin with
    trust : in units of inputs squared, how firmly they are believed
    """

    def __init__(self, first: list[int], trust: int) -> None:
        self._first, self._trust = np.array(first, dtype=np.float64), trust
        self._weights = self._first
        self._products = np.zeros((len(first), len(first)), dtype=np.int64)
        self._targets = np.zeros(len(first), dtype=np.int64)
        self._rows = 0

    def guess(self, inputs: Array) -> Array:
        """(n,) float64, whole numbers, from `inputs` (k, n), whole numbers within +-2**27."""
        return np.floor((self._weights @ inputs) / (1 << WEIGHT_BITS))

    def learn(self, inputs: Array, targets: Array) -> None:
        """Takes in a block of at most 2**14 rows: `inputs` (k, n) and their `targets` (n,)."""
        inputs = np.clip(inputs, -INPUT_LIMIT, INPUT_LIMIT)
        self._products += (inputs @ inputs.T).astype(np.int64)
        self._targets += (inputs @ np.clip(targets, -INPUT_LIMIT, INPUT_LIMIT)).astype(np.int64)
        self._rows += len(targets)
        if self._rows > MEMORY:
            self._products -= self._products >> 2
            self._targets -= self._targets >> 2
            self._rows -= self._rows >> 2
        trust = self._trust + (np.diag(self._products) >> _RIDGE)
        matrix = (self._products + np.diag(trust)).astype(np.float64)
        right = self._targets * float(1 << WEIGHT_BITS) + trust * self._first
        (solution,) = solve(matrix[None], right[None])
        self._weights = np.floor(np.clip(solution, -WEIGHT_LIMIT, WEIGHT_LIMIT))
