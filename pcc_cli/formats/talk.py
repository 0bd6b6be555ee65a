"""What a reader or a writer has to tell beside its result."""

from __future__ import annotations

from collections.abc import Callable

Note = Callable[[str], None]  # takes a remark for the user: what was guessed, or cannot be held


def silent(text: str) -> None:
    """Nobody wants to know."""


def listed(names: list[str], most: int = 6) -> str:
    """The names as a sentence has them, the last ones counted only."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


Beside = Callable[[str], bytes]  # the bytes of another file in the folder of the one that is read


def alone(name: str) -> bytes:
    """There is no folder, as for a pipe."""
    raise ValueError(f"its samples are in the file '{name}', which cannot be read from here")
