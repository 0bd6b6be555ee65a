"""How a decoded shape compares with its case: lossless or not, and the metrics of its kind."""

from __future__ import annotations

import math
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pcc_cli.evaluation import case as cases
from pcc_cli.evaluation.case import Case
from pcc_cli.geometry import Array, Mesh, PointCloud
from pcc_cli.metrics import points as point_metrics
from pcc_cli.metrics.points import Cloud

LENGTHS, SQUARES = ("chamfer", "hausdorff"), ("d1_mse", "d2_mse")


class Reference(NamedTuple):
    """A case, and the part of the comparison that all its rows share."""

    case: Case
    cloud: Cloud


class Outcome(NamedTuple):
    lossless: bool
    metrics: dict[str, float]
    peak: float


@lru_cache(maxsize=1)
def reference(path: Path, step: float | None) -> Reference:
    """Of the file; the last one is kept, for its rows follow each other."""
    case = cases.load(path, step)
    return Reference(case, point_metrics.cloud(_coordinates(case.shape.points, case)))


def compare(original: Reference, decoded: PointCloud | Mesh, peak: float | None) -> Outcome:
    """The outcome of a row.

    decoded : points in steps of the grid
    peak : units of the file; None: `Case.peak`; 0.0: the largest distance between neighbours
    """
    case = original.case
    unit = case.steps[0]
    if peak is None:
        peak = case.peak
    elif peak == 0:
        peak = point_metrics.intrinsic_resolution(original.cloud) * unit
    if same_points(case.shape.points, decoded.points):
        return Outcome(True, _nothing_lost(), peak)
    cloud = point_metrics.cloud(_coordinates(decoded.points, case))
    found = point_metrics.measure(original.cloud, cloud, peak / unit)
    # Distances were measured in grid steps, where equal ones are equal to the last bit.
    scales = {**dict.fromkeys(LENGTHS, unit), **dict.fromkeys(SQUARES, unit**2)}
    return Outcome(False, {k: v * scales.get(k, 1.0) for k, v in found.items()}, peak)


def same_points(one: Array, other: Array) -> bool:
    """Whether two arrays (n, 3) hold the same rows, as often, in any order."""
    return len(one) == len(other) and bool(np.array_equal(_sorted(one), _sorted(other)))


def _sorted(points: Array) -> Array:
    return points[np.lexsort(points.T)]


def _coordinates(points: Array, case: Case) -> Array:
    """(n, 3) float64 in units of the first axis' step, so that distances are right on all axes."""
    return points * (np.array(case.steps) / case.steps[0])


def _nothing_lost() -> dict[str, float]:
    return {
        "d1_mse": 0.0,
        "d1_psnr_db": math.inf,
        "d2_mse": 0.0,
        "d2_psnr_db": math.inf,
        "chamfer": 0.0,
        "hausdorff": 0.0,
        "f_score": 1.0,
        "normal_consistency": 1.0,
    }
