"""Morton order of integer voxels, for up to 32 bits an axis.

A Morton code interleaves the bits of x, y and z, x most significant, so that sorting by code
sorts by octree cell at every depth. 3 * 32 bits do not fit one word: a code is a pair
(high, low) of int64, 48 bits each; up to 16 bits an axis `low` alone orders the points.
"""

from __future__ import annotations

import numpy as np

from pcc_cli.geometry import Array

LOW_BITS = 16  # bits of each axis that go into `low`


def _spread_table() -> Array:
    """(65536,) int64: bit i of the index moved to bit 3 i."""
    values = np.arange(1 << LOW_BITS, dtype=np.int64)
    spread = np.zeros_like(values)
    for bit in range(LOW_BITS):
        spread |= ((values >> bit) & 1) << (3 * bit)
    return spread


_SPREAD = _spread_table()


def _interleave(x: Array, y: Array, z: Array) -> Array:
    return (_SPREAD[x] << 2) | (_SPREAD[y] << 1) | _SPREAD[z]


def spread(cells: Array) -> Array:
    """(n,) int64 codes of `cells` (n, 3), integers in 0 .. 2**21 - 1: 63 bits in one word."""
    high, low = morton_codes(cells)
    return (high << 3 * LOW_BITS) | low


def morton_codes(voxels: Array) -> tuple[Array, Array]:
    """The (high, low) int64 codes of `voxels`, (n, 3) integers in 0 .. 2**32 - 1."""
    mask = (1 << LOW_BITS) - 1
    low = _interleave(*(voxels[:, axis] & mask for axis in range(3)))
    high = _interleave(*((voxels[:, axis] >> LOW_BITS) & mask for axis in range(3)))
    return high, low


def morton_order(voxels: Array) -> Array:
    """(n,) int64, the stable permutation that sorts `voxels` (n, 3) by Morton code."""
    high, low = morton_codes(voxels)
    if len(high) and high.max() == high.min():
        return np.argsort(low, kind="stable")
    return np.lexsort((low, high))


def distinct(voxels: Array) -> Array:
    """Each of `voxels` (n, 3) once; equal ones must stand together, as in Morton order.

    So do the cells `voxels >> k` of sorted voxels, which are sorted themselves.
    """
    return voxels[firsts(voxels)]


def firsts(voxels: Array) -> Array:
    """(n,) bool, which of `voxels` (n, 3) differ from the one before."""
    first = np.ones(len(voxels), dtype=bool)
    x, y, z = (voxels[1:] != voxels[:-1]).T  # several times as fast as any(axis=1)
    first[1:] = x | y | z
    return first


def among(voxels: Array, others: Array) -> Array:
    """(n,) bool, which of `voxels` (n, 3) are in `others` (m, 3), m > 0; both distinct."""
    rows = np.concatenate([others, voxels])
    order = morton_order(rows)
    # The sort is stable, so that of two equal rows the second is one of `voxels`.
    twice = np.append(False, (rows[order[1:]] == rows[order[:-1]]).all(axis=1))
    found = np.zeros(len(rows), dtype=bool)
    found[order] = twice
    return found[len(others) :]


def depth_of(voxels: Array) -> int:
    """Smallest d such that every coordinate is below 2**d; 0 when all are 0 or none exist."""
    return int(voxels.max()).bit_length() if len(voxels) else 0
