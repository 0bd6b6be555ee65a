"""docs/format-necgs.md is enough to decode a set: `necgs_decoder.py`, made from it."""

from __future__ import annotations

import necgs_decoder
import numpy as np
import pytest
import tiny_models
import torch
from scipy.spatial import cKDTree

from pcc_cli import weights
from pcc_cli.codecs.base import Payload
from pcc_cli.codecs.necgs import network, stream
from pcc_cli.codecs.necgs.codec import MESH, NETWORK, Necgs
from pcc_cli.codecs.necgs.model import load_model
from pcc_cli.codecs.necgs.network import Plan
from pcc_cli.entropy.steps import step_of
from pcc_cli.levelset.solid import Frame

CODE = 112  # of a step of 1/64
PLACE = stream.Place(Frame(np.array([3.0, -1.0, 0.25]), 2.5), True)


def example(plan: Plan, model: stream.ModelName | None) -> tuple[stream.Network, np.ndarray]:
    """A network whose surface is a bumpy one, and features."""
    generator = torch.Generator().manual_seed(4)
    step = step_of(CODE)
    found = {
        name: np.clip(np.rint(weight.numpy() / step), -127, 127).astype(np.int64)
        for name, weight in network.initial(plan, generator).items()
    }
    features = np.random.default_rng(2).integers(-40, 41, (64, 16))
    bells = stream.bells_of(features[None])
    codes = dict.fromkeys(found, CODE)
    return stream.Network(plan, found, codes, CODE, bells, model), features


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    tiny_models.write(tmp_path)
    monkeypatch.setenv("PCC_MODELS", str(tmp_path))
    for cache in (weights.load, load_model):
        cache.cache_clear()
    yield load_model(tiny_models.NECGS, None)
    for cache in (weights.load, load_model):
        cache.cache_clear()


@pytest.mark.parametrize(
    "plan",
    [Plan(16, (6, 5)), Plan(32, (6, 5, 4), 27), Plan(64, (5, 4, 4, 4))],
    ids=lambda plan: f"{plan.side} nodes, {plan.taps} taps",
)
@pytest.mark.parametrize("coded_to_a_model", [False, True])
def test_a_decoder_written_from_the_document_agrees(plan, coded_to_a_model, tiny):
    name = stream.ModelName(tiny.id, tiny.sha256) if coded_to_a_model else None
    there, features = example(plan, name)
    streams = {
        NETWORK: stream.pack_network(there),
        MESH: stream.pack_mesh(there, PLACE, features),
    }
    mesh = Necgs(device="cpu").decode(Payload({}, streams))
    other = necgs_decoder.Network(streams[NETWORK], {(tiny.id, tiny.sha256): tiny.values})
    for matrix, values in there.weights.items():
        assert np.array_equal(other.integers[matrix], values)
    flags, (centre, r), found = other.mesh(streams[MESH])
    assert flags == 1 and np.array_equal(found, features)
    places = np.array(centre) + other.surface(found) * r / 0.9
    assert len(places) == len(mesh.points) > 100
    assert cKDTree(places).query(mesh.points)[0].max() < 1e-4
    assert cKDTree(mesh.points).query(places)[0].max() < 1e-4
