"""Cells of the octree of a tile's points, and which of them lie beside each other."""

from __future__ import annotations

import numpy as np

from pcc_cli.geometry import Array

LEVELS = 20  # of the octree that count: a cell and those around it have codes of 63 bits
OFFSETS = [
    (x, y, z) for x in (-1, 0, 1) for y in (-1, 0, 1) for z in (-1, 0, 1) if (x, y, z) != (0, 0, 0)
]
_AXES = (0o444444444444444444444, 0o222222222222222222222, 0o111111111111111111111)


def cells_of(voxels: Array) -> Array:
    """(n, 3) coordinates without the high bits that all share, and of the rest the highest 20."""
    differ = np.bitwise_or.reduce(voxels ^ voxels[:1], axis=None)
    used = int(differ).bit_length()
    return (voxels & ((1 << used) - 1)) >> max(0, used - LEVELS)


def around(keys: Array, wanted: Array, places: Array) -> Array:
    """(27, m) int32 places in the rising `keys` of the cells around `wanted` (m,); len(keys): none.

    keys, wanted : Morton codes
    places : (m,) of `wanted` itself
    """
    table = np.empty((27, len(wanted)), dtype=np.int32)
    padded = np.append(keys, -1)
    for k in range(27):
        if k == 13:
            table[k] = places
            continue
        beside = wanted
        for step, mask in zip((k // 9 - 1, k // 3 % 3 - 1, k % 3 - 1), _AXES, strict=True):
            if step > 0:
                beside = (((beside | ~mask) + 1) & mask) | (beside & ~mask)
            elif step < 0:
                beside = (((beside & mask) - 1) & mask) | (beside & ~mask)
        place = np.searchsorted(keys, beside)
        table[k] = np.where(padded[place] == beside, place, len(keys))
    return table


def bit_length(values: Array) -> Array:
    """(n,) int64, bits of non-negative `values` (n,) below 2**63."""
    high = np.frexp((values >> 32).astype(np.float64))[1]
    low = np.frexp((values & 0xFFFFFFFF).astype(np.float64))[1]
    return np.where(high > 0, high + 32, low).astype(np.int64)


def _ranks() -> Array:
    """(256 * 8,) int32: children of a code before child c, or -1 where c is not there."""
    codes = np.arange(256)[:, None]
    there = codes >> np.arange(8) & 1
    return np.where(there > 0, np.cumsum(there, axis=1) - there, -1).ravel().astype(np.int32)


RANK = _ranks()
