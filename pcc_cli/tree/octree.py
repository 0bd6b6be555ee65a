"""The integer octree of a voxel cloud, breadth first, in Morton order.

Level l holds the occupied cells of side 2**(depth - l); level 0 is the root, level `depth` are the
voxels. Each cell above the voxels has an occupancy code: bit c is set when child c (4x + 2y + z)
is occupied. The codes of all levels are the whole geometry.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pcc_cli.geometry import Array
from pcc_cli.tree.morton import LOW_BITS, morton_codes

POPCOUNT = np.array([bin(code).count("1") for code in range(256)], dtype=np.uint8)


@dataclass(frozen=True)
class Octree:
    """codes[l] : (nodes of level l,) uint8, for l in 0 .. depth - 1."""

    codes: list[Array]

    @property
    def depth(self) -> int:
        return len(self.codes)


def build(voxels: Array, depth: int) -> Octree:
    """The octree of distinct `voxels` (n, 3) int64 in Morton order, all below 2**depth; n > 0."""
    high, low = morton_codes(voxels)
    codes: list[Array] = []
    for level in reversed(range(depth)):
        child = (low & 7).astype(np.uint8)
        # One step up: the lowest triple leaves `low`; once `low` is used up `high` moves in.
        if depth - level == LOW_BITS and depth > LOW_BITS:
            low, high = high, np.zeros_like(high)
            parent_high = high
            parent_low = low
        else:
            parent_low = low >> 3
            parent_high = high
        first = np.empty(len(child), dtype=bool)
        first[0] = True
        np.logical_or(
            parent_low[1:] != parent_low[:-1], parent_high[1:] != parent_high[:-1], out=first[1:]
        )
        starts = np.flatnonzero(first)
        codes.append(np.bitwise_or.reduceat(np.uint8(1) << child, starts))
        low, high = parent_low[starts], parent_high[starts]
    return Octree(codes[::-1])


def expand(voxels: Array, codes: Array) -> Array:
    """The children (m, 3) int64 of `voxels` (n, 3) with occupancy `codes` (n,), one level down."""
    occupied = np.unpackbits(codes[:, None], axis=1, bitorder="little")
    parents, child = np.nonzero(occupied)
    offsets = np.stack([child >> 2, (child >> 1) & 1, child & 1], axis=1)
    return (voxels[parents] << 1) | offsets


def voxels_of(tree: Octree) -> Array:
    """The voxels (n, 3) int64 of `tree`, in Morton order."""
    voxels = np.zeros((1, 3), dtype=np.int64)
    for codes in tree.codes:
        voxels = expand(voxels, codes)
    return voxels
