"""Counts by coordinate: what they learn from planes and lattices, and what they may read."""

from __future__ import annotations

import itertools

import knowns
import numpy as np
import pytest

from pcc_cli.entropy.logistic import TOTAL, squash
from pcc_cli.tree.axes import SPAN, AxisCounts

RNG = np.random.default_rng(21)


def learned(counts: AxisCounts, cells: np.ndarray, codes: np.ndarray) -> None:
    """Takes in all bits of nodes at `cells` (n, 3) with `codes` (n,)."""
    for stage in range(8):
        siblings = codes & ((1 << stage) - 1)
        counts.learn(stage, counts.places(stage, cells, siblings), codes >> stage & 1)


def hazard(counts: AxisCounts, stage: int, cells: np.ndarray, siblings: np.ndarray) -> np.ndarray:
    """The guess as a probability."""
    places = counts.places(stage, cells, siblings)
    return squash(counts.hazard(stage, places, siblings)) / TOTAL


@pytest.mark.parametrize("stage", range(8))
def test_without_experience_every_child_that_is_left_is_as_likely(stage):
    cells = RNG.integers(0, 1 << 32, (20, 3))
    guess = hazard(AxisCounts(), stage, cells, np.zeros(20, np.int64))
    assert guess == pytest.approx(1 / (8 - stage) if stage < 7 else 1, rel=0.02)


@pytest.mark.parametrize("axis", range(3))
def test_a_plane_is_found_out(axis):
    """Nodes that only ever have children in the lower half on one axis."""
    counts, bit = AxisCounts(), 4 >> axis
    lower = [child for child in range(8) if not child & bit]
    cells = RNG.integers(0, 64, (500, 3))
    cells[:, axis] = 9
    codes = np.zeros(500, np.int64)
    for child in lower:
        codes |= RNG.integers(0, 2, 500) << child
    codes[codes == 0] = 1 << lower[0]
    learned(counts, cells, codes)
    there = np.array([[9, 9, 9]])
    for stage in range(8):
        begun = np.array([1]) if stage else np.array([0])
        guess = hazard(counts, stage, there, begun)
        assert guess < 0.05 if stage & bit else guess > 0.15
        odds = counts.log_odds(counts.places(stage, there, begun))[axis]
        assert (squash(odds)[0] / TOTAL < 0.05) == bool(stage & bit)


def test_a_coordinate_that_was_not_seen_takes_the_mean_of_the_level():
    counts = AxisCounts()
    learned(counts, np.zeros((400, 3), np.int64), np.full(400, 0x0F))  # lower half on x
    elsewhere = np.array([[77, 78, 79]])
    # Only shares of the halves count, and those are even there.
    assert hazard(counts, 0, elsewhere, np.array([0])) == pytest.approx(1 / 8, rel=0.02)


@pytest.mark.parametrize("stage", range(8))
def test_places_tell_the_coordinate_the_half_and_which_halves_have_children(stage):
    counts = AxisCounts()
    cells = RNG.integers(0, 1 << 32, (300, 3))
    siblings = RNG.integers(0, 1 << stage, 300)
    places = counts.places(stage, cells, siblings)
    for axis, row in itertools.product(range(3), range(300)):
        bit = 4 >> axis
        known = [child for child in range(stage) if siblings[row] >> child & 1]
        same = any(child & bit == stage & bit for child in known)
        other = any(child & bit != stage & bit for child in known)
        place = int(cells[row, axis]) % SPAN * 2
        assert places.rates[axis, row] == axis * SPAN * 2 + place
        half = place + (1 if stage & bit else 0)
        assert places.halves[axis, row] == axis * SPAN * 8 + half * 4 + 2 * same + other


def test_the_order_within_a_block_does_not_matter():
    known, bits = knowns.random(RNG, 5, 400), RNG.integers(0, 2, 400)
    order = RNG.permutation(400)
    answers = []
    for rows in (np.arange(400), order):
        counts = AxisCounts()
        cells, siblings = known.cells[rows] % 8, known.siblings[rows].astype(np.int64)
        counts.learn(5, counts.places(5, cells, siblings), bits[rows])
        places = counts.places(5, known.cells % 8, known.siblings.astype(np.int64))
        answers.append([counts.hazard(5, places, known.siblings), *counts.log_odds(places)])
    assert np.array_equal(*answers)


def test_long_levels_stay_in_range():
    counts = AxisCounts()
    zeros = np.zeros((200_000, 3), np.int64)
    for _ in range(4):
        learned(counts, zeros, np.full(len(zeros), 0x80))
    for stage, begun in itertools.product(range(8), (0, 1)):
        guess = hazard(counts, stage, zeros[:1], np.array([begun if stage else 0]))
        assert 0 < guess[0] < 1
