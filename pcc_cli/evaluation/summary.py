"""What many rows say together: how our codecs stand against each peer, over all files."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from pcc_cli.evaluation.bd import METRICS, bd_table
from pcc_cli.evaluation.rows import Row


@dataclass(frozen=True)
class Standing:
    """One codec against another.

    lossless_percent : geometric mean over files of the change in size of lossless rows; None when
        no file has both
    lossless_files : files that have both
    bd_rate_percent : metric -> mean of BD-rates over files
    bd_files, bd_refused : metric -> files that could be compared, and that could not
    """

    codec: str
    anchor: str
    lossless_percent: float | None
    lossless_files: int
    bd_rate_percent: dict[str, float]
    bd_files: dict[str, int]
    bd_refused: dict[str, int]


def standings(rows: Sequence[Row], ours: Sequence[str]) -> list[Standing]:
    """Every codec of `ours` against every other codec that has rows for the same files."""
    measured = [row for row in rows if not row.skipped]
    names = list(dict.fromkeys(row.codec for row in measured))
    found = [
        _standing(measured, codec, anchor)
        for codec in names
        if codec in ours
        for anchor in names
        if anchor not in ours
    ]
    return [s for s in found if s.lossless_files or s.bd_files or s.bd_refused]


def _standing(rows: list[Row], codec: str, anchor: str) -> Standing:
    files = dict.fromkeys(row.file for row in rows)
    sizes = [(_lossless(rows, file, codec), _lossless(rows, file, anchor)) for file in files]
    logs = [math.log(one / other) for one, other in sizes if one and other]
    table = [entry for entry in bd_table(rows, anchor) if entry.codec == codec]
    rates = {
        metric: [entry.rate_percent for entry in table if entry.metric == metric]
        for metric in METRICS
    }
    known = {metric: [r for r in values if r is not None] for metric, values in rates.items()}
    return Standing(
        codec,
        anchor,
        100 * math.expm1(sum(logs) / len(logs)) if logs else None,
        len(logs),
        {metric: sum(values) / len(values) for metric, values in known.items() if values},
        {metric: len(values) for metric, values in known.items() if values},
        {m: rates[m].count(None) for m in METRICS if None in rates[m]},
    )


def _lossless(rows: list[Row], file: str, codec: str) -> int | None:
    """Bytes of the smallest lossless row."""
    return min(
        (r.bytes for r in rows if (r.file, r.codec) == (file, codec) and r.lossless), default=None
    )
