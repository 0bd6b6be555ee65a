"""Models of the occupancy codec: exported, loaded, refused."""

from __future__ import annotations

import json

import networks
import pytest
import torch
import trees
from safetensors.torch import load_file, save_file

from pcc_cli import weights
from pcc_cli.codecs.occupancy import model as models
from pcc_cli.codecs.occupancy.model import ARCHITECTURE, export, load_model
from pcc_cli.codecs.occupancy.network import NetworkConfig
from pcc_cli.errors import InputError, ModelError
from pcc_cli.exact.layers import BACKENDS, IntegerLayers

CPU = torch.device("cpu")
NAME = "network-of-a-test"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder of models with NAME in it; nothing is remembered."""
    about, tensors = export(networks.CONFIG, networks.floats())
    path = tmp_path / NAME
    path.mkdir()
    (path / "config.json").write_text(json.dumps(about), "utf-8")
    save_file(tensors, path / "weights.safetensors")
    monkeypatch.setattr(weights, "folders", lambda: iter([tmp_path]))
    forget()
    yield path
    forget()


def forget() -> None:
    weights.load.cache_clear()
    load_model.cache_clear()


@pytest.mark.parametrize("backend", [None, *BACKENDS])
def test_an_exported_network_predicts_what_it_did(folder, backend):
    loaded = load_model(NAME, None, CPU, backend)
    assert loaded.config == networks.CONFIG
    tree = trees.tree_of(trees.surface(3))
    expected = networks.steps(IntegerLayers(networks.twins(), CPU), tree)
    found = networks.steps(loaded.layers, tree, loaded.config)
    for (one, state), (other, other_state) in zip(expected, found, strict=True):
        assert torch.equal(torch.stack(one), torch.stack(other))
        assert torch.equal(state, other_state)


def test_the_identity_of_a_model_is_its_bytes(folder):
    loaded = load_model(NAME, None, CPU)
    config, data = (folder / "config.json", folder / "weights.safetensors")
    assert (loaded.id, loaded.sha256) == (
        NAME,
        weights.digest(config.read_bytes(), data.read_bytes()),
    )
    assert load_model(NAME, loaded.sha256, CPU).sha256 == loaded.sha256
    with pytest.raises(ModelError, match="but the installed one has"):
        load_model(NAME, "0" * 64, CPU)


def test_it_is_loaded_once(folder):
    assert load_model(NAME, None, CPU) is load_model(NAME, None, CPU)


@pytest.mark.parametrize(
    "change",
    [
        lambda about: about.update(architecture="occupancy-network.2"),
        lambda about: about.pop("architecture"),
        lambda about: {},
        lambda about: about.pop("network"),
        lambda about: about.update(network=None),
        lambda about: about.update(network=[8, 16, 1]),
        lambda about: about["network"].update(heads=4),
        lambda about: about["network"].update(channels="16"),
        lambda about: about["network"].update(channels=0),
        lambda about: about["network"].update(channels=12),
        lambda about: about["network"].update(channels=24),
        lambda about: about["network"].update(channels=-8),
        lambda about: about["network"].update(hidden=1),
        lambda about: about["network"].update(hidden=None),
        lambda about: about["network"].update(blocks=2),
        lambda about: about["network"].update(blocks=-1),
        lambda about: about["network"].update(blocks=1.0),
    ],
)
def test_other_descriptions_are_refused(folder, change):
    about = json.loads((folder / "config.json").read_text("utf-8"))
    changed = {} if change(about) == {} else about
    (folder / "config.json").write_text(json.dumps(changed), "utf-8")
    with pytest.raises(ModelError) as caught:
        load_model(NAME, None, CPU)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["enter/weight", "stage7.out/bias", "refresh4/shift"])
def test_weights_that_lack_something_are_refused(folder, name):
    tensors = load_file(folder / "weights.safetensors")
    del tensors[name]
    save_file(tensors, folder / "weights.safetensors")
    with pytest.raises(ModelError, match=name):
        load_model(NAME, None, CPU)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("enter/weight", -128),
        ("stage0.window/bias", (1 << 31) - 1),
        ("stage7.out/shift", 0),
        ("stage7.out/shift", 23),
        ("refresh2/multiplier", 0),
        ("block0.first/multiplier", 1 << 20),
    ],
)
def test_weights_beyond_the_bounds_are_refused(folder, name, value):
    tensors = load_file(folder / "weights.safetensors")
    tensors[name].view(-1)[0] = value
    save_file(tensors, folder / "weights.safetensors")
    with pytest.raises(ModelError, match=name.split("/")[0]):
        load_model(NAME, None, CPU)


def test_floats_beyond_the_bounds_are_not_exported():
    layers = networks.floats()
    with torch.no_grad():
        layers.weight_and_bias("stage5.hidden")[1][2] = 1e6
    with pytest.raises(ModelError, match="int32"):
        export(networks.CONFIG, layers)


def test_the_description_says_all_that_is_needed():
    about, tensors = export(networks.CONFIG, networks.floats())
    assert about["architecture"] == ARCHITECTURE == models.ARCHITECTURE
    assert NetworkConfig(**json.loads(json.dumps(about))["network"]) == networks.CONFIG
    assert all(tensor.dtype in (torch.int8, torch.int32) for tensor in tensors.values())


@pytest.mark.parametrize("values", [(0, 64, 2), (12, 64, 2), (32, 1, 2), (32, 64, -1), ("8", 9, 1)])
def test_networks_that_cannot_be(values):
    with pytest.raises(InputError):
        NetworkConfig(*values)
