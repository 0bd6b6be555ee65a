"""The mixer: exact sums, a solver that is right, and weights that stay in hand whatever comes."""

from __future__ import annotations

import numpy as np
import occupancy_decoder
import pytest

from pcc_cli.entropy.logistic import LIMIT, TOTAL, squash
from pcc_cli.entropy.mixing import WEIGHT_BITS, WEIGHT_LIMIT, Mixer, solve

RNG = np.random.default_rng(23)
SYSTEMS = np.random.default_rng(26)
ONE = 1 << WEIGHT_BITS


def cost(probability, bits) -> float:
    """Bits per bit."""
    chance = np.where(bits == 1, probability, TOTAL - probability) / TOTAL
    return float(-np.log2(chance).mean())


class OneSet(Mixer):
    """A mixer of one set of weights."""

    def __init__(self, first) -> None:
        super().__init__(1, first)

    @property
    def weights(self):
        return self._weights[0]

    def mix(self, inputs):
        return super().mix(inputs, np.zeros(inputs.shape[1], np.int64))

    def learn(self, inputs, probability, bits):
        super().learn(inputs, np.zeros(len(bits), np.int64), probability, bits)


@pytest.mark.parametrize("size", [1, 2, 5, 17])
@pytest.mark.parametrize("condition", [1, 100, 10_000])
def test_solve_against_known_answers(size, condition):
    basis, _ = np.linalg.qr(SYSTEMS.normal(size=(3, size, size)))
    spectrum = np.geomspace(1 << 36, (1 << 36) * condition, size)
    matrix = np.rint(basis * spectrum @ basis.transpose(0, 2, 1))
    matrix = np.tril(matrix) + np.tril(matrix, -1).transpose(0, 2, 1)
    truth = SYSTEMS.integers(-(1 << 18), 1 << 18, (3, size))
    right = (matrix @ truth[:, :, None])[:, :, 0]
    assert solve(matrix, right) == pytest.approx(truth, abs=0.01)


def test_solve_is_plain_double_arithmetic():
    """Python's floats are doubles too, and round each operation by itself: the same bits."""
    rows = SYSTEMS.normal(size=(2, 17, 40)) * 4095
    matrix, right = (
        np.rint(rows @ rows.transpose(0, 2, 1)),
        np.rint(SYSTEMS.normal(size=(2, 17)) * 1e9),
    )
    expected = [
        occupancy_decoder.solve(*pair) for pair in zip(matrix.tolist(), right.tolist(), strict=True)
    ]
    assert solve(matrix, right).tolist() == expected


def test_solve_leaves_its_arguments_alone():
    matrix, right = np.array([[[4.0, 1.0], [1.0, 3.0]]]), np.array([[9.0, 5.0]])
    assert solve(matrix, right) == pytest.approx(np.array([[2.0, 1.0]]))
    assert (matrix.tolist(), right.tolist()) == ([[[4, 1], [1, 3]]], [[9, 5]])


def test_sets_of_weights_are_apart():
    """Each learns from its own bits, as if the other were not there."""
    inputs = SYSTEMS.integers(-2000, 2000, (3, 1500)).astype(float)
    bits, sets = SYSTEMS.integers(0, 2, 1500), SYSTEMS.integers(0, 2, 1500)
    first = (ONE, 0, 9000)
    both, alone = Mixer(2, first), [OneSet(first), OneSet(first)]
    for _ in range(4):
        probability = squash(both.mix(inputs, sets))
        both.learn(inputs, sets, probability, bits)
        for number, mixer in enumerate(alone):
            own = np.ascontiguousarray(inputs[:, sets == number])
            assert np.array_equal(squash(mixer.mix(own)), probability[sets == number])
            mixer.learn(own, probability[sets == number], bits[sets == number])


def test_a_mix_is_the_rounded_down_weighted_sum():
    weights = tuple(int(w) for w in RNG.integers(-WEIGHT_LIMIT, WEIGHT_LIMIT, 17))
    inputs = RNG.integers(-4095, 4096, (17, 500))
    expected = [
        sum(w * int(x) for w, x in zip(weights, column, strict=True)) >> WEIGHT_BITS
        for column in inputs.T
    ]
    assert OneSet(weights).mix(inputs.astype(float)).tolist() == expected


def trained(inputs, bits, first, block=500):
    """(a mixer that went over everything once, the cost of each block before it was learned)."""
    mixer, costs = OneSet(first), []
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
    mixer = OneSet((0, ONE, -ONE) * 5 + (0, 0))
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
    mixer, values = OneSet((0,)), truth.astype(float)
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
        mixer = OneSet((9000,) * 17)
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
    mixer = OneSet((0, 0))
    mixer.learn(inputs, probability, np.ones(4096, np.int64))
    # One Newton step by hand: variance 1024, gradient 4095 * 32768, damping as documented.
    curvature = 4096 * 4095 * 4095 * 1024
    matrix = [[curvature + (100 << 28), -curvature], [-curvature, curvature + (100 << 28)]]
    gradient = 4096 * 4095 * (TOTAL // 2) << 20
    step = np.linalg.solve(np.array(matrix, float), [gradient, -gradient])
    assert mixer.weights.tolist() == np.floor(step).tolist() == [4096, -4097]
    assert mixer._curvature[0].tolist() == [[curvature, -curvature], [-curvature, curvature]]


def test_an_empty_block_changes_nothing():
    mixer = OneSet((5, 6))
    mixer.learn(np.zeros((2, 0)), np.zeros(0, np.int64), np.zeros(0, np.int64))
    assert mixer.weights.tolist() == [5, 6]
