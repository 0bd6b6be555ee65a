"""How far a decoded cloud is from the original: D1, D2, Chamfer, Hausdorff, F-score, normals.

D1 and D2 are those of MPEG's pc_error 0.14: both directions, the worse one counts, points at the
same place count once. docs/metrics.md, "Points".
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from pcc_cli.geometry import Array
from pcc_cli.metrics import colour, normals
from pcc_cli.metrics.neighbours import Neighbours, Ties

F_SCORE_PART = 0.0025  # of the longest side of the original: a point so near counts as found


@dataclass(frozen=True)
class Cloud:
    """Points to compare, each place once.

    points : (n, 3) float64, all different
    colours : (n, 3) float64, red, green and blue from 0 to 255, or None
    given_normals : (n, 3) float64, or None: they are estimated when they are needed
    """

    points: Array
    colours: Array | None = None
    given_normals: Array | None = None

    @cached_property
    def index(self) -> Neighbours:
        return Neighbours(self.points)

    @cached_property
    def directions(self) -> Array:
        """(n, 3) unit normals, of which only the line counts, not the side."""
        given = self.given_normals
        return normals.estimate(self.index) if given is None else given

    @cached_property
    def normals(self) -> Array:
        """(n, 3) normals, those of neighbours on the same side."""
        given = self.given_normals
        return normals.orient(self.directions, self.index) if given is None else given


def cloud(points: Array, colours: Array | None = None, normals: Array | None = None) -> Cloud:
    """The `Cloud` of points that may coincide: colours are averaged, the first normal is kept.

    points : (n, 3) numbers, n > 0; colours, normals : (n, 3) or None
    """
    values = np.asarray(points, np.float64)
    order = np.lexsort(values.T[::-1])
    values = values[order]
    first = np.ones(len(values), bool)
    first[1:] = (values[1:] != values[:-1]).any(axis=1)
    starts = np.flatnonzero(first)
    if colours is not None:
        total = np.add.reduceat(np.asarray(colours, np.float64)[order], starts)
        count = np.diff(np.append(starts, len(values)))
        colours = np.floor(total / count[:, None])  # whole numbers, cut as pc_error cuts them
    if normals is not None:
        normals = np.asarray(normals, np.float64)[order][starts]
    return Cloud(values[starts], colours, normals)


def intrinsic_resolution(original: Cloud) -> float:
    """The largest distance from a point to its nearest other one: pc_error's default peak."""
    distance, _ = original.index.several(original.points, 2)
    return float(distance[:, -1].max())


def measure(original: Cloud, decoded: Cloud, peak: float) -> dict[str, float]:
    """Every measure of `decoded`, name -> value; PSNR is infinite where nothing was lost.

    peak : of the signal, in the units of the points
    """
    there, back = original.index.ties(decoded.points), decoded.index.ties(original.points)
    carried = normals.carry(original.index, original.normals, decoded.index)
    directions = [
        _distances(original, decoded, back, carried),
        _distances(decoded, original, there, original.normals),
    ]
    result = _psnrs(directions, peak)
    near = [direction.point for direction in directions]
    threshold = F_SCORE_PART * float(np.ptp(original.points, axis=0).max())
    result |= {
        "chamfer": (near[0].mean() + near[1].mean()) / 2,
        "hausdorff": max(near[0].max(), near[1].max()),
        "f_score": f_score(near[1], near[0], threshold),
        "normal_consistency": _consistency(original, decoded, there, back),
    }
    if original.colours is not None and decoded.colours is not None:
        result |= colour.psnr(original.colours, decoded.colours, there, back)
    return {name: float(value) for name, value in result.items()}


def psnr(mean_square: float, peak: float, factor: float = 3.0) -> float:
    """Decibels of factor * peak^2 over the error; infinite for none."""
    return 10 * math.log10(factor * peak**2 / mean_square) if mean_square else math.inf


def f_score(decoded: Array, original: Array, threshold: float) -> float:
    """Harmonic mean of the parts of two sets of distances that are within `threshold`."""
    precision, recall = (decoded <= threshold).mean(), (original <= threshold).mean()
    total = float(precision + recall)
    return 2 * float(precision * recall) / total if total else 0.0


@dataclass(frozen=True)
class _Direction:
    """point : (n,) distance of each point; plane : (n,) its square along the other's normal."""

    point: Array
    plane: Array


def _distances(queries: Cloud, target: Cloud, ties: Ties, target_normals: Array) -> _Direction:
    """From `queries` to their nearest points in `target`, along its normals for the plane."""
    error = queries.points[ties.query] - target.points[ties.point]
    plane = np.einsum("ij,ij->i", error, target_normals[ties.point]) ** 2
    first = np.concatenate([[0], np.cumsum(ties.count)[:-1]])
    return _Direction(np.sqrt((error[first] ** 2).sum(axis=1)), ties.mean(plane))


def _psnrs(directions: list[_Direction], peak: float) -> dict[str, float]:
    d1 = max(float((direction.point**2).mean()) for direction in directions)
    d2 = max(float(direction.plane.mean()) for direction in directions)
    return {
        "d1_mse": d1,
        "d1_psnr_db": psnr(d1, peak),
        "d2_mse": d2,
        "d2_psnr_db": psnr(d2, peak),
    }


def _consistency(original: Cloud, decoded: Cloud, there: Ties, back: Ties) -> float:
    """Mean of |cosine| between the normals of nearest points, over both directions."""
    one, other = original.directions, decoded.directions
    forth = there.mean(np.abs(np.einsum("ij,ij->i", other[there.query], one[there.point])))
    return (
        float(
            forth.mean()
            + back.mean(np.abs(np.einsum("ij,ij->i", one[back.query], other[back.point]))).mean()
        )
        / 2
    )
