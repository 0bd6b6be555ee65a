"""The zero level of a function on a grid, found coarse to fine, as a closed mesh of triangles.

Marching cubes whose 256 cases are derived, not listed: the edges of a cell that change sign are
joined across its faces, always so that inside corners of a face that meet only diagonally stay
apart. Neighbours agree about the face they share, so no hole can open. Lorensen, Cline 1987.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np

from pcc_cli.geometry import Array

COARSE = 32  # cells along an axis that are all looked at
MARGIN = 1.25  # cells within so many diagonals of the surface are refined
BALL = 0.97  # nothing is inside beyond this distance from the middle
Function = Callable[[Array], Array]  # points (n, 3) in [-1, 1] to signed distances (n,)

_CORNERS = np.array([[i & 1, i >> 1 & 1, i >> 2 & 1] for i in range(8)])
_EDGES = [(a, b) for a in range(8) for b in range(a + 1, 8) if (a ^ b) in (1, 2, 4)]


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
        children = cells[near][:, None] * 2 + _CORNERS
        cells, side = children.reshape(-1, 3), side * 2
    return _marched(function, cells, side)


def _marched(function: Function, cells: Array, side: int) -> tuple[Array, Array]:
    corners, nodes, points, values = _closed(function, cells, side)
    place = np.searchsorted(nodes, corners)
    case = ((values < 0)[place] << np.arange(8)).sum(axis=1)
    cell, edges = _cases(case)
    low, high = (place[cell[:, None], ends[edges]] for ends in np.array(_EDGES).T)
    pairs = (np.minimum(low, high) * len(nodes) + np.maximum(low, high)).ravel()
    crossed, triangles = np.unique(pairs, return_inverse=True)
    one, other = crossed // len(nodes), crossed % len(nodes)
    vertices = _crossing(function, points[one], points[other], values[one], values[other])
    return vertices, triangles.reshape(-1, 3)


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
        corners = numbers[:, None] + _CORNERS @ strides
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
    side = inside[:, _CORNERS[:, axis] == far]
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


def _cases(case: Array) -> tuple[Array, Array]:
    """For each triangle its cell, and its three edges (m, 3), by number in _EDGES."""
    table = triangles_of_cases()
    counts = np.array([len(triangles) for triangles in table])
    flat = np.array([edges for triangles in table for edges in triangles])
    starts = np.cumsum(counts) - counts
    cell = np.repeat(np.arange(len(case)), counts[case])
    number = np.arange(len(cell)) - np.repeat(np.cumsum(counts[case]) - counts[case], counts[case])
    return cell, flat[starts[case[cell]] + number]


@lru_cache(maxsize=1)
def triangles_of_cases() -> list[list[tuple[int, int, int]]]:
    """Of each set of inside corners, a bit each: triangles, three edges each."""
    return [_triangles(case) for case in range(256)]


def _triangles(case: int) -> list[tuple[int, int, int]]:
    following: dict[int, int] = {}
    for axis in range(3):
        for at in range(2):
            following.update(_joined(case, axis, at))
    found = []
    while following:
        start, edge = following.popitem()
        loop = [start]
        while edge != start:
            loop.append(edge)
            edge = following.pop(edge)
        found += _fan(loop)
    return found


def _fan(loop: list[int]) -> list[tuple[int, int, int]]:
    """Triangles of a loop of edges, whose diagonals lie in no face of the cell if that can be.

    There they might meet a diagonal of the neighbour, and four triangles would share an edge.
    """

    def flat(turn: int) -> int:
        first = _CORNERS[list(_EDGES[loop[turn]])]
        others = (_EDGES[loop[(turn + k) % len(loop)]] for k in range(2, len(loop) - 1))
        both = (np.concatenate([first, _CORNERS[list(other)]]) for other in others)
        return sum(bool((ends == ends[0]).all(axis=0).any()) for ends in both)

    turn = min(range(len(loop)), key=flat)
    loop = loop[turn:] + loop[:turn]
    return [(loop[0], loop[i], loop[i + 1]) for i in range(1, len(loop) - 1)]


def _joined(case: int, axis: int, at: int) -> dict[int, int]:
    """Pairs of edges that are joined across a face of the cell, inside on the right."""
    one, two = (1 << (axis + 1) % 3, 1 << (axis + 2) % 3)
    base = at << axis
    ring = [base, base + one, base + one + two, base + two]  # counterclockwise about +axis
    if not at:
        ring.reverse()
    inside = [bool(case >> corner & 1) for corner in ring]
    sides = [
        _EDGES.index((min(pair), max(pair))) for pair in zip(ring, ring[1:] + ring[:1], strict=True)
    ]
    found = {}
    for corner in range(4):
        # Where a run of inside corners begins, the line leaves through its other end.
        if inside[corner] and not inside[corner - 1]:
            end = corner
            while inside[(end + 1) % 4]:
                end = (end + 1) % 4
            found[sides[corner - 1]] = sides[end]
    return found
