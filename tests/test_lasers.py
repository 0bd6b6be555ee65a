"""The lasers of a scanner are found in its scan."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from pcc_cli.evaluation import case
from pcc_cli.evaluation.choices import Choices
from pcc_cli.evaluation.peers import gpcc, lasers
from pcc_cli.formats import ply
from pcc_cli.geometry import Array, PointCloud

TANGENTS = np.linspace(-0.4, 0.05, 16)
HEIGHTS = np.where(TANGENTS < -0.15, 0.12, 0.21)
STEPS = 900


def scan(turns_left: bool = True) -> Array:
    """One laser's turn after another, in millimetres of a metre; some points are missing."""
    rng = np.random.default_rng(8)
    azimuth = 2 * np.pi * np.arange(STEPS) / STEPS + 0.001
    azimuth = azimuth if turns_left else -azimuth
    parts = []
    for tangent, height in zip(TANGENTS[::-1], HEIGHTS[::-1], strict=True):
        radius = rng.uniform(4, 60, STEPS)
        seen = rng.random(STEPS) < 0.9
        turn = [radius * np.cos(azimuth), radius * np.sin(azimuth), radius * tangent + height]
        parts.append(np.stack(turn, axis=1)[seen])
    return np.round(np.concatenate(parts), 3).astype(np.float32)


@pytest.mark.parametrize("turns_left", [True, False])
def test_a_spinning_scanner_is_found(turns_left: bool) -> None:
    found = lasers.find(scan(turns_left), 0.001)
    assert found is not None
    assert found.tangents == pytest.approx(TANGENTS, abs=1e-4)
    assert found.heights == pytest.approx(HEIGHTS, abs=1e-3)
    assert found.steps == STEPS


def test_other_clouds_have_no_lasers() -> None:
    rng = np.random.default_rng(0)
    assert lasers.find(rng.permutation(scan()), 0.001) is None
    assert lasers.find(rng.normal(size=(2000, 3)), 0.001) is None
    assert lasers.find(np.zeros((1, 3)), 0.001) is None
    assert lasers.find(np.zeros((500, 3)), 0.001) is None


def test_gpcc_gets_the_lasers_in_steps_of_each_grid(tmp_path: Path) -> None:
    path = tmp_path / "turn.ply"
    path.write_bytes(ply.write(PointCloud(scan())))
    loaded = case.load(path)
    choices = Choices(rates=(Fraction(1), Fraction(4)))
    found = [each for each in gpcc.settings(loaded, choices) if each.codec == "gpcc"]
    fine, coarse = (each.subject.config()["modes"] for each in found)
    for modes, factor in ((fine, 1), (coarse, 4)):
        options = modes["predgeom angular sort 0"]
        heights = [float(text) for text in options["lasersZ"].split(",")]
        assert heights == pytest.approx(-1000 * HEIGHTS / factor, abs=1)
        head = [int(text) for text in options["lidarHeadPosition"].split(",")]
        assert head == pytest.approx([-axis / factor for axis in loaded.corner], abs=0.5)
        assert options["positionAzimuthSpeed"] == str(round(2**24 / STEPS))
        assert modes["octree angular"]["numLasers"] == "16"
