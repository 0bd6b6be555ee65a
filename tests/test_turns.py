"""Calls in turn: their order, their errors, and that the caller goes on meanwhile."""

from __future__ import annotations

import threading

import pytest

from pcc_cli.nn.turns import Turns


@pytest.mark.parametrize("beside", [False, True])
def test_calls_come_one_after_the_other(beside):
    done = []
    with Turns(beside) as turns:
        for number in range(200):
            turns.take(lambda number=number: done.append(number))
    assert done == list(range(200))


def test_the_caller_goes_on_meanwhile_but_not_further_than_one_call():
    free, began = threading.Event(), []
    with Turns(beside=True) as turns:
        turns.take(lambda: began.append(1) or free.wait(30))
        assert not free.is_set()  # the call is held, and the caller is here
        free.set()
        turns.take(lambda: began.append(2))
    assert began == [1, 2]


@pytest.mark.parametrize("beside", [False, True])
def test_an_error_reaches_the_caller_and_ends_it(beside):
    def fail():
        raise ValueError("in its turn")

    done = []
    with pytest.raises(ValueError, match="in its turn"), Turns(beside) as turns:
        turns.take(fail)
        turns.take(lambda: done.append(1))
    assert done == []


def test_the_last_error_is_not_lost():
    def fail():
        raise ValueError("last")

    with pytest.raises(ValueError, match="last"), Turns(beside=True) as turns:
        turns.take(fail)
