"""One task over many items, in this process or in several, where a failure stops only its item."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

from pcc_cli.errors import PccError

Item = TypeVar("Item")
Result = TypeVar("Result")


def run(
    task: Callable[[Item], Result],
    items: Sequence[Item],
    jobs: int = 1,
    start: Callable[[], None] | None = None,
) -> Iterator[tuple[Item, Result | Exception]]:
    """Each item with its result, or with the exception that `task` raised, as they are finished.

    With `jobs` above 1 the items are spread over so many processes: `task`, the items and the
    results are pickled then, and `start` is called once in each process.
    """
    jobs = min(jobs, len(items))
    if jobs <= 1:
        return ((item, _attempt(task, item)) for item in items)
    return _spread(task, items, jobs, start)


def _attempt(task: Callable[[Item], Result], item: Item) -> Result | Exception:
    try:
        return task(item)
    except BrokenPipeError:
        raise  # nobody reads the results any more
    except Exception as error:  # noqa: BLE001  (the other items go on; the caller reports it)
        return error


def _spread(
    task: Callable[[Item], Result],
    items: Sequence[Item],
    jobs: int,
    start: Callable[[], None] | None,
) -> Iterator[tuple[Item, Result | Exception]]:
    # More threads than cores cost up to ten times the time: each process gets its share.
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // jobs)))
    # spawn: a process forked after torch started its threads can hang.
    context = multiprocessing.get_context("spawn")
    waiting = list(reversed(items))
    while waiting:
        with ProcessPoolExecutor(jobs, context, initializer=start) as pool:
            try:
                yield from _until_broken(pool, task, waiting, jobs)
            except BaseException:  # interrupted: the processes end their work as this one does
                for process in multiprocessing.active_children():
                    process.terminate()
                raise


def _until_broken(
    pool: ProcessPoolExecutor, task: Callable[[Item], Result], waiting: list[Item], jobs: int
) -> Iterator[tuple[Item, Result | Exception]]:
    """Takes items off `waiting` until it is empty or a process of the pool dies.

    No more than `jobs` items are handed out at a time, so that an interrupted pool has nothing
    queued to go on with.
    """
    running: dict[Future[Result], Item] = {}
    broken = False
    while running or (waiting and not broken):
        while waiting and len(running) < jobs and not broken:
            try:
                running[pool.submit(task, waiting[-1])] = waiting[-1]
                waiting.pop()
            except BrokenProcessPool:
                broken = True
        for future in wait(running, return_when=FIRST_COMPLETED).done:
            broken = broken or isinstance(future.exception(), BrokenProcessPool)
            yield running.pop(future), _outcome(future)


def _outcome(future: Future[Any]) -> Any | Exception:
    error = future.exception()
    if isinstance(error, BrokenProcessPool):
        return PccError("its process died, perhaps for lack of memory; try fewer --jobs")
    if error is not None and not isinstance(error, Exception):
        raise error  # the process was told to end
    return error if error is not None else future.result()
