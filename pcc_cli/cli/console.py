"""What pcc says: results on standard output, talk and progress on standard error."""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from typing import TYPE_CHECKING, Any

from pcc_cli.cli.files import shown
from pcc_cli.errors import PccError
from pcc_cli.locations import reason
from pcc_cli.words import plural, size

if TYPE_CHECKING:
    from rich.progress import Progress as Bars

    from pcc_cli.progress import Progress

# What a shape is made of.
NOUNS = {"points": "point", "mesh": "vertex", "volume": "sample", "meshes": "vertex"}


@dataclass(frozen=True)
class Console:
    """The choices of a user about what is printed."""

    quiet: bool = False
    verbose: bool = False
    debug: bool = False
    json: bool = False

    def say(self, text: str) -> None:
        """One line for the user."""
        if not self.quiet:
            print(text, file=sys.stderr)

    def detail(self, text: str) -> None:
        """A line for users who asked for --verbose."""
        if self.verbose:
            self.say(text)

    def record(self, values: dict[str, Any]) -> None:
        """One line of JSON for programs that asked for it."""
        if self.json:
            print(json.dumps(values), flush=True)

    def fail(self, message: str, error: BaseException) -> None:
        """One line about a failure, which --quiet does not hide."""
        if self.debug:
            traceback.print_exception(error)
        print(f"pcc: {message}", file=sys.stderr)

    @property
    def has_bars(self) -> bool:
        """Whether progress is drawn."""
        return not self.quiet and sys.stderr.isatty()

    @contextmanager
    def bars(self) -> Iterator[Bars | None]:
        """What draws progress, once it is started, on a terminal; None elsewhere."""
        if not self.has_bars:
            yield None
            return
        # Imported here: only terminals need it, and it costs more than all of `pcc --help`.
        from rich.console import Console as Terminal
        from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bars

        terminal = Terminal(stderr=True, soft_wrap=True, highlight=False)
        columns = TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn()
        # Records on the same terminal have to go above the bars.
        shared = sys.stdout is not None and sys.stdout.isatty()
        bars = Bars(*columns, console=terminal, transient=True, redirect_stdout=shared)
        try:
            yield bars
        finally:
            bars.stop()

    @contextmanager
    def progress(self, title: str) -> Iterator[Progress]:
        """A bar on a terminal, nothing elsewhere."""
        with self.bars() as bars:
            if bars is None:
                yield lambda done, label: None
                return
            from rich.markup import escape

            bars.start()
            task = bars.add_task(escape(title), total=1.0)
            yield lambda done, label: bars.update(
                task, completed=done, description=escape(f"{title}: {label}")
            )


def explain(error: BaseException, *files: str) -> str:
    """One line that says what is wrong, where and what to do.

    files : names of those the work was about; a message without any of them begins with the first
    """
    text = _described(error)
    if not files or any(name in text for name in files):
        return text
    return f"{files[0]}: {text}"


def _described(error: BaseException) -> str:
    text = " ".join(str(error).split())
    if isinstance(error, PccError):
        return text
    if isinstance(error, MemoryError):
        return "out of memory; close other programs or split the file"
    if isinstance(error, OSError):
        return f"{error.filename}: {reason(error)}" if error.filename else reason(error)
    return f"internal error ({type(error).__name__}: {text}); please report it with --debug"


def passage(record: dict[str, Any]) -> str:
    """What a file became and how large both are, the beginning of the line about it."""
    source, target = shown(record["input"], "stdin"), shown(record["output"], "stdout")
    return (
        f"{source} -> {target}: {content(record['kind'], record['points'], record['faces'])}, "
        f"{size(record['bytes_in'])} -> {size(record['bytes_out'])}"
    )


def content(kind: str, points: int, faces: int) -> str:
    """What a shape is made of: '1,234 points', or vertices and faces."""
    if kind not in ("mesh", "meshes"):
        return plural(points, NOUNS[kind])
    return f"{plural(points, 'vertex')}, {plural(faces, 'face')}"


def upwards(value: float) -> str:
    """A positive number with three digits, rounded so that the value is not above it."""
    step = Decimal(value).adjusted() - 2
    return f"{float(Decimal(value).quantize(Decimal((0, (1,), step)), ROUND_CEILING)):.3g}"


def remarks(record: dict[str, Any]) -> str:
    """The end of the line about a file: what a user should know beside the numbers."""
    return "".join(f"; {note}" for note in dict.fromkeys(record["notes"]))


def rate(kind: str, bits: float) -> str:
    """A size in bits by the points it stands for."""
    return f"{bits:.{2 if bits >= 1 else 4}f} bits per {NOUNS[kind]}"


def shown_measure(name: str, value: float) -> str:
    """A measure of quality as people call it: d1_psnr_db is 'D1 PSNR 63.21 dB'."""
    shown = {"psnr": "PSNR", "d1": "D1", "d2": "D2", "y": "Y", "yuv": "YUV"}
    words = [shown.get(word, word) for word in name.split("_")]
    unit = f" {words.pop()}".replace("db", "dB") if words[-1] == "db" else ""
    digits = f"{value:.2f}" if unit else f"{value:.4g}"
    return f"{' '.join(words)} {digits}{unit}"
