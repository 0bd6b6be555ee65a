"""One task over many items, in this process or in several, where a failure stops only its item.

Each process has a pipe of its own and nothing is shared between them: neither one that dies nor
an interruption at any moment can leave the others waiting for a lock.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, NamedTuple, TypeVar

from pcc_cli.errors import PccError
from pcc_cli.progress import Progress

Item = TypeVar("Item")
Result = TypeVar("Result")
Outcomes = Generator[tuple[Item, Result | Exception], None, None]
Watch = Callable[[Any, float, str], None]  # the item, and what its progress says

REPORT_SECONDS = 0.25  # between two words of a process about its progress
PATIENCE_SECONDS = 5.0  # for a process that was told to end, before it is told again
ATTEMPTS = 4  # at telling it, before it is killed


def run(
    task: Callable[..., Result],
    items: Sequence[Item],
    jobs: int = 1,
    start: Callable[[], None] | None = None,
    watch: Watch | None = None,
) -> Outcomes[Item, Result]:
    """Each item with its result, or with the exception that `task` raised, as they are finished.

    With `jobs` above 1 the items are spread over so many processes: `task`, the items and the
    results are pickled then, and `start` is called once in each process. Processes that still
    work when the generator is closed are told to end; they also end when this process dies.

    watch : if given, `task` gets a function for its progress as second argument, and `watch` is
            told of it
    """
    jobs = min(jobs, len(items))
    if jobs > 1:
        return _spread(task, items, jobs, start, watch)
    return ((item, _attempt(task, item, *_here(watch, item))) for item in items)


def _here(watch: Watch | None, item: object) -> list[Progress]:
    return [lambda done, label: watch(item, done, label)] if watch else []


def _attempt(task: Callable[..., Result], item: Any, *progress: Progress) -> Result | Exception:
    try:
        return task(item, *progress)
    except BrokenPipeError:
        raise  # nobody reads the results any more
    except Exception as error:  # noqa: BLE001  (the other items go on; the caller reports it)
        return error


class _Word(NamedTuple):
    """Progress of an item, on its way between processes."""

    done: float
    label: str


def _spread(
    task: Callable[..., Result],
    items: Sequence[Item],
    jobs: int,
    start: Callable[[], None] | None,
    watch: Watch | None,
) -> Outcomes[Item, Result]:
    waiting = list(reversed(items))
    workers: list[_Worker] = []
    busy: dict[Any, tuple[_Worker, Item]] = {}  # by connection
    try:
        with _share_of_threads(jobs):
            while waiting or busy:
                while waiting and len(busy) < jobs:
                    worker, item = _Worker(task, start, watch is not None), waiting.pop()
                    workers.append(worker)
                    busy[worker.give(item)] = worker, item
                for connection in wait(list(busy)):
                    worker, item = busy[connection]
                    outcome = worker.take()
                    if isinstance(outcome, _Word):
                        if watch:
                            watch(item, *outcome)
                        continue
                    del busy[connection]
                    if waiting and worker.lives:
                        following = waiting.pop()
                        busy[worker.give(following)] = worker, following
                    yield item, outcome
    finally:
        _end([worker.process for worker in workers])


def _end(processes: list[BaseProcess]) -> None:
    """Ends `processes`: asked first, since they have something to tidy up, then killed.

    They are asked more than once: a signal becomes an exception, and some C code drops those.
    """
    for _ in range(ATTEMPTS):
        for process in processes:
            process.terminate()
        deadline = time.monotonic() + PATIENCE_SECONDS
        for process in processes:
            process.join(max(0.0, deadline - time.monotonic()))
        processes = [process for process in processes if process.is_alive()]
        if not processes:
            return
    for process in processes:
        process.kill()
        process.join()


@contextmanager
def _share_of_threads(jobs: int) -> Iterator[None]:
    """More threads than cores cost up to ten times the time: each new process gets its share."""
    name = "OMP_NUM_THREADS"
    if name in os.environ:  # the user knows better
        yield
        return
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    os.environ[name] = str(max(1, (cores or 1) // jobs))
    try:
        yield
    finally:
        os.environ.pop(name, None)


class _Worker:
    """A process that works on one item at a time, and ends when its pipe is closed."""

    def __init__(
        self, task: Callable[..., Any], start: Callable[[], None] | None, watched: bool
    ) -> None:
        # spawn: a process forked after torch started its threads can hang.
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.process = context.Process(
            target=_serve, args=(theirs, task, start, watched), daemon=True
        )
        with _deaf_to_interrupts():
            self.process.start()
        self.lives = True
        theirs.close()  # only the process holds it now, so that its death closes the pipe

    def give(self, item: object) -> Connection:
        """Hands out an item; something can be taken when the connection is ready."""
        with suppress(OSError):  # a dead process: `take` says so
            self.connection.send(item)
        return self.connection

    def take(self) -> Any:
        """A _Word about the item that was given last, or its outcome."""
        try:
            return self.connection.recv()
        except (EOFError, OSError):
            self.lives = False
            return PccError("its process died, perhaps for lack of memory; try fewer --jobs")


@contextmanager
def _deaf_to_interrupts() -> Iterator[None]:
    """A process that is started here never hears Ctrl-C: its parent does, and tells it to end.

    Blocked, not ignored: a Ctrl-C that comes just now reaches this process afterwards.
    """
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    resource_tracker.ensure_running()  # to start it later would unblock the signal
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _serve(
    connection: Connection,
    task: Callable[..., Any],
    start: Callable[[], None] | None,
    watched: bool,
) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if start:
        start()
    with suppress(EOFError, BrokenPipeError):
        while True:
            item = connection.recv()
            progress = [_reporter(connection)] if watched else []
            connection.send(_portable(_attempt(task, item, *progress)))


def _end_with_parent() -> None:
    """Tells this process to end, tidily, when its parent is gone, were it by SIGKILL."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os.kill(os.getpid(), signal.SIGTERM)


def _reporter(connection: Connection) -> Progress:
    """Sends what the progress of one item is, unless it just did."""
    last = time.monotonic()

    def report(done: float, label: str) -> None:
        nonlocal last
        if time.monotonic() - last > REPORT_SECONDS:
            last = time.monotonic()
            connection.send(_Word(done, label))

    return report


def _portable(outcome: Any) -> Any:
    """`outcome`, or in place of an exception that cannot be pickled one that can."""
    if isinstance(outcome, Exception):
        try:
            pickle.loads(pickle.dumps(outcome))
        except Exception:  # noqa: BLE001  (whatever a foreign class raises)
            return RuntimeError(f"{type(outcome).__name__}: {outcome}")
    return outcome
