"""Attributes of points that were moved: from the points that were to those that came back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pcc_cli.geometry import Array

LABELS = 32  # distinct values among the first thousand, at most, of what is taken for labels


def carried(
    columns: Sequence[Array], voxels: Array, decoded: Array, nearest: int | None = None
) -> list[Array]:
    """The columns of points at `voxels`, (n, 3), as those at `decoded`, (m, 3), have them.

    As MPEG recolours: a decoded point takes the mean of the source points that have it as their
    nearest one, and without any the value of the source point nearest to it. What is no quantity,
    such as a label, would not survive a mean: one value among those is taken, the first.

    nearest : in place of that, so many source points around each decoded one; of a label the first
    """
    if not columns:
        return []
    if not len(voxels) or not len(decoded):
        return [np.zeros(len(decoded), column.dtype) for column in columns]
    # Imported here: only lossy codecs need it, and it takes half a second.
    from scipy.spatial import cKDTree

    if nearest is not None:
        near = cKDTree(voxels).query(decoded, range(1, min(nearest, len(voxels)) + 1), workers=-1)[
            1
        ]
        return [_around(column, near) for column in columns]
    _, to_decoded = cKDTree(decoded).query(voxels, workers=-1)
    _, to_source = cKDTree(voxels).query(decoded, workers=-1)
    order = np.argsort(to_decoded, kind="stable")
    hit, first, counts = np.unique(to_decoded[order], return_index=True, return_counts=True)
    return [_one(column, to_source, order, hit, first, counts) for column in columns]


def _around(column: Array, near: Array) -> Array:
    """Of the source points `near` (m, k) each decoded point, the nearest first."""
    if not _is_quantity(column):
        first: Array = column[near[:, 0]]
        return first
    return _rounded(column[near].mean(1, dtype=np.float64), column.dtype)


def _is_quantity(column: Array) -> bool:
    return column.dtype.kind == "f" or len(np.unique(column[:1000])) > LABELS


def _rounded(means: Array, dtype: np.dtype[Any]) -> Array:
    return (means if dtype.kind == "f" else np.floor(means + 0.5)).astype(dtype)


def _one(
    column: Array, to_source: Array, order: Array, hit: Array, first: Array, counts: Array
) -> Array:
    result: Array = column[to_source]
    if _is_quantity(column):
        sums = np.add.reduceat(column[order].astype(np.float64), first)
        result[hit] = _rounded(sums / counts, column.dtype)
    else:
        result[hit] = column[order[first]]
    return result
