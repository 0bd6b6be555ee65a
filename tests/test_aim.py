"""Qualities that meet a target."""

from __future__ import annotations

import math

import pytest

from pcc_cli.errors import InputError
from pcc_cli.spine import aim


def search(target, wanted, measure):
    tried = []

    def counted(quality):
        tried.append(quality)
        return measure(quality)

    quality = aim.quality_for(target, wanted, counted)
    return measure(quality), len(tried)


CURVES = {
    "straight": lambda quality: 0.001 * math.exp(quality / 15),
    "bent": lambda quality: 0.01 + (quality / 100) ** 8,
    "stairs": lambda quality: 0.01 * math.ceil(quality / 2) ** 2,
}


@pytest.mark.parametrize("name", CURVES)
@pytest.mark.parametrize("wanted", [0.05, 0.3, 0.7])
def test_bits_are_met(name, wanted):
    if name == "stairs":
        wanted = 0.01 * round((wanted * 100) ** 0.5) ** 2
    found, trials = search("bpp", wanted, CURVES[name])
    assert found == pytest.approx(wanted, rel=0.02)
    assert trials <= 2 + aim.TRIALS


@pytest.mark.parametrize("wanted", [41.0, 60.0, 79.9, 90.0])
def test_decibels_are_met_though_the_end_is_infinite(wanted):
    def psnr(quality):
        return math.inf if quality == 100 else 40 + 0.5 * quality + 2 * math.sin(quality / 9)

    found, trials = search("psnr", wanted, psnr)
    if wanted < 90:
        assert found == pytest.approx(wanted, abs=0.1)
    assert trials <= 2 + aim.TRIALS


def test_a_jump_gives_what_is_nearest():
    found, _ = search("psnr", 58.0, lambda quality: 40.0 if quality < 30 else 60.0)
    assert found == 60.0


@pytest.mark.parametrize("wanted", [0.0001, 99.0, -1.0, math.nan])
def test_what_no_quality_gives_is_refused(wanted):
    with pytest.raises(InputError, match="--bpp"):
        aim.quality_for("bpp", wanted, CURVES["straight"])
