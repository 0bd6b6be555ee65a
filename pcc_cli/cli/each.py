"""One verb over many files: what is left out, what is said of each, how it ends."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable
from contextlib import closing
from typing import Any

import typer

from pcc_cli.cli import files
from pcc_cli.cli.bars import FileBars
from pcc_cli.cli.console import Console, explain
from pcc_cli.cli.files import PIPE, ExistsError, Pair, shown
from pcc_cli.cli.signals import stop_cleanly
from pcc_cli.cli.summary import Summary
from pcc_cli.parallel import batch
from pcc_cli.progress import Progress
from pcc_cli.words import plural

Record = dict[str, Any]  # JSON; what --json prints of a file
Task = Callable[[Pair, Progress], Record]
Say = Callable[[Record], None]


def run(
    console: Console,
    pairs: list[Pair],
    task: Task,
    say: Say,
    jobs: int = 1,
    skip_existing: bool = False,
) -> None:
    """Runs `task` on every pair; `say` tells of a success. Raises typer.Exit(1) when one failed."""
    if console.json and any(pair.target == PIPE for pair in pairs):
        raise typer.BadParameter("the result itself goes to standard output", param_hint="--json")
    files.sweep(pairs)
    todo = [pair for pair in pairs if not files.is_done(pair)] if skip_existing else pairs
    if len(todo) < len(pairs):
        console.say(f"{plural(len(pairs) - len(todo), 'file')} skipped, done already")
    _Batch(console, say, skip_existing, len(pairs), len(pairs) - len(todo)).run(todo, task, jobs)


class _Batch:
    """A run over files, and what came of it so far."""

    def __init__(
        self, console: Console, say: Say, skip_existing: bool, files: int, skipped: int
    ) -> None:
        self._console = console
        self._say = say
        self._skip_existing = skip_existing
        self._files = files  # that were asked for
        self._summary = Summary(skipped=skipped)
        self._failures: list[tuple[str, Exception]] = []

    def run(self, pairs: list[Pair], task: Task, jobs: int) -> None:
        started = time.monotonic()
        jobs = 1 if self._console.debug else jobs  # other processes keep their tracebacks
        try:
            with self._console.bars() as drawn:
                bars = FileBars(drawn, len(pairs))
                outcomes = batch.run(task, pairs, jobs, stop_cleanly, bars.watch)
                with closing(outcomes):
                    for count, (pair, outcome) in enumerate(outcomes, 1):
                        self._take(pair, outcome)
                        bars.finished(pair, count, len(self._failures))
        except SystemExit as stop:
            self._tell_of_stop(stop.code)
            raise
        if pairs and self._files > 1 and not self._console.quiet:
            self._summary.print(time.monotonic() - started)
        self._list_failures()

    def _take(self, pair: Pair, outcome: Record | Exception) -> None:
        if isinstance(outcome, ExistsError) and self._skip_existing:
            self._summary.skipped += 1  # another pcc was faster
        elif isinstance(outcome, Exception):
            names = shown(pair.source, "standard input"), shown(pair.target, "standard output")
            message = explain(outcome, *filter(None, names))
            self._failures.append((message, outcome))
            self._summary.failed += 1
            self._console.record({"input": pair.source, "error": message})
        else:
            self._summary.add(outcome)
            self._console.record(outcome)
            self._say(outcome)

    def _tell_of_stop(self, code: object) -> None:
        if self._files < 2 or not isinstance(code, int) or code <= 128:
            return
        done = self._summary.files + self._summary.skipped
        failed = f", {len(self._failures)} failed" if self._failures else ""
        print(
            f"pcc: stopped by {signal.Signals(code - 128).name}: {done} of "
            f"{plural(self._files, 'file')} done{failed}; --skip-existing goes on with the rest",
            file=sys.stderr,
        )

    def _list_failures(self) -> None:
        if not self._failures:
            return
        if self._files > 1:
            count = f"{len(self._failures)} of {plural(self._files, 'file')}"
            print(f"pcc: {count} failed:", file=sys.stderr)
        for message, error in self._failures:
            self._console.fail(message, error)
        raise typer.Exit(1)
