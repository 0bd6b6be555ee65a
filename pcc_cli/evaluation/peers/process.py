"""Outside programs: found, run without a shell, measured, and their failures told."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path

from pcc_cli.errors import PccError, UnsupportedError

LAUNCHER = Path(__file__).with_name("launcher.py")


@dataclass
class Usage:
    """What programs took: how many ran, their seconds, and the peak of their memory in MiB."""

    programs: int = 0
    seconds: float = 0.0
    mb: float = 0.0

    def add(self, other: Usage) -> None:
        self.programs += other.programs
        self.seconds += other.seconds
        self.mb = max(self.mb, other.mb)


_usage: ContextVar[Usage | None] = ContextVar("usage", default=None)


@contextmanager
def measured() -> Iterator[Usage]:
    """Collects what the programs that `run` runs inside take, instead of the block around it."""
    usage = Usage()
    token = _usage.set(usage)
    try:
        yield usage
    finally:
        _usage.reset(token)


def charge(usage: Usage) -> None:
    """Adds to what the surrounding `measured` collects."""
    outer = _usage.get()
    if outer is not None:
        outer.add(usage)


def find(name: str, option: str, variable: str) -> str:
    """The path of a program: that of `variable`, else the one on PATH.

    UnsupportedError, one line that names the program and how to point at it, when there is none.
    """
    named = os.environ.get(variable)
    found = shutil.which(named or name)
    if found is None:
        where = f"'{named}' ({variable})" if named else f"'{name}' on PATH"
        raise UnsupportedError(f"no program {where}: install it, or name it with {option} PATH")
    return found


def run(argv: Sequence[str], codes: Collection[int] = (0,)) -> str:
    """What the program prints on both its outputs; its time and memory are charged.

    PccError with its last line when it ends with an exit code that is not in `codes`.
    """
    with tempfile.TemporaryDirectory(prefix="pcc-") as folder:
        report = Path(folder) / "usage.json"
        done = subprocess.run(
            [sys.executable, "-I", "-S", str(LAUNCHER), str(report), *argv],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        text = done.stdout.decode("utf-8", "replace")
        if not report.exists():
            raise PccError(f"{argv[0]} could not be run: {last_line(text)}")
        usage = json.loads(report.read_text("utf-8"))
    if usage["code"] not in codes:
        raise PccError(f"{argv[0]} failed with exit code {usage['code']}: {last_line(text)}")
    charge(Usage(1, usage["seconds"], usage["mb"]))
    return text


def last_line(text: str) -> str:
    """The last line that says something, of what a program printed."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "it said nothing"
