"""The spine with codecs that lose something: a coarse one, and one that restores with floats."""

from __future__ import annotations

import io
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import pytest

import pcc_cli
from pcc_cli import api, codecs, container
from pcc_cli.codecs.base import Payload, setting, silent
from pcc_cli.errors import FormatError, InputError, UnsupportedError
from pcc_cli.evaluation.case import Case
from pcc_cli.evaluation.measure import Reference, _comparable, compare
from pcc_cli.geometry import Mesh, PointCloud, Volume, VoxelCloud
from pcc_cli.spine.carry import carried
from pcc_cli.tree.morton import morton_order


@dataclass(frozen=True)
class Coarse:
    """Keeps the voxels of a coarser grid, each once."""

    id: ClassVar[str] = "coarse.1"
    accepts: ClassVar[tuple[type, ...]] = (VoxelCloud,)
    exact: ClassVar[bool] = True
    lossless: ClassVar[bool] = False
    rates: ClassVar[tuple[dict[str, Any], ...]] = ({"factor": 4}, {"factor": 2})

    factor: int = setting(2, "by which the grid is coarser")
    fast: bool = setting(False, "does nothing")

    def config(self) -> dict[str, Any]:
        return {"factor": self.factor}

    def encode(self, shape, progress=silent) -> Payload:
        progress(0.5, "halfway")
        cells = np.unique(shape.voxels // self.factor, axis=0).astype("<i8")
        return Payload({"cells": len(cells)}, {"CELL": cells.tobytes()})

    def decode(self, payload: Payload) -> VoxelCloud:
        cells = np.frombuffer(payload.stream("CELL"), "<i8").reshape(-1, 3)
        voxels = cells * self.factor + self.factor // 2
        return VoxelCloud(voxels[morton_order(voxels)])


@dataclass(frozen=True)
class Mean:
    """A volume as one integer, a mesh as a triangle; what decodes differs from call to call."""

    id: ClassVar[str] = "mean.1"
    accepts: ClassVar[tuple[type, ...]] = (Volume, Mesh)
    exact: ClassVar[bool] = False
    lossless: ClassVar[bool] = False
    rates: ClassVar[tuple[dict[str, Any], ...]] = ({},)

    def config(self) -> dict[str, Any]:
        return {}

    def encode(self, shape, progress=silent) -> Payload:
        if isinstance(shape, Mesh):
            return Payload({"shape": []}, {"MEAN": b"\1"}, {"chamfer": 0.25})
        mean = np.array([round(float(shape.values.mean()))], "<i4")
        return Payload({"shape": list(shape.values.shape)}, {"MEAN": mean.tobytes()})

    def integers(self, payload: Payload) -> list[np.ndarray]:
        return [np.frombuffer(payload.stream("MEAN"), "|u1")]

    def decode(self, payload: Payload) -> Volume | Mesh:
        noise = np.random.default_rng().normal(scale=1e-6)  # as another machine's floats
        if not payload.meta["shape"]:
            corners = np.eye(3) + noise
            return Mesh(corners, np.array([3], np.int32), np.arange(3))
        mean = np.frombuffer(payload.stream("MEAN"), "<i4")[0]
        return Volume(np.full(payload.meta["shape"], mean + noise, np.float32))


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    for kind in (Coarse, Mean):
        monkeypatch.setitem(codecs.CODECS, kind.id, f"{__name__}:{kind.__name__}")


def cloud(count=3000) -> PointCloud:
    points = np.random.default_rng(0).integers(0, 100, (count, 3))
    reds = (points[:, 0] * 2).astype(np.uint8)
    labels = (points[:, 1] > 50).astype(np.uint8)
    return PointCloud(points, {"red": reds, "label": labels})


def packed(shape, codec, **settings):
    stream = io.BytesIO()
    report = api.compress_to(stream, shape, api.Options(codec=codec, settings=settings))
    return stream.getvalue(), report


def test_a_coarse_cloud_comes_back_with_its_attributes():
    source = cloud()
    data, report = packed(source, "coarse", factor=4)
    back = api.decompress(data)
    cells = np.unique(source.points // 4, axis=0)
    assert len(back) == len(cells) < len(source)
    assert np.abs(back.attributes["red"].astype(int) - 2 * back.points[:, 0]).max() <= 6
    assert set(back.attributes["label"]) == {0, 1}
    assert report.points == len(source)
    assert report.codecs == ["coarse.1"]
    assert api.inspect(data)["lossless"] is False


def test_quality_is_what_an_evaluation_measures():
    source = PointCloud(cloud().points)
    data, report = packed(source, "coarse")
    case = Case("a", "", source, source)
    outcome = compare(Reference(case, _comparable(source, case)), api.decompress(data), None)
    assert report.quality["d1_psnr_db"] == pytest.approx(outcome.metrics["d1_psnr_db"], abs=1e-9)
    assert np.isfinite(outcome.metrics["d1_psnr_db"])


def test_several_tiles(monkeypatch):
    monkeypatch.setattr("pcc_cli.spine.tiling.TILE_POINTS", 500)
    source = cloud()
    seen = []
    stream = io.BytesIO()
    options = api.Options(codec="coarse")
    api.compress_to(stream, source, options, lambda done, label: seen.append((done, label)))
    assert api.inspect(stream.getvalue())["tiles"][5]["codec"] == "coarse.1"
    assert len(api.decompress(stream.getvalue())) >= len(np.unique(source.points // 2, axis=0))
    assert (0.25, "tile 2 of 6, halfway") in seen


def test_floats_that_differ_are_no_damage_but_integers_are():
    values = np.arange(24.0, dtype=np.float32).reshape(2, 3, 4)
    data, report = packed(Volume(values, spacing=(1.0, 2.0, 3.0)), "mean")
    back = api.decompress(data)
    assert back.spacing == (1.0, 2.0, 3.0)
    assert np.allclose(back.values, 12, atol=1e-3)
    assert report.quality["psnr_db"] == pytest.approx(10 * np.log10(23**2 / 48.17), abs=0.1)
    header, sections = container.read(data)
    changed = [replace(s, data=b"\1\0\0\0") if s.kind == "MEAN" else s for s in sections]
    stream = io.BytesIO()
    container.write(stream, header, iter(changed))
    with pytest.raises(FormatError, match="digest"):
        api.decompress(stream.getvalue())


def test_a_mesh_gets_new_vertices_and_says_what_is_gone():
    mesh = Mesh(np.eye(4)[:, :3], np.array([3, 3], np.int32), np.array([0, 1, 2, 1, 2, 3]))
    mesh.attributes["red"] = np.zeros(4, np.uint8)
    data, report = packed(mesh, "mean")
    assert len(api.decompress(data)) == 3
    assert report.quality == {"chamfer": 0.25}
    assert any("red not kept" in note for note in report.notes)


@pytest.mark.parametrize("wish", ["keep_order", "keep_invalid", "lossless"])
def test_what_a_lossy_codec_cannot_promise_is_refused(wish):
    option = "--" + wish.replace("_", "-")
    with pytest.raises(InputError, match=f"{option} cannot be had from a lossy codec; leave out"):
        api.compress(cloud(), api.Options(codec="coarse", **{wish: True}))


def test_colours_that_stay_exact_beside_lossy_points_are_mentioned():
    points, kept = cloud().points, ("red", "green", "blue")
    shades = (points % 251).astype(np.uint8).T
    coloured = PointCloud(points, dict(zip(kept, shades, strict=True)))
    assert any("--attribute-quality" in note for note in packed(coloured, "coarse")[1].notes)
    for shape, codec in ((coloured, "plain"), (cloud(), "coarse")):
        assert not any("--attribute-quality" in note for note in packed(shape, codec)[1].notes)
    lossy = api.Options(codec="coarse", attribute_quality=50)
    report = api.compress_to(io.BytesIO(), coloured, lossy)
    assert not any("--attribute-quality" in note for note in report.notes)


def test_settings_by_name():
    data = pcc_cli.compress(cloud().points, codec="coarse", factor=8)
    assert api.inspect(data)["tiles"][0]["config"] == {"factor": 8}
    assert data == pcc_cli.compress(cloud().points, codec="coarse", factor="8")
    with pytest.raises(UnsupportedError, match=r"no setting speed, only: factor, fast"):
        pcc_cli.compress(cloud().points, codec="coarse", speed=8)
    with pytest.raises(InputError, match="--factor must be a whole number, not 'many'"):
        pcc_cli.compress(cloud().points, codec="coarse", factor="many")


def test_carried_means_and_labels():
    voxels = np.array([[0, 0, 0], [1, 0, 0], [9, 0, 0]])
    values = [np.array([10.0, 20.0, 50.0]), np.array([3, 3, 8], np.uint8)]
    decoded = np.array([[0, 1, 0], [9, 0, 0], [8, 0, 0]])
    means, labels = carried(values, voxels, decoded)
    assert means.tolist() == [15.0, 50.0, 50.0]
    assert labels.tolist() == [3, 8, 8]
    assert [len(column) for column in carried(values, voxels, decoded[:0])] == [0, 0]


def test_carried_from_the_nearest_few():
    voxels = np.array([[0, 0, 0], [1, 0, 0], [4, 0, 0]])
    shades = np.arange(0, 100, dtype=np.uint8)[[10, 21, 50]]
    quantity = np.concatenate([shades, np.arange(60, dtype=np.uint8)])
    voxels = np.concatenate([voxels, np.full((60, 3), 900)])
    values = [quantity, np.repeat(np.array([3, 5, 8], np.uint8), [1, 1, 61])]
    decoded = np.array([[0, 1, 0], [4, 0, 0]])
    for nearest, means in [(1, [10, 50]), (2, [16, 36]), (3, [27, 27])]:
        found = carried(values, voxels, decoded, nearest)
        assert [column.tolist() for column in found] == [means, [3, 8]]
    one = carried([quantity[:1]], voxels[:1], decoded, 5)
    assert one[0].tolist() == [10, 10]
