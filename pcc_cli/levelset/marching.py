"""Marching cubes whose 256 cases are derived, not listed.

The edges of a cell that change sign are joined across its faces, always so that inside corners of a
face that meet only diagonally stay apart. Neighbours agree about the face they share, so no hole
can open. Lorensen, Cline 1987.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from pcc_cli.geometry import Array

CORNERS = np.array([[i & 1, i >> 1 & 1, i >> 2 & 1] for i in range(8)])  # of a cell
_EDGES = [(a, b) for a in range(8) for b in range(a + 1, 8) if (a ^ b) in (1, 2, 4)]


def triangulated(corners: Array, inside: Array) -> tuple[Array, Array]:
    """The surface between nodes inside and outside, in cells of a grid.

    corners : (cells, 8) numbers of nodes, in the order of CORNERS; all cells that are crossed
    inside : (nodes,) bool

    Returns (2, v) the nodes whose edge each vertex lies on, and (m, 3) vertices of the triangles,
    turned outwards.
    """
    case = (inside[corners] << np.arange(8)).sum(axis=1)
    cell, edges = _cases(case)
    low, high = (corners[cell[:, None], ends[edges]] for ends in np.array(_EDGES).T)
    pairs = (np.minimum(low, high) * len(inside) + np.maximum(low, high)).ravel()
    crossed, triangles = np.unique(pairs, return_inverse=True)
    ends = np.stack([crossed // len(inside), crossed % len(inside)])
    return ends, triangles.reshape(-1, 3)


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
        first = CORNERS[list(_EDGES[loop[turn]])]
        others = (_EDGES[loop[(turn + k) % len(loop)]] for k in range(2, len(loop) - 1))
        both = (np.concatenate([first, CORNERS[list(other)]]) for other in others)
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
