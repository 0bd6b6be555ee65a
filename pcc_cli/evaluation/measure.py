"""How a decoded shape compares with its case: lossless or not, and the metrics of its kind."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pcc_cli.attributes import colour
from pcc_cli.errors import PccError
from pcc_cli.evaluation import case as cases
from pcc_cli.evaluation.case import COLOURS, Case
from pcc_cli.evaluation.report.triangles import fan
from pcc_cli.geometry import Array, Mesh, PointCloud, Volume, Whole
from pcc_cli.metrics import meshes as mesh_metrics
from pcc_cli.metrics import points as point_metrics
from pcc_cli.metrics import volumes as volume_metrics
from pcc_cli.metrics.meshes import Surface
from pcc_cli.metrics.points import Cloud

# Metrics whose unit is a length, or its square.
LENGTHS = ("chamfer", "hausdorff", "mesh_distance", "mesh_hausdorff")
SQUARES = ("d1_mse", "d2_mse")
PERFECT = {
    **dict.fromkeys(("d1_mse", "d2_mse", "chamfer", "hausdorff"), 0.0),
    **dict.fromkeys(("d1_psnr_db", "d2_psnr_db"), math.inf),
    **dict.fromkeys(("f_score", "normal_consistency"), 1.0),
}
PERFECT_MESH = {**PERFECT, "mesh_distance": 0.0, "mesh_hausdorff": 0.0, "iou": 1.0}


class Reference(NamedTuple):
    """A case, and the part of the comparison that all its rows share."""

    case: Case
    target: Cloud | Surface | None  # None of a volume


class Outcome(NamedTuple):
    lossless: bool
    metrics: dict[str, float]
    peak: float


@lru_cache(maxsize=1)
def reference(path: Path, step: float | None, attributes: bool = False) -> Reference:
    """Of the file; the last one is kept, for its rows follow each other."""
    case = cases.load(path, step, attributes)
    if isinstance(case.shape, Volume):
        return Reference(case, None)
    return Reference(case, _comparable(case.shape, case))


def compare(original: Reference, decoded: Whole, peak: float | None) -> Outcome:
    """The outcome of a row.

    decoded : points in steps of the grid
    peak : units of the file; None: `Case.peak`; 0.0: the largest distance between neighbours
    """
    case, target = original
    if isinstance(case.shape, Volume):
        return _compare_volumes(case, decoded, peak or case.peak)
    assert target is not None and not isinstance(decoded, Volume)
    unit = case.steps[0]
    if peak is None:
        peak = case.peak
    elif peak == 0:
        cloud = target if isinstance(target, Cloud) else target.samples
        peak = point_metrics.intrinsic_resolution(cloud) * unit
    assert not isinstance(case.shape, Volume)
    if same(case.shape, decoded):
        return Outcome(True, PERFECT_MESH if case.kind == "mesh" else PERFECT, peak)
    if not len(decoded):
        raise PccError("nothing was decoded")
    found = _measured(target, _comparable(decoded, case, seed=1), peak / unit)
    # Distances were measured in grid steps, where equal ones are equal to the last bit.
    scales = {**dict.fromkeys(LENGTHS, unit), **dict.fromkeys(SQUARES, unit**2)}
    return Outcome(False, {k: v * scales.get(k, 1.0) for k, v in found.items()}, peak)


def _compare_volumes(case: Case, decoded: Whole, peak: float) -> Outcome:
    """Of the finite samples; SSIM where there are no others, time steps or components."""
    assert isinstance(case.shape, Volume)
    if not isinstance(decoded, Volume) or decoded.values.shape != case.shape.values.shape:
        raise PccError("what was decoded is no volume of this shape")
    one, other = case.shape.values, decoded.values
    if one.dtype == other.dtype and np.array_equal(one, other, equal_nan=one.dtype.kind == "f"):
        return Outcome(True, {"psnr_db": math.inf, "max_error": 0.0, "ssim": 1.0}, peak)
    known = np.isfinite(one)
    if case.shape.axes != "zyx" or not known.all():
        one, other = one[known].reshape(1, 1, -1), other[known].reshape(1, 1, -1)
    return Outcome(False, volume_metrics.measure(one, other, peak), peak)


def _comparable(shape: PointCloud | Mesh, case: Case, seed: int = 0) -> Cloud | Surface:
    """The shape in units of the first axis' step, so that distances are right on all axes."""
    points = shape.points * (np.array(case.steps) / case.steps[0])
    if isinstance(shape, Mesh):
        return Surface(points, fan(shape.face_sizes, shape.face_indices), seed)
    colours = None
    if set(COLOURS) <= set(shape.attributes):
        columns = [shape.attributes[name] for name in COLOURS]
        colours = np.stack(columns, axis=1) * (255 / colour.peak(columns))
    return point_metrics.cloud(points, colours)


def _measured(target: Cloud | Surface, decoded: Cloud | Surface, peak: float) -> dict[str, float]:
    if isinstance(target, Surface) and isinstance(decoded, Surface):
        return mesh_metrics.measure(target, decoded, peak)
    if isinstance(target, Cloud) and isinstance(decoded, Cloud):
        return point_metrics.measure(target, decoded, peak)
    raise PccError("a cloud was decoded to a mesh, or a mesh to a cloud")


def same(one: PointCloud | Mesh, other: PointCloud | Mesh) -> bool:
    """Whether two shapes have the same points with the same attributes, as often, in any order,
    and the same faces.

    The points of a mesh with attributes have to be in one order.
    """
    if not (isinstance(one, Mesh) and isinstance(other, Mesh)):
        return same_rows(_columns(one), _columns(other))
    if one.attributes or one.face_attributes:
        return [part.tobytes() for part in _parts(one)] == [p.tobytes() for p in _parts(other)]
    return same_rows(list(one.points.T), list(other.points.T)) and same_rows(
        list(_faces(one).T), list(_faces(other).T)
    )


def same_rows(one: Sequence[Array], other: Sequence[Array]) -> bool:
    """Whether two sequences of columns (n,) have the same rows, as often, in any order."""
    if [len(column) for column in one] != [len(column) for column in other]:
        return False
    orders = np.lexsort(one), np.lexsort(other)
    return all(
        np.array_equal(a[orders[0]], b[orders[1]], equal_nan=a.dtype.kind == "f")
        for a, b in zip(one, other, strict=True)
    )


def _columns(shape: PointCloud | Mesh) -> list[Array]:
    """Coordinates, then attributes by name."""
    return [*shape.points.T, *(shape.attributes[name] for name in sorted(shape.attributes))]


def _parts(mesh: Mesh) -> list[Array]:
    faces = [mesh.face_attributes[name] for name in sorted(mesh.face_attributes)]
    return [*_columns(mesh), mesh.face_sizes, mesh.face_indices, *faces]


def _faces(mesh: Mesh) -> Array:
    """(m, 9) corners of the triangles, each from its least corner on."""
    corners = mesh.points[fan(mesh.face_sizes, mesh.face_indices)]
    rank = np.unique(corners.reshape(-1, 3), axis=0, return_inverse=True)[1].reshape(-1, 3)
    turn = (rank.argmin(axis=1)[:, None] + np.arange(3)) % 3
    return np.take_along_axis(corners, turn[:, :, None], axis=1).reshape(len(corners), 9)
