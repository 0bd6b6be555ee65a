"""Signals end the process through an exception, so that nothing half-written stays behind."""

from __future__ import annotations

import math
import signal
import time
from types import FrameType

GRACE_SECONDS = 3.0  # for tidying up, during which a second signal is not heard


def stop_cleanly() -> None:
    """From now on Ctrl-C, SIGTERM and SIGHUP raise SystemExit(128 + number of the signal)."""
    stop = _Stop()
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)  # Windows has no SIGHUP
        # What the parent ignores, as nohup does, stays ignored.
        if number is not None and signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, stop)


class _Stop:
    """The handler. Ctrl-C reaches a process of --jobs twice, the second time from its parent."""

    def __init__(self) -> None:
        self._last = -math.inf

    def __call__(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if now - self._last > GRACE_SECONDS:
            self._last = now
            raise SystemExit(128 + number)
