"""How the decoder of necgs is trained: packs of meshes, the loss, a model that sets start from."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
import trimesh
from safetensors.numpy import save_file

import pcc_cli
from pcc_cli import formats, weights
from pcc_cli.codecs.necgs.codec import Necgs
from pcc_cli.codecs.necgs.model import load_model
from pcc_cli.datasets import tensors
from pcc_cli.errors import InputError, ModelError
from pcc_cli.geometry import Mesh, MeshSet
from pcc_cli.training import run
from pcc_cli.training.recipes.necgs import NecgsNetwork, NecgsRecipe, NecgsTask

CPU = torch.device("cpu")
SECTIONS = {
    "codec": "necgs.1",
    "network": {"side": 16, "channels": [6, 5]},
    "recipe": {"tensor_steps": 10, "coarse_steps": 5},
    "train": {"steps": 40, "batch": 2, "rate": 0.02, "warmup": 2, "decay_from": 0.2, "clip": 100.0},
}
MESHES = {
    "ball": trimesh.creation.icosphere(subdivisions=2),
    "box": trimesh.creation.box((1, 2, 1.5)),
    "ring": trimesh.creation.torus(2.0, 0.9),
}


def mesh_of(shape) -> Mesh:
    faces = np.asarray(shape.faces, np.int64)
    return Mesh(np.asarray(shape.vertices), np.full(len(faces), 3, np.int32), faces.ravel())


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("meshes")
    for name, shape in MESHES.items():
        (folder / f"{name}.obj").write_bytes(formats.write(".obj", mesh_of(shape)))
    return folder


@pytest.fixture(scope="module")
def finished(data, tmp_path_factory):
    """The folder of a short run, and the losses of its steps."""
    out, losses = tmp_path_factory.mktemp("runs") / "run", []
    settings = run.Settings().updated(SECTIONS, "test")
    run.start(settings, [data], out, dev=[data], device="cpu",
              stepped=lambda _, values: losses.append(values["loss"]))  # fmt: skip
    return out, losses


@pytest.fixture
def trained(finished, tmp_path, monkeypatch):
    """The id of the model of the run, installed."""
    (tmp_path / "toys").symlink_to(finished[0] / "model")
    monkeypatch.setenv("PCC_MODELS", str(tmp_path))
    for cache in (weights.load, load_model):
        cache.cache_clear()
    yield "toys"
    for cache in (weights.load, load_model):
        cache.cache_clear()


def test_a_pack_gives_the_tensors_back(finished):
    packed = tensors.load_pack(finished[0] / "train.pack")
    assert [one.name for one in packed] == ["ball.obj", "box.obj", "ring.obj"]
    for one in packed:
        side, values = one.field.band.side, one.values
        assert side == 16 and values.shape == (len(one.field.band.nodes), 4)
        assert np.array_equal(values * 128, np.rint(values * 128)) and np.abs(values).max() <= 1


def test_few_meshes_are_taken_evenly(data, tmp_path):
    seen = []
    found = tensors.pack(
        [data], tmp_path / "pack", 16, 0, samples=2, progress=lambda *at: seen.append(at)
    )
    assert found == 2 and seen == [(0, 2), (1, 2)]
    names = [one.name for one in tensors.load_pack(tmp_path / "pack")]
    assert names == ["ball.obj", "ring.obj"]


def test_what_is_no_pack(tmp_path):
    with pytest.raises(InputError, match="no meshes"):
        tensors.pack([tmp_path], tmp_path / "pack", 16, 0, samples=2)
    (tmp_path / "text").write_text("no pack")
    save_file({"a": np.zeros(2)}, tmp_path / "other")
    for name in ("text", "other", "missing"):
        with pytest.raises(InputError, match="is not a pack"):
            tensors.load_pack(tmp_path / name)


def test_training_lowers_the_loss_and_scores_meshes(finished):
    out, losses = finished
    assert np.mean(losses[-5:]) < 0.6 * np.mean(losses[5:10])  # the first 5 see coarse grids alone
    rows = [line.split(",") for line in (out / "log.csv").read_text().splitlines()]
    scores = {row[2]: float(row[3]) for row in rows if row[2].endswith(".obj")}
    assert scores.keys() == {"ball.obj", "box.obj", "ring.obj"}
    assert all(0 < score < 0.5 for score in scores.values())


def test_every_weight_learns_on_the_last_grid(finished):
    packed = tensors.load_pack(finished[0] / "train.pack")
    recipe = NecgsRecipe(coarse_steps=0)
    task = NecgsTask(NecgsNetwork(16, (6, 5)), recipe, packed[:1], [], CPU)
    loss, _ = task.loss(np.random.default_rng(0))
    loss.backward()
    for name, parameter in task.layers.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name


def test_a_set_is_coded_to_a_model(trained):
    """In fewer bytes, or nearer, than without one; on other grids it helps with the first ones."""
    toys = MeshSet({name: mesh_of(shape) for name, shape in MESHES.items()})
    quick = {"grid": 16, "effort": 1}
    own = pcc_cli.compress(toys, codec="necgs", model="none", width=6, **quick)
    known = pcc_cli.compress(toys, codec="necgs", model=trained, **quick)
    assert len(known) < 0.8 * len(own)
    for name, mesh in pcc_cli.decompress(known).items():
        assert np.abs(np.ptp(mesh.points, 0) / np.ptp(toys[name].points, 0) - 1).max() < 0.2
    small = pcc_cli.compress(toys, codec="necgs", model=trained, size=len(known) - 300, **quick)
    assert len(small) <= len(known) - 300


def test_a_file_says_which_model_it_needs(trained, monkeypatch, tmp_path):
    toys = MeshSet({"box.obj": mesh_of(MESHES["box"])})
    known = pcc_cli.compress(toys, codec="necgs", model=trained, grid=16, effort=1)
    monkeypatch.setenv("PCC_MODELS", str(tmp_path / "nowhere"))
    for cache in (weights.load, load_model):
        cache.cache_clear()
    with pytest.raises(ModelError, match="'toys' is not installed"):
        pcc_cli.decompress(known)


def test_a_finer_grid_shares_the_coarse_stages(trained):
    model = load_model(trained, None)
    plan = Necgs(grid=32, model=trained)._plan(1, None, model)
    assert plan.channels[:2] == (6, 5) and len(plan.channels) == 3
    assert set(model.known(plan)) == {
        "base", "stage4", "stage4.offset", "stage8", "stage8.offset", "last.offset",
    }  # fmt: skip


def test_a_damaged_model_is_refused(finished, tmp_path, monkeypatch):
    folder = tmp_path / "toys"
    folder.mkdir()
    source = finished[0] / "model"
    about = json.loads((source / "config.json").read_text())
    about["network"]["channels"] = [7, 5]
    (folder / "config.json").write_text(json.dumps(about))
    (folder / "weights.safetensors").write_bytes((source / "weights.safetensors").read_bytes())
    monkeypatch.setenv("PCC_MODELS", str(tmp_path))
    for cache in (weights.load, load_model):
        cache.cache_clear()
    with pytest.raises(ModelError, match="lacks weights"):
        load_model("toys", None)
