"""Points that are not finite, such as the holes of an organised cloud: left out, or kept aside.

No grid holds NaN. To keep such a point, the largest finite coordinates stand in for its own, and
a patch says which bits to flip to get those back. So these points come last among the voxels.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pcc_cli.geometry import Array, PointCloud
from pcc_cli.grid import Fit, restore


def left_out(cloud: PointCloud) -> PointCloud:
    """`cloud` without the points that have a NaN or infinite coordinate."""
    finite = _finite_rows(cloud.points)
    if finite is None:
        return cloud
    columns = {name: column[finite] for name, column in cloud.attributes.items()}
    return replace(cloud, points=cloud.points[finite], attributes=columns)


def stood_in(points: Array) -> Array:
    """(n, 3) finite points: those that are not are replaced by the largest coordinates."""
    finite = _finite_rows(points)
    if finite is None:
        return points
    corner = points[finite].max(axis=0) if finite.any() else np.zeros(3, points.dtype)
    safe: Array = np.where(finite[:, None], points, corner).astype(points.dtype)
    return safe


def patch_of(points: Array, place: Fit) -> Array | None:
    """The bits to flip in what `place`, of the points that stood in, restores; None if none.

    The patch is (n, 3) unsigned of the width of the coordinates, and 0 for finite points.
    """
    finite = _finite_rows(points)
    if finite is None:
        return None
    rows = ~finite
    residual = None if place.residual is None else place.residual[rows]
    restored = restore(place.voxels[rows], place.grid, residual)
    patch = np.zeros(points.shape, f"u{points.itemsize}")
    patch[rows] = _bits(points[rows]) ^ _bits(restored)
    return patch


def patched(points: Array, patch: Array) -> Array:
    """The restored points with the bits of the patch flipped."""
    restored: Array = (_bits(points) ^ patch).view(points.dtype)
    return restored


def _finite_rows(points: Array) -> Array | None:
    """(n,) whether each point is finite; None if all are."""
    if points.dtype.kind != "f":
        return None
    finite = np.all(np.isfinite(points), axis=1, keepdims=False)
    return None if finite.all() else np.asarray(finite)


def _bits(points: Array) -> Array:
    return np.ascontiguousarray(points).view(f"u{points.dtype.itemsize}")
