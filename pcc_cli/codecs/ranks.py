"""Coordinates that a cloud never uses, left out: an axis as ranks among its used coordinates.

Layers, lattices and grids finer than the data leave most coordinates of an axis empty. The list of
the used ones is small against what it saves: log2(range / used) bits for each point.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pcc_cli.codecs.base import Payload
from pcc_cli.entropy import columns
from pcc_cli.errors import FormatError
from pcc_cli.fields import integer, member
from pcc_cli.geometry import Array

_LEVEL = 9  # of zstandard
_LEAST_GAIN = 2  # what is saved over what the list costs
_WINDOW = 8  # used coordinates to each side over which their spacing is averaged
# With this many points a coordinate, and one in this many coordinates used, the counts of
# `tree.axes` learn which are used, and the shape keeps its proportions.
_OFTEN, _SPARSE = 256, 16


def encode(voxels: Array) -> tuple[Array, dict[str, Any], dict[str, bytes]]:
    """(ranked voxels (n, 3), members for the meta, streams) of distinct `voxels` (n, 3), n > 0.

    Only axes that gain are ranked; the others stay as they are. The order of points may change in
    Morton order: sort again.
    """
    ranked, about, streams = voxels.copy(), {}, {}
    for axis, name in enumerate("XYZ"):
        used, points = _used(voxels[:, axis])
        gaps = np.diff(used, prepend=0)
        saved_bytes = float(points @ np.log2(_spacing(used))) / 8
        often = len(voxels) > _OFTEN * len(used)
        dense = used[-1] - used[0] < _SPARSE * len(used)
        if saved_bytes < 8 or (often and dense):
            continue
        column = columns.encode(gaps.astype("<u4"), _LEVEL)
        if saved_bytes > _LEAST_GAIN * len(column.data):
            ranked[:, axis] = np.searchsorted(used, voxels[:, axis])
            about[name] = {"used": len(used), **column.to_json()}
            streams["GAP" + name] = column.data
    return ranked, ({"ranks": about} if about else {}), streams


def _used(coordinates: Array) -> tuple[Array, Array]:
    """The distinct `coordinates` (n,), rising, and how many points have each."""
    low, high = int(coordinates.min()), int(coordinates.max())
    if high - low > 8 * len(coordinates):
        used, points = np.unique(coordinates, return_counts=True)
        return used, points
    points = np.bincount(coordinates - low)  # ten times faster than sorting
    used = np.flatnonzero(points)
    return used + low, points[used]


def _spacing(used: Array) -> Array:
    """(m,) mean distance between the used coordinates (m,) around each.

    Around each, because an octree leaves out large gaps by itself: what ranks save is the fine
    bits of points in company.
    """
    places = np.arange(len(used))
    low, high = np.maximum(places - _WINDOW, 0), np.minimum(places + _WINDOW, len(used) - 1)
    return (used[high] - used[low] + 1) / (high - low + 1)


def restore(voxels: Array, payload: Payload) -> Array:
    """The coordinates (n, 3) that `encode` saw. Raises FormatError for ranks that do not exist."""
    if "ranks" not in payload.meta:
        return voxels
    restored = voxels.copy()
    for axis, name in enumerate("XYZ"):
        record = member(payload.meta, "ranks", dict).get(name)
        if record is None:
            continue
        count = integer(record, "used", 1, len(voxels))
        column = columns.Column.from_json(record, payload.stream("GAP" + name))
        used = np.cumsum(columns.decode(column, count, np.dtype("<u4")).astype(np.int64))
        ranks = voxels[:, axis]
        if ranks.max() >= count or used[-1] >= 1 << 32:
            raise FormatError(f"the list of used coordinates on axis {name} does not fit")
        restored[:, axis] = used[ranks]
    return restored
