"""What lies around a coefficient: sums of neighbours, parents, and classes of how much that is."""

from __future__ import annotations

import numpy as np

from pcc_cli.geometry import Array

_SMALL = (1, 2, 3, 4, 6, 8, 11, 15, 20, 27, 36, 48, 64, 88, 120, 160, 220, 300, 420, 600)
_LARGE = (850, 1200, 1700, 2400, 3400, 4800, 6800, 9600, 14000, 20000, 40000)
_BOUNDS = np.array([*_SMALL, *_LARGE])
BINS = len(_BOUNDS) + 1
_TABLE = np.searchsorted(_BOUNDS, np.arange(_BOUNDS[-1] + 1), side="right").astype(np.int64)


def binned(values: Array) -> Array:
    """int64 class 0 .. BINS - 1 of numbers from 0 on; steps of a third of their size."""
    found: Array = _TABLE[np.minimum(values, len(_TABLE) - 1)]
    return found


def bits_of(values: Array) -> Array:
    """int64 how many bits each magnitude has: 0 for 0, 1 for 1, 2 for 2 and 3 ..."""
    return np.frexp(np.abs(values).astype(np.float64))[1].astype(np.int64)


def summed(values: Array) -> Array:
    """Sums over the 27 places around each: 8 times itself, 4 faces, 2 edges, 1 corners."""
    out = values
    for axis in range(3):
        both = out * 2
        before, after = _parts(both, axis), _parts(out, axis)
        both[before[1]] += out[after[0]]
        both[before[0]] += out[after[1]]
        out = both
    return out


def smoothed(values: Array) -> Array:
    """Four times the weighted mean over each place and the 26 around it, rounded."""
    return (summed(values) + 8) >> 4


def upsampled(values: Array, shape: tuple[int, ...]) -> Array:
    """Of each place of `shape`: the value at half its indices, or the last one before."""
    return values[_clamped([np.arange(n) >> 1 for n in shape], values)]


def fitted(values: Array, shape: tuple[int, ...]) -> Array:
    """`values` cut, or their last ones repeated, to `shape`."""
    return values[_clamped([np.arange(n) for n in shape], values)]


def _clamped(indices: list[Array], values: Array) -> tuple[Array, ...]:
    limited = (np.minimum(i, n - 1) for i, n in zip(indices, values.shape, strict=True))
    return np.ix_(*limited)


def _parts(values: Array, axis: int) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """All but the last, and all but the first, along an axis."""
    whole = [slice(None)] * values.ndim
    first, last = list(whole), list(whole)
    first[axis], last[axis] = slice(None, -1), slice(1, None)
    return tuple(first), tuple(last)
