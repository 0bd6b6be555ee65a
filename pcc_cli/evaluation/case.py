"""A file of an evaluation: its geometry on the grid that every codec gets."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from pathlib import Path

import numpy as np

from pcc_cli import codecs, formats, grid
from pcc_cli.errors import InputError
from pcc_cli.geometry import Array, Mesh, PointCloud, Volume, Whole
from pcc_cli.grid.spacing import point_spacing

COLOURS = ("red", "green", "blue")
DENSE_SPACING = 1.5  # grid steps between neighbours, at most, of a cloud that fills its surface


@dataclass(frozen=True)
class Case:
    """One input.

    file, sha256 : its name, and the digest of its bytes
    shape : what is coded: a PointCloud of voxels, (n, 3) int64 from 0, in the order of the file; or
        a Mesh or a Volume as it is
    source : what was read, without points that are not finite
    steps : distance of neighbouring voxels per axis, in units of the file
    corner : index of voxel 0 per axis; what the file calls it
    exact : whether the voxels give every coordinate of the file back
    """

    file: str
    sha256: str
    shape: Whole
    source: Whole
    steps: tuple[float, float, float] = (1.0, 1.0, 1.0)
    corner: tuple[int, int, int] = (0, 0, 0)
    exact: bool = True

    @property
    def kind(self) -> str:
        return codecs.kind_of(self.shape)

    @property
    def grid(self) -> str:
        """What the coordinates were rounded to, in words; "" for meshes and volumes."""
        if self.kind != "points":
            return ""
        steps = " x ".join(f"{step:.12g}" for step in dict.fromkeys(self.steps))
        return f"{steps}, {'exact' if self.exact else 'rounded'}"

    @cached_property
    def dense(self) -> bool:
        """Whether the points fill their surface, as captures of people and objects do."""
        return isinstance(self.shape, PointCloud) and (
            point_spacing(self.shape.points) <= DENSE_SPACING
        )

    @property
    def peak(self) -> float:
        """Of the coordinates, for PSNR, in units of the file; docs/metrics.md, "Peak".

        Of a volume the range of its finite samples.
        """
        if isinstance(self.shape, Volume):
            values = self.shape.values[np.isfinite(self.shape.values)]
            return float(values.max()) - float(values.min()) if values.size else 0.0
        points = self.shape.points
        if self.kind == "points" and self.steps == (1.0, 1.0, 1.0) and min(self.corner) >= 0:
            largest = int((points.max(axis=0) + np.array(self.corner)).max())
            return float((1 << max(largest, 1).bit_length()) - 1)
        extent: Array = np.ptp(points, axis=0) * np.array(self.steps)
        return float(extent.max())


def load(path: Path, step: float | None = None, attributes: bool = False) -> Case:
    """The case of a file; its own grid, or one of `step`, or the one `pcc compress` would choose.

    attributes : whether they are to be coded, too

    InputError when the file cannot be read or holds nothing to compare.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error
    digest = hashlib.sha256(data).hexdigest()
    shape = formats.read(data, path.name)
    if isinstance(shape, Mesh):
        return Case(path.name, digest, shape if attributes else _bare(shape), shape)
    if isinstance(shape, Volume):
        return Case(path.name, digest, replace(shape, source={}), shape)
    cloud = _finite(shape)
    if not len(cloud):
        raise InputError(f"{path}: has no points to compare")
    named = cloud.source
    place = grid.fit(
        cloud.points, step=step, scales=named.get("scales"), offsets=named.get("offsets")
    )
    if place.grid.kind != "step":
        raise InputError(f"{path}: all points coincide; there is nothing to compare")
    return Case(
        path.name,
        digest,
        PointCloud(place.voxels, cloud.attributes if attributes else {}),
        cloud,
        place.grid.steps,
        place.grid.offset,
        place.grid.exact,
    )


def coarser(shape: Whole, divisor: Fraction) -> Whole:
    """The shape on a grid coarser by `divisor`, points that meet merged; itself for 1.

    As G-PCC does it with positionQuantizationScale 1/divisor and mergeDuplicatedPoints.
    """
    if divisor == 1 or not isinstance(shape, PointCloud):
        return shape
    up, down = divisor.denominator, divisor.numerator
    voxels = (2 * shape.points * up + down) // (2 * down)  # to the nearest, halves upwards
    _, first = np.unique(voxels, axis=0, return_index=True)
    return PointCloud(voxels[np.sort(first)])


def finer(shape: Whole, divisor: Fraction) -> Whole:
    """The points of a decoded coarse shape in steps of the fine grid, float64 for clouds."""
    if not isinstance(shape, PointCloud):
        return shape
    points = shape.points.astype(np.float64) * divisor.numerator / divisor.denominator
    return replace(shape, points=points)


def _bare(mesh: Mesh) -> Mesh:
    return replace(mesh, attributes={}, face_attributes={})


def _finite(cloud: PointCloud) -> PointCloud:
    keep = np.isfinite(cloud.points).all(axis=1)
    if keep.all():
        return cloud
    attributes = {name: column[keep] for name, column in cloud.attributes.items()}
    return replace(cloud, points=cloud.points[keep], attributes=attributes)
