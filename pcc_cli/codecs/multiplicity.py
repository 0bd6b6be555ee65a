"""Coinciding points: each voxel once, and how often it occurs, in the stream "MULT"."""

from __future__ import annotations

from typing import Any

import numpy as np

from pcc_cli.codecs.base import Payload
from pcc_cli.entropy import columns
from pcc_cli.errors import FormatError
from pcc_cli.geometry import Array
from pcc_cli.tree.morton import firsts

_LEVEL = 9  # of zstandard


def split(voxels: Array) -> tuple[Array, Array]:
    """Distinct rows (m, 3) of the sorted `voxels` (n, 3), n > 0, and (m,) int64 how often each."""
    starts = np.flatnonzero(firsts(voxels))
    return voxels[starts], np.diff(starts, append=len(voxels))


def encode(counts: Array) -> tuple[dict[str, Any], dict[str, bytes]]:
    """What goes into the meta and the streams of a payload; nothing when no voxel repeats."""
    if counts.max() == 1:
        return {}, {}
    column = columns.encode((counts - 1).astype("<u4"), _LEVEL)
    return {"repeats": column.to_json()}, {"MULT": column.data}


def restore(voxels: Array, payload: Payload, points: int) -> Array:
    """The (points, 3) rows that `split` saw, from its distinct ones and the payload.

    Raises FormatError when they are not `points` in the end.
    """
    if "repeats" in payload.meta:
        column = columns.Column.from_json(payload.meta["repeats"], payload.stream("MULT"))
        counts = columns.decode(column, len(voxels), np.dtype("<u4")).astype(np.int64) + 1
        if int(counts.sum()) != points:
            raise FormatError("the multiplicities of the voxels do not add up to the points")
        voxels = np.repeat(voxels, counts, axis=0)
    if len(voxels) != points:
        raise FormatError(f"the octree holds {len(voxels)} points, not {points}")
    return voxels
