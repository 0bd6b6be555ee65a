"""The probability of a bit: in range on any input, learned from every source, order-free."""

from __future__ import annotations

from dataclasses import replace

import knowns
import numpy as np
import pytest

from pcc_cli.entropy.logistic import FLOOR, TOTAL
from pcc_cli.tree import stage as stages
from pcc_cli.tree.axes import AxisCounts
from pcc_cli.tree.stage import FIRST_WEIGHTS, Known, StageModel

RNG = np.random.default_rng(24)


def cost(model: StageModel, axes: AxisCounts, known: Known, bits: np.ndarray) -> float:
    """Bits per bit of a block, which is then learned."""
    probability = model.predict(model.place(known, axes), axes)
    model.learn(bits, axes)
    return float(-np.log2(np.where(bits, probability, TOTAL - probability) / TOTAL).mean())


def late_cost(stage: int, make, blocks: int = 30) -> float:
    """The cost of the last five of some blocks; `make()` gives (known, bits)."""
    model, axes = StageModel(stage), AxisCounts()
    return float(np.mean([cost(model, axes, *make()) for _ in range(blocks)][-5:]))


@pytest.mark.parametrize("stage", range(8))
def test_any_input_gives_a_probability(stage, monkeypatch):
    """Both ends of every range, most of all: the mixer relies on the limits of its inputs."""
    seen = []
    mix = stages.Mixer.mix
    monkeypatch.setattr(
        stages.Mixer, "mix", lambda self, x, sets: seen.append(x) or mix(self, x, sets)
    )
    model, axes = StageModel(stage), AxisCounts()
    for round_ in range(60):
        for known in (knowns.extremes(stage), knowns.random(RNG, stage, 200, 1 << 20)):
            probability = model.predict(model.place(known, axes), axes)
            assert probability.dtype == np.int64
            assert probability.min() >= FLOOR and probability.max() <= TOTAL - FLOOR
            model.learn(np.full(len(known), round_ // 30), axes)
    inputs = np.concatenate(seen, axis=1)
    assert len(inputs) == len(FIRST_WEIGHTS)
    assert np.abs(inputs).max() <= 4095
    assert np.array_equal(inputs, np.rint(inputs))


def test_it_begins_with_the_calibrated_network():
    """Before anything is learned the network is believed, nearly as it is."""
    known = replace(knowns.random(RNG, 3, 500), logits=RNG.integers(-700, 700, 500))
    model, axes = StageModel(3), AxisCounts()
    probability = model.predict(model.place(known, axes), axes) / TOTAL
    assert probability == pytest.approx(1 / (1 + np.exp(-known.logits / 256)), abs=0.03)


@pytest.mark.parametrize("name", ["touching", "lineage", "sides", "siblings", "cells"])
def test_it_learns_what_each_context_tells(name):
    """A network that knows nothing, and bits that depend on one context alone."""

    def make():
        known = replace(knowns.random(RNG, 4, 2000), logits=np.zeros(2000, np.int32))
        member = getattr(known, name) % 6
        bits = member[:, 0] if member.ndim > 1 else member
        return replace(known, **{name: member}), (bits > 2).astype(np.int64)

    assert late_cost(4, make) < 0.35


def test_mates_count_together():
    """Bits that only two of the three mates before a node give away."""

    def make():
        known = replace(knowns.random(RNG, 4, 2000), logits=np.zeros(2000, np.int32))
        sides = known.sides & 3
        return replace(known, sides=sides), ((sides[:, 0] ^ sides[:, 1]) & 1).astype(np.int64)

    assert late_cost(4, make) < 0.35


def test_a_network_that_is_wrong_is_corrected():
    """Log odds with the wrong sign and three times too large."""

    def make():
        known = knowns.random(RNG, 2, 2000, spread=900)
        chance = 1 / (1 + np.exp(known.logits / 768))
        return known, (RNG.random(2000) < chance).astype(np.int64)

    entropy = np.mean([_entropy(make()[0].logits / 768) for _ in range(5)])
    assert late_cost(2, make) < entropy + 0.04


def test_guesses_that_no_weight_sets_right_are_calibrated():
    """Log odds whose size tells the bit, and whose sign means nothing."""

    def make():
        known = knowns.random(RNG, 2, 2000, spread=900)
        return known, (np.abs(known.logits) > 600).astype(np.int64)

    assert late_cost(2, make) < 0.35


def _entropy(logits: np.ndarray) -> float:
    chance = 1 / (1 + np.exp(-logits))
    return float(-(chance * np.log2(chance) + (1 - chance) * np.log2(1 - chance)).mean())


def test_noise_costs_hardly_more_than_a_bit():
    """Unrelated contexts, loud guesses that mean nothing, random bits."""

    def make():
        return knowns.random(RNG, 6, 2000, spread=2000), RNG.integers(0, 2, 2000)

    assert late_cost(6, make) < 1.05


def test_nodes_with_and_without_known_children_are_weighed_apart():
    """A network that is right for one kind of node and says the opposite for the other."""

    def make():
        known = knowns.random(RNG, 3, 2000, spread=900)
        known = replace(known, siblings=RNG.integers(0, 2, 2000).astype(np.int32))
        signs = np.where(known.siblings > 0, 1, -1)
        chance = 1 / (1 + np.exp(-signs * known.logits / 256))
        return known, (RNG.random(2000) < chance).astype(np.int64)

    entropy = np.mean([_entropy(make()[0].logits / 256) for _ in range(5)])
    assert late_cost(3, make) < entropy + 0.05


def test_the_order_within_a_block_does_not_matter():
    blocks = [(knowns.random(RNG, 5, 900), RNG.integers(0, 2, 900)) for _ in range(6)]
    blocks = [(replace(known, cells=known.cells % 50), bits) for known, bits in blocks]
    probe, answers = knowns.random(RNG, 5, 300), []
    for shuffled in (False, True):
        model, axes = StageModel(5), AxisCounts()
        for known, bits in blocks:
            order = RNG.permutation(900) if shuffled else np.arange(900)
            model.predict(model.place(known[order], axes), axes)
            model.learn(bits[order], axes)
        answers.append(model.predict(model.place(probe, axes), axes))
    assert np.array_equal(*answers)


def test_the_hash_is_that_of_plain_integers():
    """Products go beyond 64 bits, where only the low 32 are kept."""
    values = np.concatenate([RNG.integers(0, 1 << 32, 1000), [0, 1, (1 << 32) - 1]])
    expected = [v * 0x9E3779B1 % (1 << 32) >> (32 - stages.HASH_BITS) for v in values.tolist()]
    assert stages._hash(values).tolist() == expected


def test_rows_of_known():
    known = knowns.random(RNG, 2, 50)
    part = known[np.arange(50) % 7 == 0]
    assert (len(known), len(part)) == (50, 8)
    assert np.array_equal(part.sides, known.sides[::7])
    assert np.array_equal(part.logits, known.logits[::7])
