"""The root of an octree: the smallest cell that holds all voxels of a tile."""

from __future__ import annotations

from typing import Any

import numpy as np

from pcc_cli.errors import FormatError
from pcc_cli.fields import integer, member
from pcc_cli.geometry import Array

MAX_DEPTH = 32


def around(voxels: Array, least: int = 0) -> tuple[Array, int]:
    """Corner (3,) and depth of the smallest cell of depth `least` or more that holds `voxels`."""
    low, high = voxels.min(0), voxels.max(0)
    depth = max(int((low ^ high).max()).bit_length(), least)
    return (low >> depth) << depth, depth


def corner_of(meta: dict[str, Any], depth: int) -> Array:
    """The corner (3,) of a root cell of `depth`, from a file. Raises FormatError."""
    values = member(meta, "base", list)
    if len(values) != 3:
        raise FormatError(f"a root cell has three coordinates, not {len(values)}")
    axes = dict(zip("xyz", values, strict=True))
    corner = np.array([integer(axes, axis, 0, (1 << MAX_DEPTH) - 1) for axis in "xyz"])
    if (corner & ((1 << depth) - 1)).any():
        raise FormatError(f"the root cell at {corner.tolist()} is not on the grid of its depth")
    return corner
