"""The nearest node before and after each node on the three lines through it, however far.

On dense clouds these are the neighbours across the faces. On scans, lattices and layers, where
neighbours are far apart at fine levels, nodes that share two coordinates still resemble each other.
"""

from __future__ import annotations

import numpy as np

from pcc_cli.geometry import Array

_BITS = 21  # of each coordinate that count; deeper trees may pair other nodes, the same everywhere
_MASK = (1 << _BITS) - 1


def line_mates(cells: Array) -> tuple[Array, Array]:
    """(rows, adjacent), (n, 6) int64 and bool: mates of `cells` (n, 3) int64 on x, y, z.

    Columns: before on x, y, z, then after on x, y, z. Row n stands for none.
    """
    count = len(cells)
    rows = np.full((count, 6), count, dtype=np.int64)
    adjacent = np.zeros((count, 6), dtype=bool)
    kept = cells & _MASK
    for axis in range(3):
        first, second = (kept[:, other] for other in range(3) if other != axis)
        key = (first << 2 * _BITS) | (second << _BITS) | kept[:, axis]
        order = np.argsort(key, kind="stable")
        step = np.diff(key[order])
        pair = np.flatnonzero(key[order[1:]] >> _BITS == key[order[:-1]] >> _BITS)
        low, high = order[pair], order[pair + 1]
        rows[high, axis], rows[low, 3 + axis] = low, high
        adjacent[high, axis] = adjacent[low, 3 + axis] = step[pair] == 1
    return rows, adjacent


def bends(cells: Array, rows: Array) -> Array:
    """(n, 3) int32, 0 .. 5: how far each node lies from the middle of its two mates on each axis.

    before + after - 2 * own coordinate, within +-2, plus 3; 0 where a mate is missing. Regular
    samplings (pixels, rings, lattices) show by it in which half of the node the next point lies.
    """
    count = len(cells)
    before, after = rows[:, :3], rows[:, 3:]
    padded = np.concatenate([cells, np.zeros_like(cells[:1])])
    axes = np.arange(3)
    bend = np.clip(padded[before, axes] + padded[after, axes] - 2 * cells, -2, 2) + 3
    paired = (before < count) & (after < count)
    return np.where(paired, bend, 0).astype(np.int32)
