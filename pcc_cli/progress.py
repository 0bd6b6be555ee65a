"""How long work says how far it is."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[float, str], None]  # part of the work that is done (0 to 1), what is next


def silent(done: float, label: str) -> None:
    """No progress is shown."""
