"""How deepcompress is trained: losses that fall, transforms that stay, models that code."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import torch
import trees

from pcc_cli import formats, weights
from pcc_cli.codecs.deepcompress import priors
from pcc_cli.codecs.deepcompress.codec import DeepCompress
from pcc_cli.codecs.deepcompress.model import load_model
from pcc_cli.codecs.deepcompress.network import Analysis, NetworkConfig
from pcc_cli.errors import InputError
from pcc_cli.geometry import PointCloud, VoxelCloud
from pcc_cli.training import run
from pcc_cli.training.export import export_model
from pcc_cli.training.recipes.deepcompress import (
    DeepCompressRecipe,
    DeepCompressTask,
    focal_loss,
    gaussian_bits,
    sight,
)
from pcc_cli.training.run import Settings

CPU = torch.device("cpu")
TINY = NetworkConfig(filters=(8, 8, 16), latents=8, hyper=8, blocks=1, qualities=2)
RECIPE = DeepCompressRecipe(nodes=800, worth=(2.0, 20.0))


@dataclass
class Cloud:
    """A sample for the task."""

    rows: np.ndarray
    domain: str = "mesh"
    name: str = "cloud"

    def voxels(self) -> np.ndarray:
        return self.rows


def task(config=TINY, recipe=RECIPE) -> DeepCompressTask:
    cloud = Cloud(trees.surface(5))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        return DeepCompressTask(config, recipe, [cloud], [cloud], CPU)


def loss_of(made: DeepCompressTask, seed: int) -> float:
    with torch.no_grad():
        return float(np.mean([float(made.loss(np.random.default_rng(seed + i))[0])
                              for i in range(4)]))  # fmt: skip


def test_training_lowers_the_loss():
    made = task()
    made.step = 10**6
    optimizer = torch.optim.Adam(made.layers.parameters(), lr=3e-3)
    before = loss_of(made, 100)
    for seed in range(40):
        optimizer.zero_grad()
        loss, values = made.loss(np.random.default_rng(seed))
        loss.backward()
        optimizer.step()
        assert all(np.isfinite(value) for value in values.values())
    assert loss_of(made, 100) < 0.8 * before


@pytest.mark.parametrize("activation", ["relu", "gdn", "cenic_gdn"])
@pytest.mark.parametrize("conv_type", ["full", "separable"])
def test_integers_are_near_the_rounded_floats(activation, conv_type, tmp_path, monkeypatch):
    name = f"{activation}-{conv_type}".replace("_", "-")  # weights are cached by name
    made = task(NetworkConfig(filters=(8, 8, 16), latents=8, hyper=8, activation=activation,
                              conv_type=conv_type, qualities=2))  # fmt: skip
    made.layers.quantized = True
    config, tensors = made.export()
    export_model(tmp_path / name, config, tensors, "a card")
    monkeypatch.setenv("PCC_MODELS", str(tmp_path))
    model = load_model(name, None, None, CPU)
    seen = sight(trees.surface(5), CPU)
    with torch.no_grad():
        floats, _ = Analysis(made.config, made.layers.layers).latents(
            seen.levels[1:], seen.codes[-1]
        )
    whole, _ = Analysis(model.config, model.layers).latents(seen.levels[1:], seen.codes[-1])
    assert (256 * floats - whole).abs().mean() < 0.05 * 256 * floats.std()
    cloud = VoxelCloud(trees.surface(5))
    codec = DeepCompress(model=name, device="cpu", quality=90)
    assert len(codec.decode(codec.encode(cloud)))


def test_two_runs_make_six_models_for_the_same_transforms(tmp_path, monkeypatch):
    """What docs/training.md says: one run for the transforms, one for the entropy models."""
    data = tmp_path / "data"
    data.mkdir()
    cloud = PointCloud(trees.surface(5).astype(np.float32))
    (data / "cloud.ply").write_bytes(formats.write(".ply", cloud))
    sections = {
        "data": {"samples": 1},
        "recipe": {"nodes": 500, "worth": [2, 20], "rate_from": 0},
        "network": {"filters": [8, 8, 16], "latents": 8, "hyper": 8, "qualities": 2},
        "train": {"steps": 2, "warmup": 1, "patience": 1},
    }
    first = Settings("deepcompress.1").updated(sections, "test")
    run.start(first, [data], tmp_path / "first", dev=[data], device="cpu")
    second = first.updated(
        {"recipe": {"transforms": str(tmp_path / "first"), "entropy_models": list(priors.PRIORS)}},
        "test",
    )
    run.start(second, [data], tmp_path / "second", device="cpu")
    monkeypatch.setenv("PCC_MODELS", str(tmp_path / "first"))
    shape = VoxelCloud(trees.surface(5))
    known = DeepCompress(model="model", device="cpu").encode(shape)
    monkeypatch.setenv("PCC_MODELS", str(tmp_path / "second"))
    load_model.cache_clear()
    weights.load.cache_clear()
    decoded = []
    for name in priors.PRIORS:
        codec = DeepCompress(model="model", device="cpu", entropy_model=name)
        payload = codec.encode(shape)
        assert payload.meta["entropy_model"] == name
        decoded.append(codec.decode(payload).voxels)
    assert known.meta["cells"] > 0 and all(len(voxels) for voxels in decoded)


def test_focal_loss_is_half_the_cross_entropy_where_nothing_is_weighed():
    logits, targets = torch.tensor([0.3, -2.0, 4.0]), torch.tensor([1.0, 0.0, 0.0])
    entropy = torch.nn.functional.binary_cross_entropy_with_logits(logits, targets)
    bits = 3 * float(entropy) / np.log(2)
    assert float(focal_loss(logits, targets, 0.5, 0.0)) == pytest.approx(bits / 2)
    certain = focal_loss(torch.tensor([5.0]), torch.ones(1), 0.5, 2.0)
    assert float(certain) < 1e-4 * float(focal_loss(torch.tensor([5.0]), torch.ones(1), 0.5, 0.0))


def test_gaussian_bits_are_those_of_the_normal_distribution():
    values, mean, log_scale = torch.tensor([0.0, 1.0, 400.0]), torch.zeros(3), torch.zeros(3)
    first = float(gaussian_bits(values[:1], mean[:1], log_scale[:1]))
    assert first == pytest.approx(-np.log2(0.38292492), rel=1e-5)
    far = values.clone().requires_grad_()
    gaussian_bits(far, mean, log_scale).backward()
    assert torch.isfinite(far.grad).all() and far.grad[2] > 0


def test_settings_that_do_not_fit_are_refused():
    with pytest.raises(InputError, match="worth needs a number for each of 2"):
        task(recipe=DeepCompressRecipe(worth=(1.0,)))
    with pytest.raises(InputError, match="multiples of 8"):
        NetworkConfig(filters=(8, 9, 16))
    with pytest.raises(InputError, match="conv_type"):
        NetworkConfig(conv_type="round")
