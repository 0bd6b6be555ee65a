"""Adaptive counts: against plain Python, exact, and the same whatever the order in a block."""

from __future__ import annotations

import numpy as np
import pytest

from pcc_cli.entropy.counts import BIN_WIDTH, BINS, LIMIT, Calibrations, Tables, quotient
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
            if total[row] >= 2 * LIMIT:
                ones[row], total[row] = ones[row] * LIMIT // total[row], LIMIT
    return [min((o << 16) // t, TOTAL - 1) for o, t in zip(ones, total, strict=True)]


def test_counts_are_those_of_plain_integers():
    """Two tables, that do not disturb each other."""
    sizes, tables = (6, 9), Tables((6, 9), 1, 2)
    blocks = [
        (np.stack([RNG.integers(0, 5, n), RNG.integers(0, 9, n)]), RNG.integers(0, 2, n))
        for n in (1, 7, 256, 2048, 0, 900)
    ]
    for contexts, bits in blocks:
        tables.learn(tables.rows(contexts), bits)
    for table, size in enumerate(sizes):
        expected = plain_counts([(c[table].tolist(), b.tolist()) for c, b in blocks], size)
        rows = np.arange(size) + sum(sizes[:table])
        assert tables.ratios(rows).tolist() == expected
        assert tables.log_odds(rows).tolist() == stretch(np.array(expected)).tolist()


@pytest.mark.parametrize(("ones", "total"), [(1, 2), (2, 4), (1, 8)])
def test_a_new_context_has_the_rate_it_begins_with(ones, total):
    odds = Tables([3], ones, total).log_odds(np.array([2]))
    assert squash(odds)[0] / TOTAL == pytest.approx(ones / total, rel=0.01)


def test_old_bits_are_forgotten():
    tables, row = Tables([1], 1, 2), np.zeros(2048, np.int64)
    tables.learn(row, np.ones(2048, np.int64))
    for _ in range(4):  # the block alone is longer than the memory
        tables.learn(row, np.zeros(2048, np.int64))
    assert squash(tables.log_odds(row[:1]))[0] < TOTAL // 100


def test_without_a_limit_nothing_is_forgotten():
    tables, row = Tables([2], 0, 0, limit=None), np.zeros(2048, np.int64)
    for _ in range(4):
        tables.learn(row, np.ones(2048, np.int64))
    assert [values.tolist() for values in tables.ones_and_totals(np.arange(2))] == [[8192, 0]] * 2


def test_one_kind_of_bit_never_becomes_certain():
    for bit in (0, 1):
        tables = Tables([1], 1, 2)
        for _ in range(300):
            tables.learn(np.zeros(2048, np.int64), np.full(2048, bit))
            (odds,) = tables.log_odds(np.zeros(1, np.int64))
            assert abs(odds) < 4096 and (odds > 0) == bool(bit)


def test_the_order_within_a_block_does_not_matter():
    """Scattering and forgetting give each context one value, however its bits are spread."""
    forward, shuffled = Tables([4], 1, 2), Tables([4], 1, 2)
    curves, curves_shuffled = Calibrations([4]), Calibrations([4])
    for _ in range(12):
        rows, bits = RNG.integers(0, 4, 700), RNG.integers(0, 2, 700)
        logits = RNG.integers(-3000, 3000, 700)
        order = RNG.permutation(700)
        forward.learn(rows, bits)
        shuffled.learn(rows[order], bits[order])
        curves.learn(*curves.place(rows[None], logits), bits)
        curves_shuffled.learn(*curves.place(rows[None, order], logits[order]), bits[order])
    assert np.array_equal(forward._packed, shuffled._packed)
    assert np.array_equal(curves._bins._packed, curves_shuffled._bins._packed)


def test_places_are_two_bins_whose_weights_add_up():
    logits = np.arange(-EDGE - 50, EDGE + 50)
    contexts = np.stack([np.full(len(logits), 2), np.full(len(logits), 1)])
    (lower, upper), (below, above) = Calibrations([3, 2]).place(contexts, logits)
    assert np.array_equal(upper, lower + 1)
    assert (below + above == BIN_WIDTH).all() and above.min() >= 0 and above.max() < BIN_WIDTH
    inside = np.clip(logits, -EDGE, EDGE - 1)
    for table, first in enumerate((2 * BINS, (3 + 1) * BINS)):
        bins = lower[table] - first
        assert bins.min() >= 0 and bins.max() + 1 < BINS
        assert np.array_equal(bins * BIN_WIDTH + above[0] - EDGE, inside)


def test_calibration_begins_as_the_identity():
    logits, curve = np.arange(-EDGE, EDGE), Calibrations([1, 2])
    contexts = np.stack([np.zeros(len(logits), np.int64), np.ones(len(logits), np.int64)])
    odds = curve.log_odds(*curve.place(contexts, logits))
    # Straight lines between the bins, of whole counts: within 0.5 % of the curve.
    assert np.abs(squash(odds) - squash(logits)).max() < 0.005 * TOTAL
    assert (np.diff(odds) >= 0).all()


@pytest.mark.parametrize("truth", [0.02, 0.5, 0.9])
def test_calibration_learns_what_follows_a_value(truth):
    curve, new = Calibrations([3]), Calibrations([3])
    place = curve.place(np.full((1, 1000), 1), np.full(1000, 700))
    for _ in range(10):
        curve.learn(*place, (RNG.random(1000) < truth).astype(np.int64))
    # Of the last block it remembers all in equal parts: 1000 bits, so within 5 deviations.
    limit = 5 * (truth * (1 - truth) / 1000) ** 0.5
    found = squash(curve.log_odds(*place))[0, 0] / TOTAL
    assert found == pytest.approx(truth, abs=limit)
    for context in (0, 1):
        far = curve.place(np.array([[context]]), np.array([-700]))
        assert curve.log_odds(*far) == new.log_odds(*far)


def test_ratios_are_exact():
    """Floats divide, but every quotient is the floor of the true one."""
    total = RNG.integers(1, LIMIT * BIN_WIDTH + 1, 40_000)
    ones = np.minimum(RNG.integers(0, LIMIT * BIN_WIDTH + 1, 40_000), total)
    tables = Tables([40_000], ones, 0)
    tables._packed += total << 32
    expected = [
        min((o << 16) // t, TOTAL - 1) for o, t in zip(ones.tolist(), total.tolist(), strict=True)
    ]
    assert np.array_equal(tables.ratios(np.arange(40_000)), np.array(expected))


def test_quotients_are_exact_next_to_whole_numbers():
    """Where a rounded quotient could reach the integer that the true one just misses."""
    divisors = np.concatenate([RNG.integers(1, 1 << 30, 3000), [1, 2, 3, (1 << 30) - 1]])
    whole = ((1 << 53) - 1) // divisors
    for off in (-1, 0, 1):
        dividends = np.clip(whole * divisors + off, 0, (1 << 53) - 1)
        assert np.array_equal(quotient(dividends, divisors), dividends // divisors)
