"""`pcc prepare`: from meshes to blocks, what is selected, what stays together, what is kept."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import pytest
import trimesh
from typer.testing import CliRunner

from pcc_cli import formats
from pcc_cli.cli.app import app
from pcc_cli.datasets.clouds import blocks_of
from pcc_cli.datasets.prepare import manifest, pipeline
from pcc_cli.datasets.prepare.steps import Blocks, MeshToPoints
from pcc_cli.datasets.surfaces import load_surface
from pcc_cli.errors import InputError

POINTS = MeshToPoints(resolution=64, samples=20_000)
CUT = Blocks(level=2, min_points=5)


def quiet(done: float, label: str) -> None:
    assert 0 < done <= 1 and label


@pytest.fixture
def meshes(tmp_path):
    """Three meshes of two classes, one of them deep below."""
    folder = tmp_path / "meshes"
    for name, detail in (("ball/train/small.off", 1), ("ball/test/large.stl", 3), ("box/b.obj", 0)):
        path = folder / name
        path.parent.mkdir(parents=True)
        shape = trimesh.creation.icosphere(detail) if detail else trimesh.creation.box()
        shape.export(path)
    return folder


def files(folder, suffix=".ply"):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob(f"*{suffix}")}


def voxels_of(data: bytes) -> np.ndarray:
    return np.rint(formats.read(data, "x.ply").points).astype(np.int64)


@pytest.mark.parametrize("suffix", [".off", ".obj", ".stl", ".ply", ".glb"])
def test_every_format_of_meshes_is_read(tmp_path, suffix):
    path = tmp_path / f"ball{suffix}"
    ball = trimesh.creation.icosphere(2)
    ball.export(path)
    assert load_surface(path).area() == pytest.approx(ball.area, rel=1e-5)


def test_an_off_file_may_have_its_counts_on_the_first_line(tmp_path):
    text = trimesh.creation.icosphere(1).export(file_type="off")
    path = tmp_path / "fused.off"
    path.write_text(text.replace("OFF\n", "OFF", 1))
    assert path.read_text().startswith("OFF42 80")
    assert len(load_surface(path).faces) == 80


def test_points_lie_on_the_mesh_and_on_the_grid(tmp_path):
    path = tmp_path / "ball.off"
    trimesh.creation.icosphere(4).export(path)
    cloud = MeshToPoints(resolution=64, samples=50_000, normals=True).files(path, "ball")[
        "ball.ply"
    ]
    centred = cloud.points - 31.5
    radius = np.linalg.norm(centred, axis=1)
    assert len(np.unique(cloud.points, axis=0)) == len(cloud.points) > 5000
    assert np.abs(radius - 31.5).max() < 1.2
    normals = np.stack([cloud.attributes[axis] for axis in ("nx", "ny", "nz")], axis=1)
    assert ((normals * centred).sum(1) / radius > 0.9).all()


def test_points_are_drawn_by_area(tmp_path):
    """A slab whose large sides are a hundred times its small ones."""
    path = tmp_path / "slab.ply"
    trimesh.creation.box([1.0, 1.0, 0.01]).export(path)
    cloud = MeshToPoints(resolution=32, samples=3000).files(path, "slab")["slab.ply"]
    filled = {(x, y) for x, y, _ in cloud.points.tolist()}
    assert len(filled) > 0.8 * 32 * 32


def test_blocks_are_the_cloud_cut_along_its_octree(tmp_path, meshes):
    pipeline.work(POINTS, meshes, tmp_path / "points", 1, quiet)
    pipeline.work(CUT, tmp_path / "points", tmp_path / "blocks", 1, quiet)
    whole = voxels_of(files(tmp_path / "points")["ball/test/large.ply"])
    parts = []
    for name, data in files(tmp_path / "blocks").items():
        if name.startswith("ball/test/large_"):
            x, y, z = (int(part) for part in name[:-4].split("_")[1:])
            local = voxels_of(data)
            assert local.min() >= 0 and local.max() < 16 and len(local) >= 5
            parts.append(local + 16 * np.array([x, y, z]))
    joined = {tuple(row) for part in parts for row in part}
    assert joined <= {tuple(row) for row in whole}
    left_out = [block for block in blocks_of(whole, 16) if len(block) < 5]
    assert len(whole) - len(joined) == sum(map(len, left_out))


def test_the_same_seed_gives_the_same_files_in_any_order(tmp_path, meshes):
    for name, jobs in (("one", 1), ("two", 2)):
        pipeline.work(POINTS, meshes, tmp_path / name, jobs, quiet)
    assert files(tmp_path / "one") == files(tmp_path / "two")
    assert files(tmp_path / "one", ".jsonl") == files(tmp_path / "two", ".jsonl")
    other = MeshToPoints(resolution=64, samples=20_000, seed=1)
    pipeline.work(other, meshes, tmp_path / "other", 1, quiet)
    assert files(tmp_path / "one") != files(tmp_path / "other")


def test_the_manifest_has_the_hash_of_every_file(tmp_path, meshes):
    pipeline.work(POINTS, meshes, tmp_path / "points", 1, quiet)
    entries = manifest.read(tmp_path / "points")
    made = {m.path: m for entry in entries.values() for m in entry.files}
    found = files(tmp_path / "points")
    assert set(made) == set(found)
    for name, data in found.items():
        assert made[name].sha256 == hashlib.sha256(data).hexdigest()
        assert made[name].points == len(voxels_of(data))


def test_a_run_goes_on_where_it_was(tmp_path, meshes):
    out = tmp_path / "points"
    assert pipeline.work(POINTS, meshes, out, 1, quiet).made == 3
    assert pipeline.work(POINTS, meshes, out, 1, quiet).made == 0
    (out / "box/b.ply").unlink()
    with (out / manifest.NAME).open("a") as file:
        file.write('{"source": "half a li')  # as a killed run leaves it
    assert pipeline.work(POINTS, meshes, out, 1, quiet).made == 1
    trimesh.creation.icosphere(2).export(meshes / "box/b.obj")
    assert pipeline.work(POINTS, meshes, out, 1, quiet).made == 1
    finer = MeshToPoints(resolution=65, samples=20_000)
    assert pipeline.work(finer, meshes, out, 1, quiet).made == 3


def test_the_largest_of_each_class_or_of_all(tmp_path, meshes):
    def chosen(count, by_class):
        return [p.name for p in pipeline.largest(meshes, count, by_class)]

    assert chosen(1, True) == ["large.stl", "b.obj"]
    assert chosen(1, False) == ["large.stl"]
    assert chosen(9, True) == ["large.stl", "small.off", "b.obj"]
    pipeline.select_largest(meshes, tmp_path / "out", 1, True, quiet)
    assert (tmp_path / "out/ball/test/large.stl").read_bytes() == (
        meshes / "ball/test/large.stl"
    ).read_bytes()


def test_blocks_of_one_mesh_stay_on_one_side(tmp_path):
    folder = tmp_path / "meshes"
    folder.mkdir()
    for number in range(6):
        trimesh.creation.icosphere(2, radius=1 + number).export(folder / f"m{number}.stl")
    pipeline.work(POINTS, folder, tmp_path / "points", 1, quiet)
    pipeline.work(CUT, tmp_path / "points", tmp_path / "blocks", 1, quiet)
    pipeline.split(tmp_path / "blocks", tmp_path / "out", 0.3, 0, quiet)
    sides = [{name.split("_")[0] for name in files(tmp_path / "out" / side)}
             for side in ("train", "dev")]  # fmt: skip
    assert [len(side) for side in sides] == [4, 2] and not sides[0] & sides[1]


def test_everything_in_one_command(tmp_path, meshes):
    words = ["prepare", str(meshes), "-o", str(tmp_path / "data"), "--resolution", "64",
             "--samples", "20000", "--level", "2", "--min-points", "5", "--json"]  # fmt: skip
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    records = [json.loads(line) for line in result.stdout.splitlines() if line.startswith("{")]
    assert [r["step"] for r in records] == ["mesh-to-points", "blocks", "split"]
    train, dev = files(tmp_path / "data/train"), files(tmp_path / "data/dev")
    assert all("/test/" in name for name in dev) and not any("/test/" in name for name in train)
    assert len(train) + len(dev) == records[-1]["files"] > 10


def test_a_bad_mesh_does_not_stop_the_others(tmp_path, meshes):
    (meshes / "box/bad.off").write_text("nothing")
    result = CliRunner().invoke(
        app, ["prepare", "mesh-to-points", str(meshes), "-o", str(tmp_path / "out")]
    )
    assert result.exit_code == 1
    assert "bad.off" in result.output and "mesh-to-points: 3 files" in result.output


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["select-largest", "FOLDER"], "select-largest 200 FOLDER"),
        (["blocks"], "one folder"),
        (["blocks", "a", "b"], "one folder"),
    ],
)
def test_what_cannot_be_meant_is_a_wrong_usage(tmp_path, words, message):
    result = CliRunner().invoke(app, ["prepare", *words, "-o", str(tmp_path)])
    assert result.exit_code == 2 and message in result.output


def test_folders_that_are_empty_or_missing(tmp_path):
    with pytest.raises(InputError, match="no such folder"):
        pipeline.found(tmp_path / "no", (".ply",))
    with pytest.raises(InputError, match=r"has no \.ply"):
        pipeline.found(tmp_path, (".ply",))
    (tmp_path / manifest.NAME).write_text("nonsense\n{}\n")
    with pytest.raises(InputError, match="line 1"):
        manifest.read(tmp_path)
