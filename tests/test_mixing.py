"""The mixer: exact sums, a solver that is right, and weights that stay in hand whatever comes."""

from __future__ import annotations

import numpy as np
import pytest

from pcc_cli.entropy.logistic import LIMIT, TOTAL, squash
from pcc_cli.entropy.mixing import WEIGHT_BITS, WEIGHT_LIMIT, Mixer, solve

RNG = np.random.default_rng(23)
ONE = 1 << WEIGHT_BITS


def cost(probability, bits) -> float:
    """Bits per bit."""
    chance = np.where(bits == 1, probability, TOTAL - probability) / TOTAL
    return float(-np.log2(chance).mean())


@pytest.mark.parametrize("size", [1, 2, 5, 17])
@pytest.mark.parametrize("condition", [1, 100, 10_000])
def test_solve_against_numpy(size, condition):
    basis, _ = np.linalg.qr(RNG.normal(size=(size, size)))
    spectrum = np.geomspace(1 << 36, (1 << 36) * condition, size)
    matrix = np.rint(basis * spectrum @ basis.T)
    matrix = np.tril(matrix) + np.tril(matrix, -1).T
    truth = RNG.integers(-(1 << 18), 1 << 18, size)
    whole = [[int(value) for value in row] for row in matrix]
    right = [sum(a * int(x) for a, x in zip(row, truth, strict=True)) for row in whole]
    assert np.linalg.solve(matrix, np.array(right, float)) == pytest.approx(truth, abs=0.5)
    # Off by a unit for each rounding, and by what factors of 24 fractional bits make of it.
    limit = 1 + size + 2**-24 * condition * size * np.abs(truth).max()
    assert np.abs(np.array(solve(whole, right)) - truth).max() <= limit


def test_solve_leaves_its_arguments_alone():
    matrix, right = [[4 << 30, 1 << 30], [1 << 30, 3 << 30]], [9 << 30, 5 << 30]
    assert solve(matrix, right) == [2, 1]
    assert (matrix, right) == ([[4 << 30, 1 << 30], [1 << 30, 3 << 30]], [9 << 30, 5 << 30])


def test_a_mix_is_the_rounded_down_weighted_sum():
    weights = tuple(int(w) for w in RNG.integers(-WEIGHT_LIMIT, WEIGHT_LIMIT, 17))
    inputs = RNG.integers(-4095, 4096, (17, 500))
    expected = [
        sum(w * int(x) for w, x in zip(weights, column, strict=True)) >> WEIGHT_BITS
        for column in inputs.T
    ]
    assert Mixer(weights).mix(inputs.astype(float)).tolist() == expected


def trained(inputs, bits, first, block=500):
    """(a mixer that went over everything once, the cost of each block before it was learned)."""
    mixer, costs = Mixer(first), []
    for start in range(0, len(bits), block):
        rows = slice(start, start + block)
        probability = squash(mixer.mix(inputs[:, rows]))
        costs.append(cost(probability, bits[rows]))
        mixer.learn(inputs[:, rows], probability, bits[rows])
    return mixer, costs


def test_weights_find_the_input_that_is_right():
    count = 20_000
    truth = RNG.integers(-900, 900, count)
    bits = (RNG.random(count) < squash(truth) / TOTAL).astype(np.int64)
    noise = RNG.integers(-900, 900, (2, count))
    inputs = np.stack([noise[0], truth, noise[1]]).astype(float)
    mixer, costs = trained(inputs, bits, (0, 0, 0))
    assert np.abs(mixer.weights / ONE - [0, 1, 0]).max() < 0.15
    assert np.mean(costs[-10:]) < cost(squash(truth), bits) + 0.01


def test_overconfident_inputs_are_scaled_down():
    count = 20_000
    truth = RNG.integers(-400, 400, count)
    bits = (RNG.random(count) < squash(truth) / TOTAL).astype(np.int64)
    mixer, _ = trained((3 * truth)[None].astype(float), bits, (ONE,))
    assert mixer.weights[0] / ONE == pytest.approx(1 / 3, abs=0.05)


@pytest.mark.parametrize("bits", ["random", "zeros", "ones", "opposed"])
@pytest.mark.parametrize("inputs", ["limits", "same", "constant", "zero", "random", "one large"])
def test_nothing_that_comes_in_makes_it_diverge(bits, inputs):
    """Inputs at their limits that say nothing, and bits chosen against the mix: they soon cost
    hardly more than one bit each, although one confident error costs fifteen."""
    size, block, costs = 17, 500, []
    mixer = Mixer((0, ONE, -ONE) * 5 + (0, 0))
    for _ in range(60):
        sign = RNG.choice([-1, 1], (size, block))
        values = {
            "limits": sign * 4095,
            "same": np.repeat(sign[:1] * 4095, size, axis=0),
            "constant": np.full((size, block), 4095),
            "zero": np.zeros((size, block)),
            "random": RNG.integers(-4095, 4096, (size, block)),
            "one large": np.where(np.arange(size)[:, None] == 3, sign * 4095, 0),
        }[inputs].astype(float)
        probability = squash(mixer.mix(values))
        coming = {
            "random": RNG.integers(0, 2, block),
            "zeros": np.zeros(block, np.int64),
            "ones": np.ones(block, np.int64),
            "opposed": (probability < TOTAL // 2).astype(np.int64),
        }[bits]
        costs.append(cost(probability, coming))
        mixer.learn(values, probability, coming)
        assert np.abs(mixer.weights).max() <= WEIGHT_LIMIT
        assert mixer.weights.dtype == np.int64
    assert max(costs[30:]) < 1.15


def test_old_blocks_are_forgotten():
    """An input that was right for long and then turns round is followed within a few blocks."""
    truth = RNG.integers(-900, 900, (1, 2048))
    right = (RNG.random(2048) < squash(truth[0]) / TOTAL).astype(np.int64)
    mixer, values = Mixer((0,)), truth.astype(float)
    for bits, blocks in ((right, 400), (1 - right, 30)):
        for _ in range(blocks):
            mixer.learn(values, squash(mixer.mix(values)), bits)
    assert mixer.weights[0] / ONE == pytest.approx(-1, abs=0.2)


def test_random_bits_cost_hardly_more_than_they_must():
    """After a while the mixer trusts nothing, however loud its inputs are."""
    count = 60_000
    inputs = RNG.choice([-LIMIT, LIMIT], (5, count)).astype(float)
    bits = RNG.integers(0, 2, count)
    _, costs = trained(inputs, bits, (ONE,) * 5)
    assert costs[0] > 3
    assert np.mean(costs[-20:]) < 1.02


def test_the_order_within_a_block_does_not_matter():
    inputs = RNG.integers(-4095, 4096, (17, 2048)).astype(float)
    bits = RNG.integers(0, 2, 2048)
    order = RNG.permutation(2048)
    results = []
    for rows in (np.arange(2048), order):
        mixer = Mixer((9000,) * 17)
        for _ in range(3):
            probability = squash(mixer.mix(inputs[:, rows]))
            mixer.learn(inputs[:, rows], probability, bits[rows])
        results.append(mixer.weights)
    assert np.array_equal(*results)


def test_sums_are_those_of_plain_integers():
    """The largest terms there can be, in the largest block, still add up exactly."""
    inputs = np.full((2, 4096), 4095.0)
    inputs[1] = -4095
    probability = np.full(4096, TOTAL // 2)
    mixer = Mixer((0, 0))
    mixer.learn(inputs, probability, np.ones(4096, np.int64))
    # One Newton step by hand: variance 1024, gradient 4095 * 32768, damping as documented.
    curvature = 4096 * 4095 * 4095 * 1024
    matrix = [[curvature + (100 << 28), -curvature], [-curvature, curvature + (100 << 28)]]
    gradient = 4096 * 4095 * (TOTAL // 2) << 20
    assert (
        mixer.weights.tolist()
        == np.clip(solve(matrix, [gradient, -gradient]), -(ONE // 2), ONE // 2).tolist()
    )


def test_an_empty_block_changes_nothing():
    mixer = Mixer((5, 6))
    mixer.learn(np.zeros((2, 0)), np.zeros(0, np.int64), np.zeros(0, np.int64))
    assert mixer.weights.tolist() == [5, 6]
