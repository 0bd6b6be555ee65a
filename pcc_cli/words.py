"""Numbers as people read them; shared by the command line and the pages of evaluations."""

from __future__ import annotations

_PLURALS = {"vertex": "vertices", "mesh": "meshes"}


def size(count: int) -> str:
    """A number of bytes as people read it: 812 B, 1.20 MB, 358 MB."""
    if count < 1000:
        return f"{count} B"
    value = float(count)
    units = iter(("B", "kB", "MB", "GB", "TB"))
    unit = next(units)
    while value >= 999.5 and unit != "TB":
        value, unit = value / 1000, next(units)
    return f"{f'{value:#.3g}'.rstrip('.')} {unit}"


def plural(count: int, noun: str) -> str:
    """'1 point', '1,234 points'."""
    return f"{count:,} {noun if count == 1 else _PLURALS.get(noun, noun + 's')}"
