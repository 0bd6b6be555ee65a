"""Ranks that follow from sorting by other columns: the order of a scan is that of its times.

A column of distinct numbers, such as the rows of the source, is a permutation of its ranks. Where
the source was sorted by columns that are kept, sorting by them again gives the ranks, or nearly.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pcc_cli.entropy import columns
from pcc_cli.geometry import Array

KEYS = 3  # columns to sort by, at most
_FALLS = 20  # steps down that weigh as much as one step up


def keys_for(ranks: Array, candidates: Sequence[Array]) -> list[int]:
    """The places of the columns in `candidates` that sort points best into the order `ranks` (n,),
    the most significant first; none where nothing does."""
    rows = np.argsort(ranks)
    steps = [_steps(columns.to_image(column)[rows]) for column in candidates]
    keys: list[int] = []
    tied = np.ones(len(rows) - 1, dtype=bool)  # points not told from the one before so far
    while len(keys) < KEYS and tied.any():
        scores = [
            float((up & tied).sum()) - _FALLS * float((down & tied).sum()) for up, down in steps
        ]
        best = int(np.argmax(scores)) if scores else 0
        if not scores or scores[best] <= 0:
            break
        keys.append(best)
        up, down = steps[best]
        tied &= ~(up | down)
    return keys


def _steps(images: Array) -> tuple[Array, Array]:
    return images[1:] > images[:-1], images[1:] < images[:-1]


def ranks_by(keys: Sequence[Array]) -> Array:
    """(n,) int64 ranks of points sorted by `keys`, columns (n,), ties in the order they are in."""
    order = np.lexsort([columns.to_image(key) for key in reversed(keys)])
    ranks = np.empty(len(order), dtype=np.int64)
    ranks[order] = np.arange(len(order))
    return ranks
