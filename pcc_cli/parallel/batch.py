"""One task over many items, in this process or in several, where a failure stops only its item.

Each process has a pipe of its own and nothing is shared between them: neither one that dies nor
an interruption at any moment can leave the others waiting for a lock.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection, wait
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
    results are pickled then, and `start` is called once in each process. Processes that still
    work when the iterator is closed are told to end.
    """
    jobs = min(jobs, len(items))
    if jobs > 1:
        return _spread(task, items, jobs, start)
    return ((item, _attempt(task, item)) for item in items)


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
    waiting = list(reversed(items))
    busy: dict[Any, tuple[_Worker, Item]] = {}  # by connection
    try:
        while waiting or busy:
            while waiting and len(busy) < jobs:
                worker, item = _Worker(task, start), waiting.pop()
                busy[worker.give(item)] = worker, item
            for connection in wait(list(busy)):
                worker, item = busy.pop(connection)
                outcome = worker.take()
                if waiting and worker.lives:
                    following = waiting.pop()
                    busy[worker.give(following)] = worker, following
                yield item, outcome
    finally:
        for worker, _ in busy.values():
            worker.process.terminate()
        for worker, _ in busy.values():
            worker.process.join()


class _Worker:
    """A process that works on one item at a time, and ends when its pipe is closed."""

    def __init__(self, task: Callable[[Any], Any], start: Callable[[], None] | None) -> None:
        # spawn: a process forked after torch started its threads can hang.
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs, task, start), daemon=True)
        self.process.start()
        self.lives = True
        theirs.close()  # only the process holds it now, so that its death closes the pipe

    def give(self, item: object) -> Connection:
        """Hands out an item; the outcome can be taken when the connection is ready."""
        with suppress(OSError):  # a dead process: `take` says so
            self.connection.send(item)
        return self.connection

    def take(self) -> Any:
        """The outcome of the item that was given last."""
        try:
            return self.connection.recv()
        except (EOFError, OSError):
            self.lives = False
            return PccError("its process died, perhaps for lack of memory; try fewer --jobs")


def _serve(
    connection: Connection, task: Callable[[Any], Any], start: Callable[[], None] | None
) -> None:
    if start:
        start()
    with suppress(EOFError, BrokenPipeError):
        while True:
            connection.send(_portable(_attempt(task, connection.recv())))


def _portable(outcome: Any) -> Any:
    """`outcome`, or in place of an exception that cannot be pickled one that can."""
    if isinstance(outcome, Exception):
        try:
            pickle.loads(pickle.dumps(outcome))
        except Exception:  # noqa: BLE001  (whatever a foreign class raises)
            return RuntimeError(f"{type(outcome).__name__}: {outcome}")
    return outcome
