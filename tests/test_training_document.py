"""docs/training.md lists every setting with its default; the recipes of models are settings."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import asdict
from importlib import import_module
from pathlib import Path

import pytest

from pcc_cli.datasets.packing import MIX
from pcc_cli.errors import InputError
from pcc_cli.training import original
from pcc_cli.training.recipes.occupancy import SHARES
from pcc_cli.training.run import DataConfig, Settings

ROOT = Path(__file__).parent.parent
DOCUMENT = (ROOT / "docs" / "training.md").read_text("utf-8")

toml = import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")


def test_every_setting_stands_in_the_document():
    occupancy, *others = re.findall(r"```toml\n(.*?)```", DOCUMENT, re.DOTALL)
    assert toml.loads(occupancy) == asdict(Settings())
    for codec, text in zip(("deepcompress.1", "necgs.1"), others, strict=True):
        settings = json.loads(json.dumps(asdict(Settings(codec))))  # tuples as lists
        named = {name: settings[name] for name in ("codec", "recipe", "network")}
        assert toml.loads(text) == named


YAML = """
data: {modelnet40_path: here, resolution: 128, block_size: 1.0, min_points: 9, augment: false}
model: {filters: 32, activation: cenic_gdn, conv_type: standard, entropy_model: context}
training:
  {batch_size: 4, epochs: 3, samples: 10, learning_rates: {reconstruction: 1e-4, entropy: 1e-3},
   focal_loss: {alpha: 0.75, gamma: 2.0}, checkpoint_dir: there, mixed_precision: false}
"""


def test_keys_of_the_original_mean_what_the_document_says(tmp_path):
    path = tmp_path / "config.yml"
    path.write_text(YAML)
    found = original.load(path)
    assert (found.data, found.out) == ([Path("here")], Path("there"))
    settings = Settings(original.CODEC).updated(found.settings, "test")
    assert (settings.train.steps, settings.train.batch, settings.train.rate) == (9, 4, 1e-4)
    assert settings.data == DataConfig(10, 0, 128, 64, 9)
    recipe, network = settings.recipe, settings.network
    assert (recipe.alpha, recipe.gamma, recipe.augment) == (0.75, 2.0, False)
    assert recipe.entropy_rate == pytest.approx(10) and not recipe.mixed_precision
    assert (network.filters, network.conv_type) == ((32, 64, 96), "full")
    assert network.activation == "cenic_gdn" and recipe.entropy_models == ("context",)
    path.write_text("resolution: 128\nfilters: [8, 16, 24]\n")
    assert original.load(path).settings["network"]["filters"] == [8, 16, 24]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("resolution: many", "'resolution' must be a whole number, 2 or more, not 'many'"),
        ("model: {filters: 12}", "'filters' must be a multiple of 8"),
        ("model: {entropy_model: magic}", "'entropy_model' must be one of gaussian, hyperprior"),
        ("focal_loss: {alpha: 3}", "'focal_loss.alpha' must be a number, from 0 to 1"),
        ("learning_rates: {all: 1}", "'learning_rates' must be keys reconstruction and entropy"),
        ("augment: 1", "'augment' must be true or false"),
        ("resolutoin: 64", "unknown key 'resolutoin'; known: .*resolution"),
        ("resolution: 64\ndata: {resolution: 32}", "'resolution' stands there twice"),
        ("data: [1, 2]", "'data' must hold keys with values"),
        ("[1, 2", "is not YAML"),
        ("just text", "holds no keys"),
    ],
)
def test_wrong_keys_are_told_by_name(tmp_path, text, message):
    path = tmp_path / "config.yml"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        original.load(path)


@pytest.mark.parametrize("domain", MIX)
def test_shares_stand_in_the_document(domain):
    shares = re.search(rf"^\| `{domain}` \| (\d+) % \| (\d+) % \|", DOCUMENT, re.MULTILINE)
    assert [int(share) for share in shares.groups()] == [
        round(100 * table[domain]) for table in (MIX, SHARES)
    ]


def test_recipes_of_models_are_settings():
    for recipe in (ROOT / "models").glob("*/*.toml"):
        Settings().updated(toml.loads(recipe.read_text("utf-8")), str(recipe))
