"""The tables of the logistic function: symmetric, monotone, right, and not at anyone's mercy."""

from __future__ import annotations

import decimal
import math
import zlib

import numpy as np

from pcc_cli.entropy import logistic
from pcc_cli.entropy.logistic import FLOOR, LIMIT, LOGIT_UNIT, TOTAL, squash, stretch

SQUASH_CRC, STRETCH_CRC = 0x514AC609, 0xA09657E1

EVERY = np.arange(-LIMIT, LIMIT + 1)


def test_squash_is_the_rounded_logistic_function():
    exact = [TOTAL / (1 + math.exp(-x / LOGIT_UNIT)) for x in EVERY.tolist()]
    inside = np.clip(exact, FLOOR, TOTAL - FLOOR)
    assert np.abs(squash(EVERY) - inside).max() <= 0.5 + 1e-6


def test_squash_is_symmetric_and_rises():
    values = squash(EVERY)
    assert np.array_equal(values + values[::-1], np.full(len(values), TOTAL))
    assert (np.diff(values) >= 0).all()
    assert (values[0], values[LIMIT], values[-1]) == (FLOOR, TOTAL // 2, TOTAL - FLOOR)


def test_log_odds_of_any_size_are_limited():
    far = np.array([-(1 << 62), -LIMIT - 1, LIMIT + 1, 1 << 62])
    assert squash(far).tolist() == [FLOOR, FLOOR, TOTAL - FLOOR, TOTAL - FLOOR]


def test_stretch_is_the_inverse():
    probabilities = np.arange(TOTAL)
    odds = stretch(probabilities)
    assert (np.diff(odds) >= 0).all()
    assert np.abs(odds).max() <= LIMIT
    centres = (probabilities >> 4 << 4) + 8
    # The smallest log odds that reach the centre of 16 probabilities.
    assert (squash(odds) >= centres).all() and (squash(odds - 1) < centres).all()


def test_the_tables_are_those_that_files_were_written_with():
    assert zlib.crc32(logistic.squash_table().astype("<i8").tobytes()) == SQUASH_CRC
    assert zlib.crc32(logistic.stretch_table().astype("<i8").tobytes()) == STRETCH_CRC


def test_the_decimal_settings_of_a_program_do_not_matter():
    genuine = logistic.squash_table()
    coarse = decimal.Context(prec=3, rounding=decimal.ROUND_UP, traps=[decimal.Inexact])
    logistic.squash_table.cache_clear()
    try:
        with decimal.localcontext(coarse):
            assert np.array_equal(logistic.squash_table(), genuine)
    finally:
        logistic.squash_table.cache_clear()
