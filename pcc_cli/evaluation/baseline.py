"""Is a run worse than an earlier one? For CI: sizes, errors, losses, and on request times."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from pcc_cli.evaluation.rows import Row


def regressions(
    rows: Sequence[Row],
    baseline: Sequence[Row],
    threshold: float,
    time_threshold: float | None = None,
) -> list[str]:
    """One line for each row that is worse than its like in `baseline`, [] when none is.

    Rows are alike in file content, codec and setting; those that only one run has do not count.

    threshold : percent by which a size, or a mean squared error, may grow
    time_threshold : percent by which a time or a peak of memory may grow; None: they do not count
    """
    before = {_place(row): row for row in baseline if not row.skipped}
    found = []
    for row in rows:
        old = before.get(_place(row))
        if old is not None:
            what = f"{row.file}, {row.codec}, {row.setting}"
            found += [f"{what}: {text}" for text in _worse(row, old, threshold, time_threshold)]
    return found


def _place(row: Row) -> tuple[str, str, str]:
    return row.sha256, row.codec, row.setting


def _worse(row: Row, old: Row, threshold: float, time_threshold: float | None) -> Iterator[str]:
    if row.skipped:
        yield f"skipped: {row.skipped}"
        return
    if old.lossless and not row.lossless:
        yield "was lossless"
    yield from _grown("bytes", row.bytes, old.bytes, threshold)
    decibels = 10 * math.log10(1 + threshold / 100)
    for name, value in row.metrics.items():
        was = old.metrics.get(name, -math.inf)
        if name.endswith("_db") and value < was - decibels - 1e-9:
            yield f"{name} {was:.2f} -> {value:.2f}"
    if time_threshold is not None:
        for name in ("encode_s", "decode_s", "encode_mb", "decode_mb"):
            yield from _grown(name, getattr(row, name), getattr(old, name), time_threshold)


def _grown(name: str, value: float, was: float, threshold: float) -> Iterator[str]:
    if value > was * (1 + threshold / 100) + 1e-9:
        change = f" ({100 * (value / was - 1):+.1f} %)" if was else ""
        yield f"{name} {was:g} -> {value:g}{change}"
