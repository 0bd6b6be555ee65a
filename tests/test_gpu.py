"""CUDA gives the very bytes that a CPU gives, and reads what a CPU wrote; `pytest -m gpu`."""

from __future__ import annotations

from dataclasses import fields

import contract
import networks
import numpy as np
import pytest
import tiny_models
import torch
import trees

from pcc_cli import api
from pcc_cli.codecs.occupancy import codec as codecs
from pcc_cli.codecs.occupancy import model as models
from pcc_cli.codecs.occupancy.codec import Occupancy
from pcc_cli.errors import DeviceError
from pcc_cli.exact.layers import BACKENDS, IntegerLayers, choose_backend, make_product, self_check
from pcc_cli.geometry import PointCloud
from pcc_cli.training.loop import TrainConfig, train
from pcc_cli.training.recipes.occupancy import OccupancyRecipe, OccupancyTask
from pcc_cli.tree.contexts import Contexts, LevelContexts

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]

CPU, CUDA = torch.device("cpu"), torch.device("cuda")
CLOUDS = trees.clouds() | {"large surface": trees.surface(7)}
VOXELS = {name: contract.voxel_cloud(rows) for name, rows in CLOUDS.items()}
ALL = VOXELS | contract.voxel_cases()
EVERY = pytest.mark.parametrize("backend", BACKENDS)


@pytest.fixture(scope="module", autouse=True)
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("models")
    tiny_models.write(made)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PCC_MODELS", str(made))
        yield made


def codec(device: str) -> Occupancy:
    return Occupancy(tiny_models.OCCUPANCY, device)


@EVERY
@pytest.mark.parametrize("rows", [1, 16, 17, 1000])
@pytest.mark.parametrize(("inputs", "outputs"), [(8, 8), (91, 3), (1080, 32), (1512, 64)])
def test_products_are_exact(backend, rows, inputs, outputs):
    rng = np.random.default_rng(50)
    x = rng.integers(0, 128, (rows, inputs))
    w = rng.integers(-127, 128, (inputs, outputs))
    x[0], w[:, 0], w[:, -1] = 127, 127, -127
    product = make_product(torch.from_numpy(w).to(CUDA, torch.int8), backend)
    out = product(torch.from_numpy(x).to(CUDA, torch.uint8))
    assert np.array_equal(out.cpu().numpy(), x @ w)


@EVERY
def test_every_backend_passes_its_check(backend):
    for inputs in (1, 8, 91, 216, 432, 1080, 1512):
        assert self_check(backend, inputs, CUDA)
    assert choose_backend(networks.twins(), CUDA) in BACKENDS


@EVERY
@pytest.mark.parametrize("cloud", CLOUDS)
def test_every_level_step_is_the_same(backend, cloud):
    tree, twins = trees.tree_of(CLOUDS[cloud]), networks.twins()
    here = networks.steps(IntegerLayers(twins, CPU), tree)
    there = networks.steps(IntegerLayers(twins, CUDA, backend), tree, device="cuda")
    for (logits, state), (cuda_logits, cuda_state) in zip(here, there, strict=True):
        assert torch.equal(torch.stack(logits), torch.stack(cuda_logits).cpu())
        assert torch.equal(state, cuda_state.cpu())


@pytest.mark.parametrize("cloud", CLOUDS)
def test_levels_and_contexts_are_the_same(cloud):
    tree = trees.tree_of(CLOUDS[cloud])
    pairs = zip(trees.levels_of(tree), trees.levels_of(tree, "cuda"), strict=True)
    for (level, codes, parents), (cuda_level, cuda_codes, cuda_parents) in pairs:
        for name in ("table", "parents", "octants", "cells"):
            assert torch.equal(getattr(level, name), getattr(cuda_level, name).cpu())
        here, there = LevelContexts(level, parents), LevelContexts(cuda_level, cuda_parents)
        for stage in range(8):
            one, other = here.at(stage, codes), there.at(stage, cuda_codes)
            for field in fields(Contexts):
                assert torch.equal(getattr(one, field.name), getattr(other, field.name).cpu())


@pytest.mark.parametrize("name", ALL)
def test_the_same_bytes_and_both_read_them(name):
    cloud = ALL[name]
    here, there = codec("cpu").encode(cloud), codec("cuda").encode(cloud)
    assert here == there
    for device in ("cpu", "cuda"):
        assert np.array_equal(codec(device).decode(here).voxels, cloud.voxels)


@EVERY
def test_the_same_bytes_from_every_backend(backend, monkeypatch):
    load_model = models.load_model
    monkeypatch.setattr(
        codecs,
        "load_model",
        lambda model_id, sha256, device: load_model(model_id, sha256, device, backend),
    )
    names = ("large surface", "lidar")
    there = [codec("cuda").encode(VOXELS[name]) for name in names]
    monkeypatch.undo()
    assert there == [codec("cpu").encode(VOXELS[name]) for name in names]


def test_tf32_is_off_where_it_matters():
    """A program may have turned it on; sums above 2**11 would then be wrong."""
    torch.backends.cuda.matmul.allow_tf32 = True
    layers = IntegerLayers(networks.twins(), CUDA, "float32")
    tree = trees.tree_of(CLOUDS["surface"])
    here = networks.steps(IntegerLayers(networks.twins(), CPU), tree)
    there = networks.steps(layers, tree, device="cuda")
    for (logits, _), (cuda_logits, _) in zip(here, there, strict=True):
        assert torch.equal(torch.stack(logits), torch.stack(cuda_logits).cpu())


def test_files_are_the_same():
    cloud = PointCloud(CLOUDS["large surface"].astype(np.float32))
    files = []
    for device in ("cpu", "cuda"):
        options = api.Options(
            codec="occupancy.1",
            device=device,
            fallback=False,
            settings={"model": tiny_models.OCCUPANCY},
        )
        files.append(api.compress(cloud, options))
    assert files[0] == files[1]
    for device in ("cpu", "cuda"):
        assert len(api.decompress(files[0], device=device)) == len(cloud)


def test_auto_takes_cuda_and_comes_back_when_its_memory_is_full(monkeypatch):
    cloud, real = VOXELS["surface"], codecs.encode_tree
    devices = []

    def full(model, *others):
        devices.append(model.layers.device.type)
        if model.layers.device.type == "cuda":
            raise torch.cuda.OutOfMemoryError
        return real(model, *others)

    monkeypatch.setattr(codecs, "encode_tree", full)
    payload = codec("auto").encode(cloud)
    assert devices == ["cuda", "cpu"]
    monkeypatch.undo()
    assert payload == codec("cuda").encode(cloud)


def test_training_steps_on_cuda_as_on_a_cpu(tmp_path):
    """Floats differ in their last bits; the first losses agree within those of bfloat16."""

    class Cloud:
        domain = "mesh"

        def voxels(self):
            return CLOUDS["surface"]

    losses: dict[str, list[float]] = {"cpu": [], "cuda": []}
    for device, found in losses.items():
        torch.manual_seed(51)
        recipe = OccupancyRecipe(nodes=400)
        task = OccupancyTask(networks.CONFIG, recipe, [Cloud()], [], torch.device(device))
        train(
            task,
            TrainConfig(steps=15, warmup=2),
            tmp_path / device,
            report=lambda _, values, found=found: found.append(values["loss"]),
        )
    assert losses["cuda"][:3] == pytest.approx(losses["cpu"][:3], rel=0.02)
    assert losses["cuda"][-1] < losses["cuda"][0]


def test_unknown_devices_are_still_refused():
    with pytest.raises(DeviceError):
        codec("cuda:0").encode(VOXELS["surface"])
