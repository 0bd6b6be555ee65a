"""E57: scans, poses, groups and images come back; other formats see what the numbers mean."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import source_files

from pcc_cli.errors import InputError, OutputError, UnsupportedError
from pcc_cli.formats import e57, e57tree
from pcc_cli.geometry import PointCloud

pytest.importorskip("pye57")


def tree_of(data: bytes, folder: Path) -> Any:
    path = folder / "a.e57"
    path.write_bytes(data)
    return e57tree.load(str(path), len(data))


@pytest.mark.parametrize("options", [{"scans": 1}, {"scans": 3}, {"scans": 1, "spherical": True}])
def test_e57_comes_back_whole(options: dict[str, Any], tmp_path: Path) -> None:
    data = source_files.e57(**options)
    trees = [tree_of(part, tmp_path) for part in (data, e57.write(e57.read(data, "a.e57")))]
    assert trees[0].root == trees[1].root
    assert trees[0].blobs == trees[1].blobs
    assert trees[0].extensions == trees[1].extensions
    for one, other in zip(trees[0].tables, trees[1].tables, strict=True):
        assert list(one) == list(other)
        assert all(one[name].tobytes() == other[name].tobytes() for name in one)


def test_e57_points_are_the_scaled_integers() -> None:
    cloud = e57.read(source_files.e57(), "a.e57")
    assert cloud.source["scales"] == [0.001] * 3
    assert cloud.source["offsets"] == [10.0] * 3
    assert np.array_equal(cloud.points, np.rint((cloud.points - 10) * 1000) * 0.001 + 10)
    assert np.bincount(cloud.attributes["scan"]).tolist() == [30, 30]
    assert cloud.attributes["intensity"].dtype == np.uint16
    assert cloud.attributes["gps_time"].dtype == np.float64
    assert cloud.source["crs"] == source_files.WKT


def test_e57_other_formats_get_one_frame_and_real_values() -> None:
    cloud = e57.read(source_files.e57(), "a.e57")
    told: list[str] = []
    plain = e57.plain(cloud, told.append)
    turned = cloud.points[:, [2, 0, 1]]  # what the quaternion (1, 1, 1, 1) / 2 does
    moved = turned + np.array([1.0, 2.0, 3.0]) + cloud.attributes["scan"][:, None] * [1.0, 0, 0]
    assert np.allclose(plain.points, moved, atol=1e-12)
    assert np.allclose(plain.attributes["intensity"], cloud.attributes["intensity"] / 2047)
    assert set(told) == {
        "the poses of the scans were applied",
        "the images of the E57 file have no place here",
    }


def test_e57_spherical_coordinates_become_points() -> None:
    cloud = e57.read(source_files.e57(1, spherical=True), "a.e57")
    distance = np.linalg.norm(cloud.points, axis=1)
    assert np.allclose(distance, cloud.attributes["sphericalRange"])
    elevation = np.arcsin(cloud.points[:, 2] / distance)
    assert np.allclose(elevation, cloud.attributes["sphericalElevation"])


def test_e57_groups_need_the_order_of_the_points(tmp_path: Path) -> None:
    cloud = e57.read(source_files.e57(1), "a.e57")
    source = {name: value for name, value in cloud.source.items() if name != "ordered"}
    tree = tree_of(e57.write(PointCloud(cloud.points, cloud.attributes, source)), tmp_path)
    assert "pointGroupingSchemes" in json.dumps(json.loads(cloud.source["tree"]))
    assert "pointGroupingSchemes" not in json.dumps(tree.root)
    assert len(tree.tables) == 1


def test_e57_fields_that_are_gone_are_left_out() -> None:
    cloud = e57.read(source_files.e57(), "a.e57")
    told: list[str] = []
    kept = {name: cloud.attributes[name] for name in ("scan", "red")}
    again = e57.read(
        e57.write(PointCloud(cloud.points, kept, cloud.source), ".e57", told.append), "a"
    )
    assert list(again.attributes) == ["red", "scan"]
    assert len(told) == 1
    told.clear()
    alone = PointCloud(cloud.points, {"red": kept["red"]}, cloud.source)
    assert "scan" not in e57.read(e57.write(alone, ".e57", told.append), "a").attributes
    assert told == ["one scan was written: the attribute that tells scans apart is not there"]


def test_e57_values_may_leave_the_bounds_of_the_source() -> None:
    cloud = e57.read(source_files.e57(1), "a.e57")
    wide = {**cloud.attributes, "intensity": np.full(30, 60000)}
    far = PointCloud(cloud.points + 1e6, wide, cloud.source)
    again = e57.read(e57.write(far), "a.e57")
    assert np.allclose(again.points, far.points, atol=0.0006)
    assert (again.attributes["intensity"] == 60000).all()


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64, np.int32])
def test_e57_from_elsewhere(kind: Any) -> None:
    points = np.arange(30, dtype=kind).reshape(10, 3)
    attributes = {
        "red": np.arange(10, dtype=np.uint8),
        "intensity": np.linspace(0, 1, 10),
        "label": np.arange(10),
    }
    told: list[str] = []
    cloud = e57.read(e57.write(PointCloud(points, attributes), ".e57", told.append), "a.e57")
    assert np.array_equal(cloud.points, points)
    assert np.array_equal(cloud.attributes["intensity"], attributes["intensity"])
    assert np.array_equal(cloud.attributes["red"], attributes["red"])
    assert told == ["E57 has no place for label"]
    assert len(e57.read(e57.write(PointCloud(points[:0])), "a.e57")) == 0


def test_e57_damage_is_refused() -> None:
    data = source_files.e57()
    for place in range(40, len(data), 397):
        flipped = data[:place] + bytes([data[place] ^ 8]) + data[place + 1 :]
        with pytest.raises(InputError, match=r"^a\.e57: "):
            e57.read(flipped, "a.e57")
        with pytest.raises(InputError, match=r"^a\.e57: "):
            e57.read(data[:place], "a.e57")


def test_e57_refuses_a_description_that_is_none() -> None:
    with pytest.raises(OutputError, match="cannot write this as E57"):
        e57.write(PointCloud(np.zeros((1, 3)), {}, {"format": "e57", "tree": b"[]"}))


def test_e57_without_pye57_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pye57", None)
    with pytest.raises(UnsupportedError, match="pip install"):
        e57.read(b"", "a.e57")
    with pytest.raises(UnsupportedError, match="pip install"):
        e57.write(PointCloud(np.zeros((1, 3))))
