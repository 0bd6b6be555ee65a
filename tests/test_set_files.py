"""Sets of meshes on the command line: compress, info, decompress, add, remove."""

from __future__ import annotations

import json

import numpy as np
import pytest
import trimesh
from typer.testing import CliRunner

from pcc_cli import api, formats
from pcc_cli.cli.app import app
from pcc_cli.evaluation import rows
from pcc_cli.evaluation.peers import draco
from pcc_cli.geometry import MeshSet

QUICK = ["--codec", "necgs", "--grid", "16", "--effort", "1", "--width", "5"]


def pcc(*argv, code=0):
    done = CliRunner().invoke(app, [str(word) for word in argv])
    assert done.exit_code == code, done.output
    return done


@pytest.fixture(scope="module")
def toys(tmp_path_factory):
    """A folder with two meshes, and a set made of it."""
    folder = tmp_path_factory.mktemp("toys")
    (folder / "small").mkdir()
    trimesh.creation.icosphere(subdivisions=3).export(folder / "ball.ply")
    trimesh.creation.box((1, 2, 1.5)).export(folder / "small" / "box.obj")
    done = pcc("compress", folder, "-r", "-o", folder / "toys.dcz", *QUICK)
    assert "2 meshes, mean error" in done.stderr
    return folder


@pytest.fixture
def copy(toys, tmp_path):
    target = tmp_path / "toys.dcz"
    target.write_bytes((toys / "toys.dcz").read_bytes())
    return target


def test_info_lists_the_meshes(toys):
    text = pcc("info", toys / "toys.dcz").stdout
    assert "bytes, mean error" in text
    assert text.count("ball.ply") == text.count("small/box.obj") == 1
    record = json.loads(pcc("info", "--test", "--json", toys / "toys.dcz").stdout)
    assert record["test"]["passed"]
    assert [mesh["name"] for mesh in record["meshes"]] == ["ball.ply", "small/box.obj"]


def test_a_set_becomes_a_folder(toys, tmp_path):
    pcc("decompress", toys / "toys.dcz", "-o", f"{tmp_path}/out/")
    files = {path.relative_to(tmp_path / "out").as_posix() for path in tmp_path.rglob("*.*")}
    assert files == {"ball.ply", "small/box.obj"}
    wanted = api.decompress((toys / "toys.dcz").read_bytes())
    assert isinstance(wanted, MeshSet)
    found = formats.read((tmp_path / "out" / "ball.ply").read_bytes(), "ball.ply")
    assert np.array_equal(found.points, wanted["ball.ply"].points)
    failed = pcc("decompress", toys / "toys.dcz", "-o", f"{tmp_path}/out/", code=1)
    assert "exists already" in failed.stderr
    pcc("decompress", toys / "toys.dcz", "-o", f"{tmp_path}/out/", "--force", "--format", "off")
    assert (tmp_path / "out" / "small" / "box.off").exists()


def test_one_mesh_becomes_a_file(toys, tmp_path):
    done = pcc("decompress", toys / "toys.dcz", "--only", "ball", "-o", tmp_path / "a.obj")
    assert (tmp_path / "a.obj").read_text("utf-8").startswith("v ")
    assert done.stderr.count("\n") == 1
    pcc("decompress", toys / "toys.dcz", "--only", "small/box", "-o", f"{tmp_path}/")
    assert (tmp_path / "box.obj").exists()
    failed = pcc("decompress", toys / "toys.dcz", "--only", "cat", "-o", tmp_path / "c.obj", code=1)
    assert "no mesh 'cat'; it has ball.ply, small/box.obj" in failed.stderr
    assert not (tmp_path / "c.obj").exists()


def test_add_and_remove(copy, tmp_path):
    trimesh.creation.torus(2.0, 0.9).export(tmp_path / "ring.obj")
    before = copy.read_bytes()
    done = pcc("add", copy, tmp_path / "ring.obj", "--effort", "1")
    assert "ring.obj (mean error" in done.stderr
    again = pcc("add", copy, tmp_path / "ring.obj", "--effort", "1", code=1)
    assert "already" in again.stderr
    pcc("remove", copy, "ring")
    assert copy.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ring.obj", "toys.dcz"]


def test_an_add_that_fails_leaves_the_file(copy, tmp_path):
    before = copy.read_bytes()
    (tmp_path / "bad.obj").write_text("v 0 0 0\n", "utf-8")
    failed = pcc("add", copy, tmp_path / "bad.obj", code=1)
    assert failed.stderr.count("\n") == 1
    trimesh.creation.box().export(tmp_path / "good.obj")
    copy.write_bytes(before[:-40])
    failed = pcc("add", copy, tmp_path / "good.obj", code=1)
    assert failed.stderr.startswith(f"pcc: {copy}: truncated file")
    assert copy.read_bytes() == before[:-40]


def test_what_cannot_be_meant(toys, tmp_path):
    several = [toys / "ball.ply", toys / "small" / "box.obj"]
    assert "needs a name" in pcc("compress", *several, *QUICK, code=2).stderr
    assert "one file" in pcc("compress", toys, "-o", f"{tmp_path}/", *QUICK, code=2).stderr
    np.savetxt(tmp_path / "points.xyz", np.eye(3))
    failed = pcc("compress", tmp_path / "points.xyz", "-o", tmp_path / "p.dcz", *QUICK, code=1)
    assert "holds no mesh" in failed.stderr
    failed = pcc("decompress", toys / "toys.dcz", "--scale", "2", "-o", f"{tmp_path}/x", code=1)
    assert "no region, level, scale or other resolution" in failed.stderr


def test_a_set_is_evaluated_as_one(toys, tmp_path, monkeypatch):
    monkeypatch.setattr(draco, "MESH_BITS", (14,))
    monkeypatch.setattr(draco, "FACES", (600,))
    argv = ["eval", toys / "ball.ply", toys / "small" / "box.obj", *QUICK, "--quality", "20"]
    pcc(*argv, "--against", "draco", "-o", tmp_path / "run", "--json")
    found = {(row.codec, row.setting): row for row in rows.read_rows(tmp_path / "run")}
    ours = found["necgs.1", "quality 20"]
    assert ours.file.endswith("(2 meshes)")
    assert ours.points == len(trimesh.creation.icosphere(subdivisions=3).vertices) + 8
    assert 0 < ours.metrics["set_chamfer"] < 0.1
    near = found["draco", "qp14"]
    assert near.metrics["f1_005"] > max(0.4, ours.metrics["f1_005"])
    assert near.metrics["set_normals"] > ours.metrics["set_normals"]
    assert found["decimation+draco", "600 faces"].bytes < near.bytes


def test_a_set_does_not_become_a_folder_that_is_named_like_a_file(toys, tmp_path):
    target = tmp_path / "toys.obj"
    assert "needs a folder" in pcc("decompress", toys / "toys.dcz", "-o", target, code=1).stderr
    assert not target.exists()
