"""One verb over many files: what is left out, what is said of each, what failed at the end."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any

import typer

from pcc_cli.cli.console import Console, explain, plural
from pcc_cli.cli.files import PIPE, Pair, shown
from pcc_cli.cli.signals import stop_cleanly
from pcc_cli.parallel import batch

Record = dict[str, Any]  # JSON; what --json prints of a file
Say = Callable[[Record], None]
Failure = tuple[str, Exception]


def run(
    console: Console,
    pairs: list[Pair],
    task: Callable[[Pair], Record],
    say: Say,
    jobs: int = 1,
) -> None:
    """Runs `task` on every pair; `say` tells of a success. Raises typer.Exit(1) when one failed."""
    if console.json and any(pair.target == PIPE for pair in pairs):
        raise typer.BadParameter("the result itself goes to standard output", param_hint="--json")
    jobs = 1 if console.debug else jobs  # an error from another process has lost its traceback
    failures: list[Failure] = []
    with console.progress("files", wanted=len(pairs) > 1) as progress:
        for done, (pair, outcome) in enumerate(batch.run(task, pairs, jobs, stop_cleanly), 1):
            if isinstance(outcome, Exception):
                names = shown(pair.source, "standard input"), shown(pair.target, "standard output")
                message = explain(outcome, *filter(None, names))
                failures.append((message, outcome))
                console.record({"input": pair.source, "error": message})
            else:
                console.record(outcome)
                say(outcome)
            progress(done / len(pairs), f"{done} of {len(pairs)}")
    if failures:
        _list(console, failures, len(pairs))
        raise typer.Exit(1)


def unfinished(console: Console, pairs: list[Pair]) -> list[Pair]:
    """The pairs whose target does not exist yet."""
    todo = [pair for pair in pairs if not os.path.exists(pair.target)]
    if len(todo) < len(pairs):
        console.say(f"{plural(len(pairs) - len(todo), 'file')} skipped, done already")
    return todo


def _list(console: Console, failures: list[Failure], files: int) -> None:
    if files > 1:
        print(f"pcc: {len(failures)} of {plural(files, 'file')} failed:", file=sys.stderr)
    for message, error in failures:
        console.fail(message, error)
