"""Numbers as clusters: k-means in one dimension, as neurcomp stores the weights of its layers."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pcc_cli.geometry import Array

_ROUNDS = 60


class Clusters(NamedTuple):
    """centres : (k,) ascending; indices : of each number, int64"""

    centres: Array
    indices: Array


def clustered(values: Array, bits: int) -> Clusters:
    """At most 2**bits clusters of `values` (n,): Lloyd's rounds, from centres at equal shares."""
    ordered = np.sort(values.astype(np.float64))
    distinct = np.unique(ordered)
    count = min(1 << bits, len(distinct))
    centres = distinct[np.linspace(0, len(distinct) - 1, count).round().astype(np.int64)]
    sums = np.concatenate([[0.0], np.cumsum(ordered)])
    for _ in range(_ROUNDS):
        borders = np.searchsorted(ordered, (centres[1:] + centres[:-1]) / 2)
        ends = np.concatenate([[0], borders, [len(ordered)]])
        sizes = np.diff(ends)
        means = np.diff(sums[ends]) / np.maximum(sizes, 1)
        moved = np.where(sizes > 0, means, centres)
        if np.array_equal(moved, centres):
            break
        centres = moved
    return Clusters(centres, nearest(centres, values))


def nearest(centres: Array, values: Array) -> Array:
    """The index of the centre next to each value."""
    found: Array = np.searchsorted((centres[1:] + centres[:-1]) / 2, values).astype(np.int64)
    return found
