"""Models: where they are looked for, and that only the very one a file needs is taken."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest
import tiny_models
import torch
from safetensors.torch import save_file

from pcc_cli import weights
from pcc_cli.errors import InputError, ModelError


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty folder of models, the only one; nothing is remembered."""
    weights.load.cache_clear()
    monkeypatch.setattr(weights, "folders", lambda: iter([tmp_path]))
    yield tmp_path
    weights.load.cache_clear()


def put(folder: Path, name: str = "some-model", value: float = 1.0) -> Path:
    path = folder / name
    path.mkdir(parents=True)
    (path / "config.json").write_text(json.dumps({"architecture": "x"}), "utf-8")
    save_file({"a": torch.full((3,), value)}, path / "weights.safetensors")
    return path


def test_a_model_is_its_configuration_and_its_tensors(folder):
    path = put(folder)
    model = weights.load("some-model")
    assert (model.id, model.config) == ("some-model", {"architecture": "x"})
    assert model.tensors["a"].tolist() == [1, 1, 1]
    config, data = ((path / name).read_bytes() for name in ("config.json", "weights.safetensors"))
    expected = hashlib.sha256(len(config).to_bytes(8, "little") + config + data).hexdigest()
    assert model.sha256 == weights.digest(config, data) == expected
    assert weights.require("some-model", expected) is model


def test_the_digest_depends_on_where_the_configuration_ends():
    assert weights.digest(b"ab", b"c") != weights.digest(b"a", b"bc")


def test_folders_in_the_order_of_search(monkeypatch, tmp_path):
    monkeypatch.delenv("PCC_MODELS", raising=False)
    installed, checkout = weights.folders()
    assert installed.name == "_models" and checkout.name == "models"
    assert installed.parent.parent == checkout.parent
    monkeypatch.setenv("PCC_MODELS", str(tmp_path))
    assert list(weights.folders()) == [tmp_path, installed, checkout]


def test_the_first_folder_that_has_it_wins(folder, monkeypatch):
    put(folder / "first", value=1)
    put(folder / "second", value=2)
    put(folder / "second", "other", value=3)
    (folder / "third").mkdir()
    order = ["third", "first", "missing", "second"]
    monkeypatch.setattr(weights, "folders", lambda: (folder / name for name in order))
    assert weights.load("some-model").tensors["a"][0] == 1
    assert weights.load("other").tensors["a"][0] == 3


@pytest.mark.parametrize("name", ["", "../some-model", "a/b", "A", ".hidden", "x" * 65, "a\n", "ä"])
def test_names_that_are_no_ids(name, folder):
    put(folder)
    with pytest.raises(ModelError, match="not a model id"):
        weights.load(name)


def test_a_model_that_is_not_there(folder):
    with pytest.raises(ModelError, match=r"'no-model' is not installed.*PCC_MODELS"):
        weights.load("no-model")


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("weights.safetensors", b""),
        ("weights.safetensors", b"\xff" * 100),
        ("config.json", b""),
        ("config.json", b"{"),
        ("config.json", b"\xff\xfe"),
        ("config.json", b"[1]"),
        ("config.json", b"3"),
        ("config.json", None),
    ],
)
def test_damaged_models_are_refused(name, data, folder):
    path = put(folder) / name
    path.unlink() if data is None else path.write_bytes(data)
    with pytest.raises(ModelError, match="some-model"):
        weights.load("some-model")


def test_truncated_weights_are_refused(folder):
    path = put(folder) / "weights.safetensors"
    whole = path.read_bytes()
    for length in range(0, len(whole), 5):
        path.write_bytes(whole[:length])
        with pytest.raises(ModelError):
            weights.load("some-model")


def test_only_the_model_with_the_digest_will_do(folder):
    put(folder)
    right = weights.load("some-model").sha256
    with pytest.raises(ModelError, match=f"{'0' * 12}.*{right[:12]}") as caught:
        weights.require("some-model", "0" * 64)
    assert "\n" not in str(caught.value)


def test_another_model_of_the_same_name_is_noticed(folder):
    """The same id with other weights, as after an update that should have had a new id."""
    first = put(folder)
    right = weights.load("some-model").sha256
    weights.load.cache_clear()
    shutil.rmtree(first)
    put(folder, value=2)
    with pytest.raises(ModelError):
        weights.require("some-model", right)


@dataclass(frozen=True)
class Config:
    channels: int

    def __post_init__(self) -> None:
        if self.channels < 1:
            raise InputError("no channels")


def test_a_network_is_described_by_its_model(folder):
    about = {"architecture": "x", "network": {"channels": 3}}
    (put(folder) / "config.json").write_text(json.dumps(about), "utf-8")
    model, config = weights.load_network("some-model", None, "x", Config)
    assert config == Config(3) and model is weights.load("some-model")
    assert weights.load_network("some-model", model.sha256, "x", Config) == (model, config)
    with pytest.raises(ModelError, match="sha256"):
        weights.load_network("some-model", "0" * 64, "x", Config)
    with pytest.raises(ModelError, match="architecture 'x', the codec needs 'y'"):
        weights.load_network("some-model", None, "y", Config)


@pytest.mark.parametrize("network", [{}, {"channels": 0}, {"channels": 3, "more": 1}, None])
def test_a_network_without_a_valid_description(folder, network):
    about = {"architecture": "x", "network": network}
    (put(folder) / "config.json").write_text(json.dumps(about), "utf-8")
    with pytest.raises(ModelError, match="no valid description"):
        weights.load_network("some-model", None, "x", Config)


def test_the_tiny_model_of_the_tests_is_always_the_same(tmp_path):
    tiny_models.write(tmp_path / "one")
    tiny_models.write(tmp_path / "two")
    for name in ("config.json", "weights.safetensors"):
        one, two = (tmp_path / n / tiny_models.OCCUPANCY / name for n in ("one", "two"))
        assert one.read_bytes() == two.read_bytes()
