"""Points that are not finite: left out and counted, or kept to the last bit."""

from __future__ import annotations

import io

import numpy as np
import pytest

from pcc_cli import api
from pcc_cli.errors import FormatError
from pcc_cli.geometry import PointCloud
from pcc_cli.grid import fit
from pcc_cli.spine import invalid
from pcc_cli.spine.header import Header

KINDS = ("<f2", "<f4", "<f8")


def holes(kind: str) -> PointCloud:
    """Millimetres, and NaN of several payloads, infinities and a point of ones alone."""
    rng = np.random.default_rng(2)
    points = np.rint(rng.normal(size=(40, 3)) * 100).astype(kind) / np.dtype(kind).type(64)
    points[[0, 7]] = np.nan
    points[9, 1] = -np.inf
    points[20] = [np.inf, 0.0, -0.0]
    points[31].view("u1")[:] = 255
    return PointCloud(points, {"row": np.arange(40)})


def bits(points: np.ndarray) -> list[bytes]:
    return [row.tobytes() for row in points]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("options", [{}, {"lossless": True}, {"step": 0.25}, {"bits": 6}])
@pytest.mark.parametrize("keep_order", [False, True])
def test_invalid_points_are_kept(kind: str, options: dict, keep_order: bool) -> None:
    cloud = holes(kind)
    choice = api.Options(codec="plain", keep_invalid=True, keep_order=keep_order, **options)
    restored = api.decompress(api.compress(cloud, choice))
    assert isinstance(restored, PointCloud)
    rows = restored.attributes["row"]
    assert sorted(rows) == list(range(40))
    bad = ~np.isfinite(cloud.points[rows]).all(axis=1)
    assert bits(restored.points[bad]) == bits(cloud.points[rows][bad])
    if keep_order:
        assert (rows == np.arange(40)).all()
    else:
        assert bad[-5:].all(), "they come last"
    if not {"step", "bits"} & set(options):
        assert bits(restored.points) == bits(cloud.points[rows])


@pytest.mark.parametrize("kind", KINDS)
def test_invalid_points_are_left_out_and_counted(kind: str) -> None:
    cloud = holes(kind)
    stream = io.BytesIO()
    report = api.compress_to(stream, cloud, api.Options(codec="plain", keep_order=True))
    restored = api.decompress(stream.getvalue())
    finite = np.isfinite(cloud.points).all(axis=1)
    assert bits(restored.points) == bits(cloud.points[finite])
    assert report.points == 35
    assert report.notes == ["5 points that are not finite left out (--keep-invalid keeps them)"]


def test_nothing_but_invalid_points() -> None:
    cloud = PointCloud(np.full((6, 3), np.nan))
    kept = api.decompress(api.compress(cloud, api.Options(codec="plain", keep_invalid=True)))
    assert bits(kept.points) == bits(cloud.points)
    assert len(api.decompress(api.compress(cloud, api.Options(codec="plain")))) == 0


def test_finite_points_are_no_work() -> None:
    for points in (np.eye(3), np.arange(6).reshape(2, 3)):
        assert invalid.stood_in(points) is points
        assert invalid.patch_of(points, fit(points)) is None


@pytest.mark.parametrize(
    ("axes", "kind"), [("xy", "<u4"), ("xyz", "<u8"), ("xyz", "<i4"), ("xyq", "<u4")]
)
def test_a_patch_that_does_not_fit_is_refused(axes: str, kind: str) -> None:
    cloud = api.compress(PointCloud(np.eye(3, dtype=np.float32)), api.Options(codec="plain"))
    record = {**api.inspect(cloud)}
    record["columns"] = [{"name": axis, "type": kind, "role": "patch"} for axis in axes]
    with pytest.raises(FormatError):
        Header.from_json(record)


def test_what_depends_on_the_order_goes_with_it() -> None:
    source = {"format": "pcd", "ordered": {"width": 20, "height": 2}}
    cloud = PointCloud(holes("<f4").points, {}, source)
    kept = {"keep_order": True, "keep_invalid": True}
    for options, there in ((kept, True), ({"keep_order": True}, False), ({}, False)):
        choice = api.Options(codec="plain", **options)  # type: ignore[arg-type]
        restored = api.decompress(api.compress(cloud, choice))
        assert ("ordered" in restored.source) == there
