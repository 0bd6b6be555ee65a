"""Certain bits: trusted as far as the file bears out, and in range whatever comes."""

from __future__ import annotations

import numpy as np
import pytest

from pcc_cli.entropy.logistic import FLOOR, TOTAL
from pcc_cli.tree.certain import BIN_WIDTH, BINS, CertainBits

RNG = np.random.default_rng(27)
RAREST = 262


def test_each_bit_belongs_to_the_nearest_bin():
    logits = np.arange(-2600, 2600)
    bins = CertainBits.bins(logits)
    assert (bins.min(), bins.max()) == (0, BINS - 1)
    inside = np.abs(logits) < BINS // 2 * BIN_WIDTH
    centres = (bins - BINS // 2) * BIN_WIDTH
    assert np.abs(centres - logits)[inside].max() <= BIN_WIDTH // 2


@pytest.mark.parametrize("logit", [-1900, 0, 1900])
def test_trust_has_to_be_earned(logit):
    """A few hundred bits that all agree do; a network's word alone does not."""
    certain, bins = CertainBits(RAREST), CertainBits.bins(np.full(100, logit))
    for seen in range(0, 1000, 100):
        assert certain.are_certain(bins).all() == (1 / (seen + 2) < RAREST / TOTAL)
        certain.learn(bins, np.zeros(100, np.int64))


def test_a_network_that_is_wrong_too_often_loses_its_trust_and_may_win_it_back():
    certain, bins = CertainBits(RAREST), CertainBits.bins(np.full(1000, -1900))
    certain.learn(bins, np.zeros(1000, np.int64))
    assert certain.are_certain(bins).all()
    certain.learn(bins, (RNG.random(1000) < 0.05).astype(np.int64))
    assert not certain.are_certain(bins).any()
    for _ in range(40):
        certain.learn(bins, np.zeros(1000, np.int64))
    assert certain.are_certain(bins).all()


def test_other_log_odds_are_not_touched():
    certain, others = CertainBits(RAREST), np.arange(0, 2000, 40)
    before = certain.probability(certain.bins(others))
    certain.learn(certain.bins(np.full(500, -1900)), np.ones(500, np.int64))
    assert np.array_equal(certain.probability(certain.bins(others)), before)


@pytest.mark.parametrize("bit", [0, 1])
def test_probabilities_stay_in_range(bit):
    certain = CertainBits(RAREST)
    logits = np.array([-(1 << 31), -1900, 0, 1900, (1 << 31) - 1]).repeat(4000)
    for _ in range(20):
        certain.learn(certain.bins(logits), np.full(len(logits), bit))
    probability = certain.probability(certain.bins(logits))
    assert probability.min() >= FLOOR and probability.max() <= TOTAL - FLOOR
    assert (np.abs(probability / TOTAL - bit) < 0.002).all()
