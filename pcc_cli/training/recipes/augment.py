"""Training clouds in random poses and parts."""

from __future__ import annotations

import numpy as np

from pcc_cli.geometry import Array
from pcc_cli.tree import octree
from pcc_cli.tree.morton import depth_of, morton_order


def augmented(voxels: Array, nodes: int, shift_bits: int, rng: np.random.Generator) -> Array:
    """`voxels` (n, 3) turned by one of the 48 symmetries of the cube, shifted, cropped, sorted.

    nodes, shift_bits : the tree gets about so many nodes, each axis moves below 2**shift_bits
    """
    voxels = voxels[:, rng.permutation(3)]
    flips = rng.integers(0, 2, 3).astype(bool)
    voxels = np.where(flips, voxels.max(0) - voxels, voxels - voxels.min(0))
    voxels = cropped(voxels, nodes, rng)
    voxels = voxels + rng.integers(0, 1 << shift_bits, 3)
    return voxels[morton_order(voxels)]


def cropped(voxels: Array, nodes: int, rng: np.random.Generator) -> Array:
    """The voxels nearest to a random one, so many that their tree has about `nodes` nodes."""
    order = morton_order(voxels)
    tree = octree.build(voxels[order], depth_of(voxels))
    total = sum(len(codes) for codes in tree.codes)
    keep = max(64, int(len(voxels) * nodes / total)) if total > 1.2 * nodes else len(voxels)
    if keep >= len(voxels):
        return voxels
    distance = np.abs(voxels - voxels[rng.integers(len(voxels))]).max(1)
    near = voxels[np.argpartition(distance, keep)[:keep]]
    moved: Array = near - near.min(0)
    return moved
