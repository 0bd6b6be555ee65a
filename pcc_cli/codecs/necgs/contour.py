"""TSDF-Def to a mesh: marching cubes on nodes that are shifted by up to half a step."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from pcc_cli.codecs.necgs import band as bands
from pcc_cli.geometry import Array
from pcc_cli.levelset.marching import CORNERS, triangulated


def cells(table: Array) -> Array:
    """(c, 8) nodes at the corners of all cells whose corners are known.

    table : (n, 27) neighbours of n nodes, as of a band
    """
    ahead = table[:, [_AHEAD[tuple(corner)] for corner in CORNERS]]
    whole: Array = ahead[(ahead < len(table)).all(axis=1)]
    return whole.astype(np.int64)


def crossed(corners: Array, inside: Array) -> tuple[Array, Array]:
    """As `marching.triangulated`, of those cells with corners on both sides."""
    signs = inside[corners]
    mixed = signs.any(axis=1) & ~signs.all(axis=1)
    return triangulated(corners[mixed], inside)


def vertices(distances: Tensor, places: Tensor, ends: Tensor) -> Tensor:
    """(v, 3) where the distance is 0 between nodes at `places` (n, 3); ends : (2, v) nodes"""
    one, other = distances[ends[0]], distances[ends[1]]
    share = (one / (one - other))[:, None]
    first: Tensor = places[ends[0]]
    return first + (places[ends[1]] - first) * share


def whole(values: Array, nodes: Array, far: Array) -> tuple[Array, Array]:
    """Vertices (v, 3) float64 and triangles (m, 3) of the closed surface.

    values : (n, 4) distance and shift of `nodes` (n,), each -1 to 1
    far : (K, K, K) bool, whether the node is inside, where it is not among `nodes`
    """
    side = len(far)
    wide = side + 2  # nodes outside all around
    row = bands.numbers(bands.coordinates(nodes, side) + 1, wide)
    inside = np.zeros((wide,) * 3, bool)
    inside[1:-1, 1:-1, 1:-1] = far
    inside.ravel()[row] = values[:, 0] < 0
    first = _mixed(inside)
    corners = first[:, None] + bands.numbers(CORNERS, wide)
    ends, triangles = triangulated(corners, inside.ravel())
    known, at = np.unique(ends, return_inverse=True)
    distances = np.where(inside.ravel()[known], -1.0, 1.0)
    places = (bands.coordinates(known, wide) - 0.5) * (2 / side) - 1
    order = np.argsort(row)
    found = order[np.minimum(np.searchsorted(row, known, sorter=order), len(row) - 1)]
    have = row[found] == known
    distances[have] = values[found[have], 0]
    places[have] += values[found[have], 1:] / side
    one, other = at.reshape(2, -1)
    share = distances[one] / (distances[one] - distances[other])
    points: Array = places[one] + (places[other] - places[one]) * share[:, None]
    return points, triangles


def _mixed(inside: Array) -> Array:
    """(c,) numbers of the first corners of cells with corners on both sides."""
    some, every = inside.copy(), inside.copy()
    for axis in range(3):
        ahead = np.roll(some, -1, axis), np.roll(every, -1, axis)  # around the edge all is outside
        some, every = some | ahead[0], every & ahead[1]
    return np.flatnonzero(some & ~every)


_AHEAD = {tuple(way): number for number, way in enumerate(bands.AROUND)}
