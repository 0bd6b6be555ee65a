"""Checkpoints: everything comes back, damage is an InputError, and half a file never appears."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from pcc_cli.errors import InputError
from pcc_cli.training import checkpoint

STATE = {"step": 7, "seconds": 1.5}


def made(seed: int = 1, width: int = 4) -> tuple[nn.Module, torch.optim.Optimizer]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = nn.Sequential(nn.Linear(3, width), nn.Linear(width, 1))
    return model, torch.optim.Adam(model.parameters(), lr=0.1, betas=(0.9, 0.99))


def trained(model: nn.Module, optimizer: torch.optim.Optimizer, steps: int = 3) -> nn.Module:
    for number in range(steps):
        optimizer.zero_grad()
        model(torch.arange(6.0).view(2, 3) + number).square().sum().backward()
        optimizer.step()
    return model


def same(one: nn.Module, other: nn.Module) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


@pytest.fixture
def saved(tmp_path):
    """(path, the model in it and its optimizer)."""
    model, optimizer = made()
    trained(model, optimizer)
    path = tmp_path / "run" / "checkpoint.safetensors"
    checkpoint.save(path, model, optimizer, STATE)
    return path, model, optimizer


def test_training_goes_on_as_if_it_had_not_stopped(saved):
    path, model, optimizer = saved
    other, other_optimizer = made(seed=2)
    assert checkpoint.load(path, other, other_optimizer) == STATE
    assert same(other, model)
    assert same(trained(other, other_optimizer), trained(model, optimizer))


def test_weights_alone(saved):
    path, model, _ = saved
    other, _ = made(seed=2)
    assert checkpoint.load_weights(path, other) == STATE
    assert same(other, model)


def test_a_state_before_the_first_step(tmp_path):
    model, optimizer = made()
    checkpoint.save(tmp_path / "c", model, optimizer, {})
    other, other_optimizer = made(seed=2)
    assert checkpoint.load(tmp_path / "c", other, other_optimizer) == {}
    assert same(trained(other, other_optimizer), trained(model, optimizer))


def test_saving_replaces_and_leaves_nothing_beside(saved):
    path, model, optimizer = saved
    checkpoint.save(path, trained(model, optimizer), optimizer, {"step": 8, "seconds": 2.0})
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]
    other, other_optimizer = made(seed=2)
    assert checkpoint.load(path, other, other_optimizer)["step"] == 8
    assert same(other, model)


def test_a_failure_while_saving_keeps_the_old_file(saved, monkeypatch):
    path, model, optimizer = saved
    before = path.read_bytes()

    def full(tensors, target, metadata):
        target.write_bytes(b"half")
        raise OSError("no space left on device")

    monkeypatch.setattr(checkpoint, "save_file", full)
    with pytest.raises(OSError, match="no space"):
        checkpoint.save(path, model, optimizer, STATE)
    assert path.read_bytes() == before


@pytest.mark.parametrize("data", [b"", b"\0" * 64, b"PK\3\4 no pickle", b"{}", None])
def test_other_files_are_input_errors(saved, data):
    path, model, optimizer = saved
    path.unlink() if data is None else path.write_bytes(data)
    for load in (lambda: checkpoint.load_weights(path, model),
                 lambda: checkpoint.load(path, model, optimizer)):  # fmt: skip
        with pytest.raises(InputError, match=r"checkpoint\.safetensors"):
            load()


def test_truncated_files_are_input_errors(saved):
    path, model, optimizer = saved
    whole = path.read_bytes()
    for length in range(0, len(whole), 41):
        path.write_bytes(whole[:length])
        with pytest.raises(InputError):
            checkpoint.load(path, model, optimizer)


def test_checkpoints_of_another_network_are_input_errors(saved):
    path, _, _ = saved
    with pytest.raises(InputError, match="not a checkpoint of this network"):
        checkpoint.load(path, *made(width=5))


@pytest.mark.parametrize("metadata", [None, {}, {"state": "{"}, {"state": "[]"}, {"other": "{}"}])
def test_files_without_a_state_are_input_errors(saved, metadata):
    path, model, optimizer = saved
    save_file(load_file(path), path, metadata=metadata)
    with pytest.raises(InputError):
        checkpoint.load(path, model, optimizer)


def test_moments_that_do_not_fit_are_input_errors(saved):
    path, model, optimizer = saved
    tensors = load_file(path)
    tensors["optimizer/0.weight/exp_avg"] = torch.zeros(2, 2)
    save_file(tensors, path, metadata={"state": json.dumps(STATE)})
    with pytest.raises(InputError, match="exp_avg"):
        checkpoint.load(path, model, optimizer)


def test_a_bias_is_not_spread_over_a_wider_one(saved):
    """Shapes must be equal; one that could be broadcast is another network's."""
    path, model, optimizer = saved
    tensors = load_file(path)
    tensors["model/0.bias"] = torch.zeros(1)
    save_file(tensors, path, metadata={"state": json.dumps(STATE)})
    with pytest.raises(InputError):
        checkpoint.load(path, model, optimizer)


def test_learning_continues_on_tensors_of_its_own(saved):
    """Nothing that was loaded is tied to the file or to the model that was saved."""
    path, model, _ = saved
    one, one_optimizer = made(seed=2)
    checkpoint.load(path, one, one_optimizer)
    trained(one, one_optimizer)
    other, other_optimizer = made(seed=3)
    checkpoint.load(path, other, other_optimizer)
    assert same(other, model)
    assert same(trained(other, other_optimizer), one)
