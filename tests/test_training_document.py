"""docs/training.md lists every setting with its default; the recipes of models are settings."""

from __future__ import annotations

import re
import sys
from dataclasses import asdict
from importlib import import_module
from pathlib import Path

import pytest

from pcc_cli.datasets.packing import MIX
from pcc_cli.training.recipes.occupancy import SHARES
from pcc_cli.training.run import Settings

ROOT = Path(__file__).parent.parent
DOCUMENT = (ROOT / "docs" / "training.md").read_text("utf-8")

toml = import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")


def test_every_setting_stands_in_the_document():
    (block,) = re.findall(r"```toml\n(.*?)```", DOCUMENT, re.DOTALL)
    assert toml.loads(block) == asdict(Settings())


@pytest.mark.parametrize("domain", MIX)
def test_shares_stand_in_the_document(domain):
    shares = re.search(rf"^\| `{domain}` \| (\d+) % \| (\d+) % \|", DOCUMENT, re.MULTILINE)
    assert [int(share) for share in shares.groups()] == [
        round(100 * table[domain]) for table in (MIX, SHARES)
    ]


def test_recipes_of_models_are_settings():
    for recipe in (ROOT / "models").glob("*/recipe.toml"):
        Settings().updated(toml.loads(recipe.read_text("utf-8")), str(recipe))
