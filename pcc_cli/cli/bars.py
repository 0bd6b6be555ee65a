"""Bars on a terminal: over the files of a batch, and within those that take long."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from pcc_cli.cli.files import Pair, shown

if TYPE_CHECKING:
    from rich.progress import Progress as Bars
    from rich.progress import TaskID

LONG_SECONDS = 1.0  # what a file of a batch has to take for a bar of its own


class FileBars:
    """`watch` and `finished` are told what happens; without `bars` nothing is drawn."""

    def __init__(self, bars: Bars | None, files: int) -> None:
        self._bars = bars
        self._files = files
        self._since: dict[Pair, float] = {}
        self._tasks: dict[Pair, TaskID] = {}
        self._whole: TaskID | None = None
        if bars and files > 1:
            bars.start()
            self._whole = bars.add_task("files", total=files)

    def watch(self, pair: Pair, done: float, label: str) -> None:
        """A part of a file is done."""
        if self._bars is None:
            return
        from rich.markup import escape

        name = shown(pair.source, "standard input")
        since = self._since.setdefault(pair, time.monotonic())
        long = self._files == 1 or time.monotonic() - since > LONG_SECONDS
        if pair not in self._tasks and long:
            self._bars.start()
            self._tasks[pair] = self._bars.add_task(escape(name), total=1.0)
        if pair in self._tasks:
            text = escape(f"{name}: {label}")
            self._bars.update(self._tasks[pair], completed=done, description=text)

    def finished(self, pair: Pair, count: int, failed: int) -> None:
        """A file is done, the `count`-th."""
        if self._bars is None:
            return
        if self._files > 1 and pair in self._tasks:
            self._bars.remove_task(self._tasks[pair])
        if self._whole is not None:
            text = f"{count} of {self._files} files" + (f", {failed} failed" if failed else "")
            self._bars.update(self._whole, completed=count, description=text)
