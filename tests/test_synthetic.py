"""Generated clouds: the same every time, on the grid they promise, in bounded memory."""

from __future__ import annotations

import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pcc_cli import formats
from pcc_cli.datasets import outdoors, solids, synthetic
from pcc_cli.datasets.noise import value_noise
from pcc_cli.datasets.scanner import Scanner
from pcc_cli.datasets.still_life import CENTER, RADIUS, still_life
from pcc_cli.geometry import PointCloud
from pcc_cli.grid import fit

EXAMPLE = Path(__file__).parent.parent / "docs" / "examples" / "scan.ply"
COARSE = Scanner(stations=3, spacing=4.0)


def same(first: PointCloud, second: PointCloud) -> bool:
    return np.array_equal(first.points, second.points) and all(
        np.array_equal(column, second.attributes[name]) for name, column in first.attributes.items()
    )


@pytest.mark.parametrize(
    "make",
    [
        lambda seed: synthetic.scan(seed, COARSE),
        lambda seed: synthetic.surface(5, seed),
        lambda seed: synthetic.lidar(8, 90, 20, seed),
        lambda seed: synthetic.terrain(500, seed),
        lambda seed: synthetic.terrain(500, seed, plain=True),
    ],
    ids=["scan", "surface", "lidar", "terrain", "plain terrain"],
)
def test_a_seed_decides_the_cloud(make: Callable[[int], PointCloud]) -> None:
    assert same(make(1), make(1))
    assert not np.array_equal(make(1).points, make(2).points)


def test_scan_lies_on_millimetres_once_each_with_colours() -> None:
    cloud = synthetic.scan(0, COARSE)
    assert 1_500 < len(cloud) < 6_000
    assert cloud.points.dtype == np.float32
    place = fit(cloud.points)
    assert place.grid.exact
    cells = np.rint(cloud.points.astype(np.float64) * 1000.0)
    assert np.array_equal((cells / 1000.0).astype(np.float32), cloud.points)
    assert len(np.unique(cells, axis=0)) == len(cloud)
    assert list(cloud.attributes) == ["red", "green", "blue"]
    assert all(column.dtype == np.uint8 and np.ptp(column) > 100
               for column in cloud.attributes.values())  # fmt: skip


def test_scan_stays_near_the_surfaces_it_saw() -> None:
    cloud = synthetic.scan(3, COARSE)
    distances = still_life().distance(cloud.points.astype(np.float64) * 1000.0)
    assert np.abs(distances).max() < 0.5 * 3**0.5 + 6.0 * COARSE.noise


def test_scene_fits_its_ball() -> None:
    rng = np.random.default_rng(0)
    directions = rng.normal(size=(4000, 3))
    shell = CENTER + RADIUS * directions / np.linalg.norm(directions, axis=1, keepdims=True)
    assert still_life().distance(shell).min() > 0.0


def test_example_is_what_the_scanner_makes() -> None:
    data = EXAMPLE.read_bytes()
    assert len(data) < 1_000_000
    cloud = formats.read(data, EXAMPLE.name)
    assert isinstance(cloud, PointCloud)
    assert 45_000 < len(cloud) < 65_000
    assert list(cloud.attributes) == ["red", "green", "blue"]
    assert fit(cloud.points).grid.exact


def test_surface_is_closed_and_dense() -> None:
    cloud = synthetic.surface(6)
    cells = cloud.points.astype(np.int64)
    assert cells.min() >= 0 and cells.max() < 64
    assert len(np.unique(cells, axis=0)) == len(cells)
    inside = np.zeros((66, 66, 66), dtype=bool)
    wall = np.zeros_like(inside)
    wall[tuple(cells.T + 1)] = True
    inside[32, 32, 32] = True
    for _ in range(200):  # water poured into the middle stays in
        grown = inside.copy()
        for axis in range(3):
            grown |= np.roll(inside, 1, axis) | np.roll(inside, -1, axis)
        grown &= ~wall
        if np.array_equal(grown, inside):
            break
        inside = grown
    assert inside.sum() > 1000 and not inside[0].any() and not inside[:, 0].any()


def test_lidar_has_rings_of_whole_steps() -> None:
    cloud = synthetic.lidar(16, 360, 30)
    ranges = np.linalg.norm(cloud.points.astype(np.float64), axis=1)
    assert np.abs(ranges / 0.002 - np.rint(ranges / 0.002)).max() < 0.01
    rings = cloud.attributes["ring"]
    assert rings.dtype == np.uint16 and set(np.unique(rings)) <= set(range(16))
    lifts = np.arcsin(cloud.points[:, 2] / ranges)
    assert all(np.ptp(lifts[rings == ring]) < 1e-5 for ring in np.unique(rings))
    assert cloud.points[:, 2].min() > -1.8


def test_terrain_lies_on_centimetres_of_a_national_grid() -> None:
    cloud = synthetic.terrain(5_000)
    assert len(cloud) == 5_000 and cloud.points.dtype == np.float64
    place = fit(cloud.points)
    assert place.grid.exact and place.residual is None
    assert np.array_equal(np.rint(cloud.points * 100.0) / 100.0, cloud.points)
    assert set(np.unique(cloud.attributes["classification"])) == {2, 5}
    area = np.ptp(cloud.points[:, 0]) * np.ptp(cloud.points[:, 1])
    assert 6.0 < 5_000 / area < 10.0


def test_terrain_is_made_in_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outdoors, "_CHUNK", 1 << 13)
    tracemalloc.start()
    cloud = synthetic.terrain(200_000, plain=True)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(cloud) == 200_000
    assert np.isfinite(cloud.points).all()
    assert peak < cloud.points.nbytes + 200_000 + 600 * (1 << 13)


def test_module_writes_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "terrain.ply"
    monkeypatch.setattr(
        sys, "argv", ["synthetic", str(out), "--kind", "plain-terrain", "--points", "300"]
    )
    synthetic.main()
    cloud = formats.read(out.read_bytes(), out.name)
    assert isinstance(cloud, PointCloud)
    assert same(cloud, synthetic.terrain(300, plain=True))


def test_solids_tell_distances() -> None:
    spots = np.array([[3.0, 0.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 7.0]])
    away = solids.ball((0, 0, 0), (2, 2, 2))(spots[[0, 2]])
    assert away == pytest.approx([1.0, 5.0])
    assert solids.block((0, 0, 0), (1, 2, 3), 0.5)(spots) == pytest.approx([2.0, -1.0, 4.0])
    rod = solids.limb((0, 0, -1), (0, 0, 1), 0.5, 0.5)
    assert rod(spots) == pytest.approx([2.5, -0.5, 5.5])
    one = np.array([[0.0, 0.0, -1.0]]), np.array([[0.0, 0.0, 1.0]])
    assert solids.limbs(*one, np.array([0.5]), np.array([0.5]))(spots) == pytest.approx(rod(spots))
    assert solids.ring((0, 0, 0), (0, 0, 1), 3.0, 0.5)(spots)[0] == pytest.approx(-0.5)
    normals = solids.normals(rod, spots[[0, 2]])
    assert normals == pytest.approx(np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]), abs=0.05)


def test_noise_is_smooth_and_bounded() -> None:
    line = np.linspace(0.0, 50.0, 5001)[:, None] * [1.0, 0.5, 0.25]
    values = value_noise(line, 4.0, 5)
    assert np.abs(values).max() <= 1.0 and np.ptp(values) > 0.5
    assert np.abs(np.diff(values)).max() < 0.02
