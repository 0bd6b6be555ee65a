"""Adaptive counts: against plain Python, exact, and the same whatever the order in a block."""

from __future__ import annotations

import numpy as np
import pytest

from pcc_cli.entropy.counts import BIN_WIDTH, BINS, LIMIT, Calibration, Counts
from pcc_cli.entropy.logistic import TOTAL, squash, stretch

RNG = np.random.default_rng(22)
EDGE = BINS // 2 * BIN_WIDTH


def plain_counts(blocks, size: int) -> list[int]:
    """2**16 times the rate of each context, learned one bit after the other."""
    ones, total = [1] * size, [2] * size
    for rows, bits in blocks:
        for row, bit in zip(rows, bits, strict=True):
            ones[row] += bit
            total[row] += 1
        for row in set(rows):
            if total[row] > LIMIT:
                ones[row], total[row] = ones[row] * LIMIT // total[row], LIMIT
    return [min((o << 16) // t, TOTAL - 1) for o, t in zip(ones, total, strict=True)]


def test_counts_are_those_of_plain_integers():
    blocks = [(RNG.integers(0, 5, n), RNG.integers(0, 2, n)) for n in (1, 7, 256, 2048, 0, 900)]
    counts = Counts(6)
    for rows, bits in blocks:
        counts.learn(rows, bits)
    expected = plain_counts([(r.tolist(), b.tolist()) for r, b in blocks], 6)
    assert counts.log_odds(np.arange(6)).tolist() == stretch(np.array(expected)).tolist()


@pytest.mark.parametrize(("ones", "total"), [(1, 2), (2, 4), (1, 8)])
def test_a_new_context_has_the_rate_it_begins_with(ones, total):
    odds = Counts(3, ones, total).log_odds(np.array([2]))
    assert squash(odds)[0] / TOTAL == pytest.approx(ones / total, rel=0.01)


def test_old_bits_are_forgotten():
    counts, row = Counts(1), np.zeros(2048, np.int64)
    counts.learn(row, np.ones(2048, np.int64))
    for _ in range(4):  # the block alone is longer than the memory
        counts.learn(row, np.zeros(2048, np.int64))
    assert squash(counts.log_odds(row[:1]))[0] < TOTAL // 100


def test_one_kind_of_bit_never_becomes_certain():
    for bit in (0, 1):
        counts = Counts(1)
        for _ in range(300):
            counts.learn(np.zeros(2048, np.int64), np.full(2048, bit))
            (odds,) = counts.log_odds(np.zeros(1, np.int64))
            assert abs(odds) < 4096 and (odds > 0) == bool(bit)


def test_the_order_within_a_block_does_not_matter():
    """np.add.at and the forgetting give each context one value, however its bits are spread."""
    forward, shuffled = Counts(4), Counts(4)
    curves, curves_shuffled = Calibration(4), Calibration(4)
    for _ in range(12):
        rows, bits = RNG.integers(0, 4, 700), RNG.integers(0, 2, 700)
        logits = RNG.integers(-3000, 3000, 700)
        order = RNG.permutation(700)
        forward.learn(rows, bits)
        shuffled.learn(rows[order], bits[order])
        curves.learn(rows, Calibration.place(logits), bits)
        curves_shuffled.learn(rows[order], Calibration.place(logits[order]), bits[order])
    for one, other in ((forward, shuffled), (curves, curves_shuffled)):
        assert np.array_equal(one.ones, other.ones)
        assert np.array_equal(one.total, other.total)


def test_places_are_two_bins_whose_weights_add_up():
    logits = np.arange(-EDGE - 50, EDGE + 50)
    lower, upper = Calibration.place(logits)
    assert lower.min() >= 0 and lower.max() + 1 < BINS
    assert upper.min() >= 0 and upper.max() < BIN_WIDTH
    inside = np.clip(logits, -EDGE, EDGE - 1)
    assert np.array_equal(lower * BIN_WIDTH + upper - EDGE, inside)


def test_calibration_begins_as_the_identity():
    logits = np.arange(-EDGE, EDGE)
    odds = Calibration(2).log_odds(np.ones(len(logits), np.int64), Calibration.place(logits))
    # Straight lines between the bins, of whole counts: within 0.5 % of the curve.
    assert np.abs(squash(odds) - squash(logits)).max() < 0.005 * TOTAL
    assert (np.diff(odds) >= 0).all()


@pytest.mark.parametrize("truth", [0.02, 0.5, 0.9])
def test_calibration_learns_what_follows_a_value(truth):
    curve = Calibration(3)
    rows, place = np.full(1000, 1), Calibration.place(np.full(1000, 700))
    for _ in range(10):
        curve.learn(rows, place, (RNG.random(1000) < truth).astype(np.int64))
    # Of the last block it remembers all in equal parts: 1000 bits, so within 5 deviations.
    limit = 5 * (truth * (1 - truth) / 1000) ** 0.5
    found = squash(curve.log_odds(rows[:1], (place[0][:1], place[1][:1])))[0] / TOTAL
    assert found == pytest.approx(truth, abs=limit)
    far = Calibration.place(np.array([-700]))
    assert squash(curve.log_odds(rows[:1], far))[0] == pytest.approx(
        squash(np.array([-700]))[0], rel=0.05
    )
    other = Calibration(3).log_odds(np.zeros(1, np.int64), far)
    assert curve.log_odds(np.zeros(1, np.int64), far) == other


def test_ratios_are_exact():
    """Floats divide, but every quotient is the floor of the true one."""
    counts = Counts(40_000)
    counts.total = RNG.integers(1, LIMIT * BIN_WIDTH + 1, 40_000)
    counts.ones = np.minimum(RNG.integers(0, LIMIT * BIN_WIDTH + 1, 40_000), counts.total)
    expected = [
        min((o << 16) // t, TOTAL - 1)
        for o, t in zip(counts.ones.tolist(), counts.total.tolist(), strict=True)
    ]
    assert np.array_equal(counts.log_odds(np.arange(40_000)), stretch(np.array(expected)))
