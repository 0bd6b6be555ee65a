"""Nearest neighbours of points, with all that are equally near: on a grid ties are the rule.

docs/metrics.md, "Nearest neighbours".
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pcc_cli.geometry import Array

FIRST, MOST = 10, 30  # neighbours looked at; like MPEG's pc_error, no more than 30 equally near
TIE = 1e-9  # squared distances that differ by less than this part are equal


@dataclass(frozen=True)
class Ties:
    """Pairs of a query and one of its nearest points, sorted by query.

    query, point : (m,) indices, m at least the number of queries
    count : (queries,) how many points are equally near
    distance : (queries,) to them
    """

    query: Array
    point: Array
    count: Array
    distance: Array

    def mean(self, values: Array) -> Array:
        """The mean of `values` (m,) over the pairs of each query, (queries,)."""
        mean: Array = np.bincount(self.query, values, len(self.count)) / self.count
        return mean


class Neighbours:
    """An index of points, (n, 3) float64, n > 0.

    threads : of a search; -1 for one on each core
    """

    def __init__(self, points: Array, threads: int = 1) -> None:
        # Imported here: half a second, which only an evaluation spends.
        from scipy.spatial import cKDTree

        self.points, self._threads = points, threads
        self._tree = cKDTree(points, balanced_tree=False, compact_nodes=False)

    def nearest(self, queries: Array) -> tuple[Array, Array]:
        """Distance to the nearest point, and its index, for each of `queries`, (m, 3) float64."""
        distance, index = self._tree.query(queries, workers=self._threads)
        return distance, index

    def several(self, queries: Array, count: int) -> tuple[Array, Array]:
        """(m, k) distances and indices of the k nearest points; k is `count`, or all there are."""
        count = min(count, len(self.points))
        distance, index = self._tree.query(queries, count, workers=self._threads)
        return distance.reshape(len(queries), count), index.reshape(len(queries), count)

    def ties(self, queries: Array) -> Ties:
        """The points that are nearest to each query: one, or several at one distance."""
        found = []
        rows, nearest = np.arange(len(queries)), np.empty(len(queries))
        for count in range(FIRST, MOST + 1, FIRST):
            distance, index = self.several(queries[rows], count)
            equal = _equally_near(distance)
            last = count >= min(MOST, len(self.points))
            ready = np.ones(len(rows), bool) if last else ~equal[:, -1]
            found.append(_pairs(rows[ready], index[ready], equal[ready]))
            nearest[rows] = distance[:, 0]
            rows = rows[~ready]
            if not len(rows):
                break
        query = np.concatenate([pairs[0] for pairs in found])
        point = np.concatenate([pairs[1] for pairs in found])
        order = np.argsort(query, kind="stable")
        sizes = np.bincount(query, minlength=len(queries))
        return Ties(query[order], point[order], sizes, nearest)


def _equally_near(distance: Array) -> Array:
    """(m, k) bool: whether each neighbour, sorted by distance, is as near as the first."""
    square = distance**2
    steps = np.diff(square, axis=1) <= TIE * square[:, 1:]
    first = np.ones((len(square), 1), bool)
    equal: Array = np.concatenate([first, np.logical_and.accumulate(steps, axis=1)], axis=1)
    return equal


def _pairs(rows: Array, index: Array, equal: Array) -> tuple[Array, Array]:
    return np.repeat(rows, equal.sum(axis=1)), index[equal]
