"""Octrees for tests: small clouds of every kind, and their levels one after the other."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from pcc_cli.datasets import synthetic
from pcc_cli.tree import neighbours, octree
from pcc_cli.tree.morton import depth_of, morton_order
from pcc_cli.tree.neighbours import Level

Array = np.ndarray


def distinct(rows: Array) -> Array:
    """(n, 3) int64 distinct rows in Morton order."""
    voxels = np.unique(np.asarray(rows, dtype=np.int64).reshape(-1, 3), axis=0)
    return voxels[morton_order(voxels)]


def surface(bits: int = 5) -> Array:
    """The voxels of a closed surface, dense as captures are."""
    return distinct(synthetic.surface(bits).points)


def lidar() -> Array:
    """The voxels of a sparse scan at 10 cm."""
    points = synthetic.lidar(8, 120, 10).points
    return distinct(np.rint((points - points.min(0)) * 10))


def clouds() -> dict[str, Array]:
    rng = np.random.default_rng(5)
    return {
        "one": distinct([[2, 5, 3]]),
        "two far apart": distinct([[0, 0, 0], [63, 63, 63]]),
        "full": distinct(np.argwhere(np.ones((4, 4, 4)))),
        "line": distinct(np.arange(30)[:, None] * [1, 2, 3]),
        "noise": distinct(rng.integers(0, 32, (300, 3))),
        "surface": surface(4),
        "lidar": lidar(),
    }


def tree_of(voxels: Array) -> octree.Octree:
    return octree.build(voxels, max(depth_of(voxels), 1))


def levels_of(
    tree: octree.Octree, device: torch.device | str = "cpu"
) -> Iterator[tuple[Level, Tensor, Tensor]]:
    """(level, its codes, the codes of its parents), from the root to the last level with codes."""
    level = neighbours.root(device)
    parent_codes = torch.full((1,), 255, dtype=torch.uint8, device=device)
    for level_codes in tree.codes:
        codes = torch.from_numpy(level_codes).to(device)
        yield level, codes, parent_codes
        level, parent_codes = neighbours.children(level, codes), codes
