"""What tables of all kinds are made of."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path

from pcc_cli.codecs import CODECS
from pcc_cli.evaluation.bd import bd_table
from pcc_cli.evaluation.report.numbers import TITLES as NAMES
from pcc_cli.evaluation.rows import Row
from pcc_cli.evaluation.summary import standings


def table(titles: str, lines: Iterable[list[str]]) -> Iterator[str]:
    """The lines of a table, titles separated by blanks and bars; nothing without lines."""
    found = list(lines)
    if found:
        yield f"| {titles} |"
        yield "|" + "---|" * (titles.count("|") + 1)
        yield from (f"| {' | '.join(line)} |" for line in found)


def cases(rows: list[Row]) -> Iterator[tuple[Row, list[Row]]]:
    """The rows of one file on one grid, and the first of them."""
    ordered = sorted(rows, key=lambda row: (row.file, row.grid))
    for _, group in groupby(ordered, lambda row: (row.file, row.grid)):
        found = list(group)
        yield found[0], found


def smallest(rows: list[Row], *beginnings: str) -> Row | None:
    """The smallest lossless row of a codec that begins so; of ours without a beginning."""
    found = [
        row
        for row in rows
        if row.lossless and (row.codec.startswith(beginnings) if beginnings else ours(row))
    ]
    return min(found, key=lambda row: row.bytes, default=None)


def ours(row: Row) -> bool:
    return row.codec in CODECS


def percent(ours: Row, theirs: Row | None) -> str:
    """How much larger our file is."""
    return f"{100 * (ours.bytes / theirs.bytes - 1):+.1f} %" if theirs else ""


def bpp(row: Row | None) -> str:
    return f"{row.bpp:.3f}" if row else ""


def cost(row: Row | None) -> list[str]:
    """Seconds and MiB, each there and back."""
    if row is None:
        return [""] * 4
    return [
        f"{row.encode_s:.2f}",
        f"{row.decode_s:.2f}",
        f"{row.encode_mb:.0f}",
        f"{row.decode_mb:.0f}",
    ]


def bd(rows: list[Row]) -> Iterator[str]:
    """Our codecs against each peer."""
    codecs = dict.fromkeys(row.codec for row in rows)
    yield from table(
        "file | codec | against | metric | BD-rate | BD-PSNR",
        (
            [
                f"`{Path(entry.file).stem}`",
                entry.codec,
                entry.anchor,
                NAMES[entry.metric],
                entry.refused or f"{entry.rate_percent:+.1f} %",
                "" if entry.psnr_db is None else f"{entry.psnr_db:+.2f} dB",
            ]
            for _, group in cases(rows)
            for anchor in codecs
            if anchor not in CODECS
            for entry in bd_table(group, anchor)
            if entry.codec in CODECS
        ),
    )
    for one in standings(rows, list(CODECS)):
        if one.lossless_percent is not None:
            yield f"\nLossless, {one.codec} against {one.anchor}: {one.lossless_percent:+.1f} %, "
            yield f"mean of {one.lossless_files} files."
