"""How far apart the points of a cloud are, and the step that follows from it."""

from __future__ import annotations

import math

import numpy as np

from pcc_cli.geometry import Array

PAIRS = 1 << 24  # distances looked at: about 0.1 s
QUERIES = (16, 128)  # least and most points whose neighbours are searched
CHUNK = 1 << 12
STEPS_PER_SPACING = 16


def point_spacing(points: Array) -> float:
    """The median distance from a point to the nearest one elsewhere; 0.0 if all coincide.

    points : (n, 3) float, finite; a few points spread over the file are measured against all
    """
    low, high = QUERIES
    count = min(max(PAIRS // len(points), low), high, len(points))
    queries = points[:: len(points) // count].astype(np.float64)
    nearest = np.full(len(queries), np.inf)
    for start in range(0, len(points), CHUNK):
        part = points[start : start + CHUNK].astype(np.float64)
        squares = np.zeros((len(queries), len(part)))
        with np.errstate(over="ignore", under="ignore"):  # such distances count as none
            for axis in range(3):
                squares += np.subtract.outer(queries[:, axis], part[:, axis]) ** 2
        squares[squares == 0] = np.inf
        np.minimum(nearest, squares.min(axis=1), out=nearest)
    median = float(np.sqrt(np.median(nearest)))
    return median if math.isfinite(median) else 0.0


def default_step(spacing: float) -> float:
    """The largest of 1, 2 and 5 times a power of ten that is at most a 16th of `spacing`.

    The error of a coordinate is then below a 32nd of the distance to the next point: below the
    noise of every scanner we know, and round numbers stay round.
    """
    target = spacing / STEPS_PER_SPACING
    digits = math.floor(math.log10(target))
    for exponent in (digits + 1, digits, digits - 1):
        for multiple in (5, 2, 1):
            step = float(f"{multiple}e{exponent}")
            if step <= target:
                return step
    raise AssertionError("the loop ends below the target")
