"""Signals end the process through an exception, so that nothing half-written stays behind."""

from __future__ import annotations

import signal
from types import FrameType
from typing import NoReturn


def stop_cleanly() -> None:
    """From now on Ctrl-C, SIGTERM and SIGHUP raise SystemExit(128 + number of the signal)."""
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)  # Windows has no SIGHUP
        # What the parent ignores, as nohup does, stays ignored.
        if number is not None and signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _stop)


def _stop(number: int, frame: FrameType | None) -> NoReturn:
    raise SystemExit(128 + number)
