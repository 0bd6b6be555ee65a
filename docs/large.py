"""Writes a cloud of 20 million points, shells of voxels side by side, to measure time and memory.

python docs/large.py OUT.ply
"""

from __future__ import annotations

import sys

import numpy as np

import pcc_cli

RADIUS, SHELLS, PER_ROW = 238, 28, 7
SIDE = 2 * RADIUS + 8


def shell() -> np.ndarray:
    """(n, 3) int32, the voxels within half a step of a sphere."""
    axis = np.arange(-RADIUS - 1, RADIUS + 2)
    square = axis[:, None] ** 2 + axis**2
    parts = []
    for x in axis:
        y, z = np.nonzero(np.abs(np.sqrt(x * x + square) - RADIUS) <= 0.5)
        parts.append(np.stack([np.full_like(y, x), axis[y], axis[z]], axis=1))
    return np.concatenate(parts).astype(np.int32) + RADIUS + 1


if __name__ == "__main__":
    one = shell()
    places = np.array([(k % PER_ROW, k // PER_ROW, 0) for k in range(SHELLS)], dtype=np.int32)
    points = (one + SIDE * places[:, None]).reshape(-1, 3)
    pcc_cli.write(sys.argv[1], points)
    print(f"{len(points):,} points")
