"""Training packs made from generated meshes and clouds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import trimesh

from pcc_cli.datasets import clouds, surfaces
from pcc_cli.datasets.packing import Sample, load_pack, make_sample, pack
from pcc_cli.datasets.sources import find_sources
from pcc_cli.errors import InputError
from pcc_cli.geometry import PointCloud
from pcc_cli.tree.morton import morton_codes


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """One small file of every domain: two meshes, a dense cube, a scan, a ring-like .bin."""
    rng = np.random.default_rng(0)
    (tmp_path / "meshes").mkdir()
    trimesh.creation.icosphere(1).export(tmp_path / "meshes" / "ball.ply")
    trimesh.creation.box().export(tmp_path / "meshes" / "box.obj")
    (tmp_path / "dense").mkdir()
    cells = np.argwhere(np.ones((20, 20, 3)))
    np.savetxt(tmp_path / "dense" / "slab.xyz", cells, fmt="%d")
    np.savetxt(tmp_path / "cloud.xyz", rng.normal(size=(500, 3)))
    angles = rng.uniform(0, 6.28, 400)
    rows = np.stack([np.cos(angles), np.sin(angles), -0.1 + 0 * angles, 0.01 * angles], axis=1)
    (10 * rows).astype("<f4").tofile(tmp_path / "ring.bin")
    return tmp_path


def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pcc_cli.datasets.recipes.LEAST", 200)
    monkeypatch.setattr("pcc_cli.datasets.recipes.MOST", 400)


def test_pack_is_the_same_for_the_same_seed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small(monkeypatch)
    outs = [folder / name for name in ("one.pack", "two.pack", "other.pack")]
    for out, seed in zip(outs, (5, 5, 6), strict=True):
        assert 10 <= pack([folder], out, seed=seed, samples=12) <= 12  # holes may eat a small one
    one, two, other = (out.read_bytes() for out in outs)
    assert one == two != other


def test_samples_are_distinct_voxels_in_order(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small(monkeypatch)
    pack([folder], folder / "a.pack", samples=20)
    samples = load_pack(folder / "a.pack")
    assert {sample.domain for sample in samples} == {"mesh", "capture", "lidar", "scan"}
    for sample in samples:
        voxels = sample.voxels()
        high, low = morton_codes(voxels)
        assert (high == 0).all()
        assert (np.diff(low) > 0).all()
        assert len(voxels) == sample.points <= 500
        assert voxels.min() >= 0
        assert int(voxels.max()).bit_length() == sample.depth


def test_whole_clouds_keep_every_voxel(folder: Path) -> None:
    pack([folder / "dense"], folder / "a.pack", whole=True)
    (sample,) = load_pack(folder / "a.pack")
    assert (sample.source, sample.step, sample.points) == ("slab.xyz", 1.0, 1200)
    assert {tuple(v) for v in sample.voxels().tolist()} == set(np.ndindex(20, 20, 3))


def test_mix_names_the_shares(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small(monkeypatch)
    pack([folder], folder / "a.pack", samples=4, mix={"capture": 3.0, "scan": 1.0})
    domains = [sample.domain for sample in load_pack(folder / "a.pack")]
    assert sorted(domains) == ["capture"] * 3 + ["scan"]


def test_domains(folder: Path) -> None:
    found = {source.path.name: source.domain for source in find_sources([folder])}
    assert found == {
        "ball.ply": "mesh",
        "box.obj": "mesh",
        "slab.xyz": "capture",
        "cloud.xyz": "scan",
        "ring.bin": "lidar",
    }


def test_domain_by_content_where_no_folder_says(folder: Path) -> None:
    moved = (folder / "dense" / "slab.xyz").rename(folder / "slab.xyz")
    found = {source.path: source.domain for source in find_sources([folder])}
    assert found[moved] == "capture"


def test_nothing_to_pack_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no meshes or clouds"):
        pack([tmp_path], tmp_path / "a.pack")


def test_files_that_hold_nothing_are_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.xyz").write_text("nan nan nan\n")
    with pytest.raises(InputError, match=r"empty\.xyz.*no finite point"):
        pack([tmp_path], tmp_path / "a.pack")


@pytest.mark.parametrize("content", [b"", b"nonsense" * 9, None])
def test_damaged_pack_is_refused(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "a.pack"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match="not a training pack"):
        load_pack(path)


def test_one_voxel() -> None:
    sample = make_sample("scan", "a", np.zeros((1, 3), np.int64), 1.0)
    assert (sample.depth, sample.points) == (0, 1)
    assert sample.voxels().tolist() == [[0, 0, 0]]
    assert isinstance(sample, Sample)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("step", [1.0, 0.01, 0.001])
def test_own_grid_is_found(dtype: type, step: float) -> None:
    voxels = np.random.default_rng(1).integers(0, 2000, (300, 3))
    voxels[0] = 0
    cloud = PointCloud((voxels * step).astype(dtype))
    grid = clouds.own_grid(cloud)
    assert grid is not None
    assert np.array_equal(grid[0], voxels)
    assert grid[1] == step


def test_own_grid_of_voxel_centres_is_their_spacing() -> None:
    voxels = np.random.default_rng(1).integers(0, 100, (300, 3))
    voxels[0] = 0
    grid = clouds.own_grid(PointCloud(0.003 + 0.006 * voxels))
    assert grid is not None
    assert np.array_equal(grid[0], voxels)
    assert grid[1] == pytest.approx(0.006)


def test_no_own_grid_among_random_floats() -> None:
    assert clouds.own_grid(PointCloud(np.random.default_rng(1).normal(size=(50, 3)))) is None


def test_median_spacing_of_a_lattice() -> None:
    lattice = 0.3 * np.argwhere(np.ones((12, 12, 12)))
    assert clouds.median_spacing(lattice) == pytest.approx(0.3)


def test_crop_gives_about_the_count_in_order() -> None:
    voxels = np.argwhere(np.ones((30, 30, 30)))
    for seed in range(6):
        part = clouds.crop(voxels, 2000, np.random.default_rng(seed))
        assert 1500 < len(part) < 3000
        assert (np.diff(part @ [900, 30, 1]) > 0).all()


def test_rotations_and_mirrors_keep_distances() -> None:
    rng = np.random.default_rng(2)
    for turn in (clouds.rotation(rng), clouds.turn_about_z(rng)):
        assert np.allclose(turn @ turn.T, np.eye(3))
        assert np.linalg.det(turn) == pytest.approx(1.0)
    voxels = rng.integers(0, 50, (40, 3))
    pose = clouds.mirrored(voxels, rng)
    assert pose.min() == 0
    gaps = [np.linalg.norm(v[:, None] - v[None], axis=2) for v in (voxels, pose)]
    assert np.array_equal(*gaps)


def test_surface_samples_lie_on_the_surface(tmp_path: Path) -> None:
    trimesh.creation.box().export(tmp_path / "box.off")
    surface = surfaces.load_surface(tmp_path / "box.off")
    assert surface.area() == pytest.approx(6.0)
    corners = surfaces._corners(surface)
    points = surfaces._samples(corners, 3000, np.random.default_rng(0))[:, :3]
    assert np.allclose(np.abs(points).max(1), 0.5)
    on_each = np.bincount(np.abs(points).argmax(1), minlength=3)
    assert (np.abs(on_each - 1000) < 150).all()


def test_surface_voxels_are_about_as_many_as_asked(tmp_path: Path) -> None:
    trimesh.creation.icosphere(3).export(tmp_path / "ball.stl")
    surface = surfaces.load_surface(tmp_path / "ball.stl")
    sizes = [
        len(surfaces.random_voxels(surface, 3000, np.random.default_rng(seed))[0])
        for seed in range(8)
    ]
    assert 1500 < np.median(sizes) < 5000


def test_cutting_faces_keeps_the_area_inside(tmp_path: Path) -> None:
    trimesh.creation.box().export(tmp_path / "box.off")
    surface = surfaces.load_surface(tmp_path / "box.off")
    corners = 100.0 * surfaces._corners(surface)
    region = clouds.Region(np.array([50.0, 0.0, 0.0]), np.ones(3), 5.0, round=False)
    near = surfaces._near(corners, region)
    points = surfaces._samples(near, 4000, np.random.default_rng(0))[:, :3]
    inside = region.holds(points).mean() * surfaces._areas(near).sum()
    assert inside == pytest.approx(100.0, rel=0.2)
    assert len(near) < 200
