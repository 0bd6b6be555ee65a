"""Settings of codecs as options of the command line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import pytest
from typer.testing import CliRunner

from pcc_cli import codecs
from pcc_cli.cli import settings as options
from pcc_cli.cli.app import app
from pcc_cli.codecs import settings
from pcc_cli.codecs.base import setting
from pcc_cli.errors import InputError


@dataclass(frozen=True)
class Knobs:
    id: ClassVar[str] = "knobs.1"
    accepts: ClassVar[tuple[type, ...]] = ()

    n_layers: int = setting(8, "how many")
    weight: float | None = setting(None, "how much")
    wide: bool = setting(False, "whether")
    kind: str = setting("a", "which")


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    monkeypatch.setitem(codecs.CODECS, Knobs.id, f"{__name__}:Knobs")


@pytest.mark.parametrize(
    ("words", "found", "rest"),
    [
        ("a.ply --n-layers 3", {"n_layers": "3"}, "a.ply"),
        ("--n-layers=3 a.ply", {"n_layers": "3"}, "a.ply"),
        ("--weight -2 a.ply -o b", {"weight": "-2"}, "a.ply -o b"),
        ("--wide a.ply", {"wide": "true"}, "a.ply"),
        ("--no-wide a.ply", {"wide": "false"}, "a.ply"),
        ("--force a.ply", {}, "--force a.ply"),
        ("--unknown a.ply", {}, "--unknown a.ply"),
        ("--codec plain --n-layers 3 a", {}, "--codec plain --n-layers 3 a"),
        ("--codec plain --level 3 a", {"level": "3"}, "--codec plain a"),
        ("--codec nothing --level 3 a", {}, "--codec nothing --level 3 a"),
    ],
)
def test_options_that_are_settings_are_taken_out(words, found, rest):
    own = {"--force", "--codec", "-o"}
    assert options._taken(words.split(), own) == (found, rest.split())


def test_values_are_of_the_type_of_the_field():
    given = {"n_layers": "3", "weight": "0.5", "wide": "yes", "kind": "b"}
    assert settings.values(Knobs, settings.parsed(Knobs, given)) == {
        "n_layers": 3,
        "weight": 0.5,
        "wide": True,
        "kind": "b",
    }
    assert settings.values(Knobs, {"weight": 1}) == {"weight": 1.0}
    assert settings.values(Knobs, {"weight": None}) == {"weight": None}


@pytest.mark.parametrize(
    ("name", "value"),
    [("n_layers", "2.5"), ("n_layers", True), ("wide", 1), ("wide", "perhaps"), ("weight", "nan")],
)
def test_other_values_are_refused(name, value):
    with pytest.raises(InputError, match=f"--{name.replace('_', '-')} must be"):
        settings.values(Knobs, settings.parsed(Knobs, {name: value}))


def test_an_option_that_no_codec_has_is_wrong_usage():
    done = CliRunner().invoke(app, ["compress", "a.ply", "--fource"])
    assert done.exit_code == 2
    assert "--force" in done.output
