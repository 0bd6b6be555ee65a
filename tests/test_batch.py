"""parallel/batch.py: results, failures and deaths, in one process and in two."""

from __future__ import annotations

import os
import time

import pytest

from pcc_cli.errors import InputError, PccError
from pcc_cli.parallel import batch


class Awkward(Exception):
    """Cannot be unpickled: it wants two arguments and keeps one."""

    def __init__(self, first: str, second: str) -> None:
        super().__init__(first)


def task(item: int) -> int:
    if item == 3:
        raise InputError("three is refused")
    if item == 4:
        raise Awkward("four", "is odd")
    return item * item


def deadly(item: int) -> int:
    if item == 1:
        os._exit(7)
    return item


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_failure_stops_only_its_item(jobs: int) -> None:
    outcomes = dict(batch.run(task, [0, 1, 2, 3, 4, 5], jobs))
    errors = {item: outcomes.pop(item) for item in (3, 4)}
    assert outcomes == {0: 0, 1: 1, 2: 4, 5: 25}
    assert isinstance(errors[3], InputError)
    assert str(errors[3]) == "three is refused"
    assert isinstance(errors[4], Exception)
    assert "four" in str(errors[4])


def test_the_death_of_a_process_costs_one_item() -> None:
    outcomes = dict(batch.run(deadly, [0, 1, 2, 3], 2))
    error = outcomes.pop(1)
    assert outcomes == {0: 0, 2: 2, 3: 3}
    assert isinstance(error, PccError)
    assert "process died" in str(error)


def reporting(item: int, progress: batch.Progress) -> int:
    progress(0.0, "asleep")
    time.sleep(0.3)
    progress(0.5, "awake")
    return item


@pytest.mark.parametrize("jobs", [1, 2])
def test_progress_of_an_item_is_seen(jobs: int) -> None:
    seen = []
    watch = lambda item, done, label: seen.append((item, done, label))  # noqa: E731
    assert sorted(batch.run(reporting, [5, 6], jobs, None, watch)) == [(5, 5), (6, 6)]
    assert {(5, 0.5, "awake"), (6, 0.5, "awake")} <= set(seen)


def threads(item: int) -> str:
    import torch

    return f"{os.environ['OMP_NUM_THREADS']} {torch.get_num_threads()}"


def test_each_process_has_its_share_of_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS")
    outcomes = dict(batch.run(threads, [1, 2], 2))
    share = max(1, len(os.sched_getaffinity(0)) // 2)
    assert outcomes == {1: f"{share} {share}", 2: f"{share} {share}"}
    assert "OMP_NUM_THREADS" not in os.environ


def test_no_items_give_nothing() -> None:
    assert list(batch.run(task, [], 4)) == []


def test_a_closed_iterator_ends_its_processes() -> None:
    outcomes = batch.run(task, list(range(5, 100)), 2)
    next(outcomes)
    outcomes.close()  # type: ignore[attr-defined]
    assert not [p for p in batch.multiprocessing.active_children() if p.is_alive()]
