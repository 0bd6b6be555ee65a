"""Coarse looks at clouds: `--level`."""

from __future__ import annotations

import numpy as np
import pytest
import tiny_models

import pcc_cli
from pcc_cli import api
from pcc_cli.errors import InputError
from pcc_cli.geometry import Mesh, PointCloud


@pytest.fixture(autouse=True)
def models(tmp_path, monkeypatch):
    tiny_models.write(tmp_path)
    monkeypatch.setenv("PCC_MODELS", str(tmp_path))


def sphere(radius=100.0, count=6000) -> PointCloud:
    directions = np.random.default_rng(0).normal(size=(count, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    points = np.round(radius * directions + 128).astype(np.int32)
    return PointCloud(points, {"red": points[:, 0].astype(np.uint8)})


def options(codec, **settings):
    given = {"model": tiny_models.OCCUPANCY} if codec == "occupancy" else {}
    return api.Options(codec=codec, device="cpu", fallback=False, settings={**given, **settings})


@pytest.mark.parametrize("codec", ["occupancy", "plain"])
@pytest.mark.parametrize("level", [1, 4, 6, 7])
def test_a_look_has_the_middles_of_the_cells(codec, level):
    cloud = sphere()
    low = api.inspect(api.compress(cloud, options(codec)))["grid"]["offset"]
    voxels = cloud.points - np.array(low)
    look = api.decompress(api.compress(cloud, options(codec)), level=level)
    octaves = 8 - level
    cells = np.unique(voxels >> octaves, axis=0)
    middles = (cells << octaves) + (1 << octaves - 1) + np.array(low)
    assert {tuple(p) for p in look.points} == {tuple(p) for p in middles}
    assert len(look.points) == len(cells)
    assert not look.attributes


def test_the_last_level_is_the_cloud():
    cloud = sphere()
    look = pcc_cli.decompress(api.compress(cloud, options("occupancy")), level=8)
    assert {tuple(p) for p in look.points} == {tuple(p) for p in cloud.points}


def test_tiles_of_different_depth_give_one_grid(monkeypatch):
    monkeypatch.setattr("pcc_cli.spine.tiling.TILE_POINTS", 1000)
    data = api.compress(sphere(), options("occupancy"))
    levels = max(tile["meta"]["depth"] for tile in api.inspect(data)["tiles"])
    look = api.decompress(data, level=levels - 5)
    assert np.unique((look.points - look.points[0]) % 32).tolist() == [0]


@pytest.mark.parametrize("quality", [50, 83.3, 95])
def test_lossy_files_have_levels_too(quality):
    data = api.compress(sphere(), options("occupancy", quality=quality))
    look = api.decompress(data, level=4)
    assert 0 < len(look.points) < 4000
    assert np.abs(np.linalg.norm(look.points - 128.0, axis=1) - 100).max() < 40


def test_what_has_no_levels_is_refused():
    data = api.compress(sphere(), options("plain"))
    for level in (0, 9):
        with pytest.raises(InputError, match=r"--level must be in 1 \.\. 8"):
            api.decompress(data, level=level)
    mesh = Mesh(np.eye(3), np.array([3], np.int32), np.arange(3))
    with pytest.raises(InputError, match="only point clouds have levels"):
        api.decompress(api.compress(mesh), level=3)
    floats = PointCloud(np.random.default_rng(1).normal(size=(50, 3)))
    bits = api.compress(floats, api.Options(lossless=True, codec="plain"))
    with pytest.raises(InputError, match="every bit"):
        api.decompress(bits, level=3)


def test_large_files_say_what_each_level_takes():
    cloud = sphere(2000.0, 9000)
    data = api.compress(cloud, options("occupancy"))
    (tile,) = api.inspect(data)["tiles"]
    assert len(tile["meta"]["levels"]) == tile["meta"]["depth"]
    assert sum(tile["meta"]["levels"]) == tile["bytes"]
    assert tile["meta"]["levels"][-1] > 100 * tile["meta"]["levels"][1]
