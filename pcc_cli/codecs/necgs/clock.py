"""What a long fit says of itself, and where it is kept so that it can go on."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from pcc_cli.codecs.base import Progress

if TYPE_CHECKING:
    from pcc_cli.codecs.necgs.fit import Fit

TELL_SECONDS = 0.5
SAVE_SECONDS = 60.0


class Clock:
    """Progress from the part `first` to the part `last` of all work; keeps `fit` in a file."""

    def __init__(
        self,
        progress: Progress,
        first: float,
        last: float,
        fit: Fit | None = None,
        checkpoint: str | None = None,
    ) -> None:
        self._progress, self._first, self._share = progress, first, last - first
        self._fit, self._path = fit, Path(checkpoint) if checkpoint else None
        self._started = self._saved = time.monotonic()
        self._told = 0.0
        self._begin = self.done = 0.0

    def go_on(self) -> None:
        """Restores the fit from its file, if there is one."""
        if self._fit is not None and self._path is not None and self._path.exists():
            self._begin = self.done = self._fit.restore(self._path)

    def watch(self, done: float, error: float) -> None:
        """Tells, and saves, now and then."""
        self.done = done
        now = time.monotonic()
        if now - self._told >= TELL_SECONDS:
            self._told = now
            left = (now - self._started) * (1 - done) / max(done - self._begin, 1e-6)
            text = f"off by {error:.3f} of a step, {_spoken(left)} left"
            self._progress(self._first + self._share * done, text)
        if self._path is not None and self._fit is not None and now - self._saved >= SAVE_SECONDS:
            self._saved = now
            self._fit.save(self._path, done)


def _spoken(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds >= 90 else f"{seconds:.0f} s"
