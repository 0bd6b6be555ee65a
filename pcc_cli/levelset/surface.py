"""The zero level of a function on a grid, found coarse to fine, as a closed mesh of triangles."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from pcc_cli.geometry import Array
from pcc_cli.levelset.marching import CORNERS, triangulated

COARSE = 32  # cells along an axis that are all looked at
MARGIN = 1.25  # cells within so many diagonals of the surface are refined
BALL = 0.97  # nothing is inside beyond this distance from the middle
Function = Callable[[Array], Array]  # points (n, 3) in [-1, 1] to signed distances (n,)


def surface(function: Function, resolution: int) -> tuple[Array, Array]:
    """Vertices (n, 3) float64 and triangles (m, 3) int64 of the zero level within [-1, 1]^3.

    function : negative inside; its values may be cut off some cells away from the surface
    resolution : cells along an axis, at least; COARSE times a power of 2 is used
    """
    cells = np.stack(np.meshgrid(*[np.arange(COARSE)] * 3, indexing="ij"), -1).reshape(-1, 3)
    side = COARSE
    while side < resolution:
        centres = (cells + 0.5) * (2 / side) - 1
        near = np.abs(function(centres)) < MARGIN * np.sqrt(3) / side
        children = cells[near][:, None] * 2 + CORNERS
        cells, side = children.reshape(-1, 3), side * 2
    return _marched(function, cells, side)


def _marched(function: Function, cells: Array, side: int) -> tuple[Array, Array]:
    corners, nodes, points, values = _closed(function, cells, side)
    place = np.searchsorted(nodes, corners)
    (one, other), triangles = triangulated(place, values < 0)
    vertices = _crossing(function, points[one], points[other], values[one], values[other])
    return vertices, triangles


def _closed(function: Function, cells: Array, side: int) -> tuple[Array, Array, Array, Array]:
    """Grid points of the cells that the surface crosses, followed into cells not yet looked at.

    Returns numbers (cells, 8) of corners; all numbers in order, their points and their values.
    """
    row = side + 1
    strides = np.array([row * row, row, 1])
    seen = np.zeros(0, np.int64)
    nodes, values = seen, np.zeros(0)
    kept: list[Array] = []
    numbers = np.unique(cells @ strides)
    while len(numbers):
        corners = numbers[:, None] + CORNERS @ strides
        fresh = np.setdiff1d(corners, nodes)
        found = _values(function, _points(fresh, row))
        order = np.argsort(np.concatenate([nodes, fresh]))
        nodes = np.concatenate([nodes, fresh])[order]
        values = np.concatenate([values, found])[order]
        inside = values[np.searchsorted(nodes, corners)] < 0
        mixed = inside.any(axis=1) & ~inside.all(axis=1)
        kept.append(corners[mixed])
        seen = np.union1d(seen, numbers)
        next_ones = [
            (numbers + way * stride)[_mixed_side(inside, axis, way > 0)]
            for axis, stride in enumerate(strides)
            for way in (-1, 1)
        ]
        numbers = np.setdiff1d(np.concatenate(next_ones), seen)
    return np.concatenate([*kept, np.zeros((0, 8), np.int64)]), nodes, _points(nodes, row), values


def _mixed_side(inside: Array, axis: int, far: bool) -> Array:
    """(cells,) whether the corners of one side of a cell are not all on one side of the surface."""
    side = inside[:, CORNERS[:, axis] == far]
    return np.asarray(side.any(axis=1) & ~side.all(axis=1))


def _points(numbers: Array, row: int) -> Array:
    places = np.stack([numbers // row**2, numbers // row % row, numbers % row], axis=1)
    points: Array = places * (2 / (row - 1)) - 1
    return points


def _values(function: Function, points: Array) -> Array:
    values = np.ones(len(points))
    within = (points**2).sum(axis=1) < BALL**2
    values[within] = function(points[within])
    return values


def _crossing(function: Function, one: Array, other: Array, a: Array, b: Array) -> Array:
    """Where the function is 0 between points of two signs: a line through both, then once more."""
    for _ in range(2):
        middle = one + (other - one) * (a / (a - b))[:, None]
        if not len(middle):
            return middle
        found = function(middle)
        first = (found < 0) == (a < 0)
        one = np.where(first[:, None], middle, one)
        other = np.where(first[:, None], other, middle)
        a, b = np.where(first, found, a), np.where(first, b, found)
    share = np.clip(a / np.where(a == b, 1.0, a - b), 0.0, 1.0)
    vertices: Array = one + (other - one) * share[:, None]
    return vertices
