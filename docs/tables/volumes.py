"""Tables of volumes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

from pcc_cli.evaluation.rows import Row
from tables.common import bpp, cases, ours, smallest, table

VOLUME_RATES = (0.064, 0.32)  # bits a sample
AT_SIZES, AT_BOUNDS = ("sperr", "tthresh"), ("sz3", "zfp")


def at_rate(rows: list[Row], codec: str, rate: float) -> Row | None:
    """The row at a size; of coders that know bounds alone the nearest one that lost something."""
    mine = [row for row in rows if row.codec == codec]
    if codec not in AT_BOUNDS:
        return next((row for row in mine if row.setting == f"bpp {rate:g}"), None)
    lossy = [row for row in mine if not row.lossless]
    return min(lossy, key=lambda row: abs(math.log(row.bpp / rate)), default=None)


def at_size(row: Row, rate: float) -> bool:
    """Whether the file has the size that was asked."""
    return row.codec not in AT_BOUNDS and row.bpp < 1.15 * rate


def decibels(row: Row | None) -> float:
    return row.metrics["psnr_db"] if row else -math.inf


def volume_cell(row: Row | None, rate: float, best: float) -> str:
    """PSNR, and the bytes, or, beside the rate, the bits a sample; bold if it is the best."""
    if row is None:
        return ""
    text = "lossless" if row.lossless else f"{decibels(row):.2f}"
    near = at_size(row, rate)
    text = f"**{text}**" if near and decibels(row) == best else text
    return f"{text} ({row.bytes:,} B)" if near else f"{text} @ {row.bpp:.3f}"


def ours_at(rows: list[Row], rate: float) -> Row | None:
    return next((row for row in rows if ours(row) and row.setting == f"bpp {rate:g}"), None)


def volumes(rows: list[Row]) -> Iterator[str]:
    """PSNR at two rates beside every peer; then how often pcc is ahead."""
    ahead: dict[tuple[str, float], list[str]] = {}

    def lines() -> Iterator[list[str]]:
        for about, group in cases(rows):
            name, plain = f"`{Path(about.file).stem}`", smallest(group)
            for rate in VOLUME_RATES:
                pcc = ours_at(group, rate)
                others = {codec: at_rate(group, codec, rate) for codec in (*AT_SIZES, *AT_BOUNDS)}
                sized = [pcc, *(others[codec] for codec in AT_SIZES)]
                best = max(decibels(row) for row in sized if not row or at_size(row, rate))
                for codec in AT_SIZES:
                    if others[codec]:
                        won = decibels(pcc) > decibels(others[codec])
                        ahead.setdefault((codec, rate), []).append(name if won else "")
                yield [
                    *([name, f"{about.points:,}"] if rate == VOLUME_RATES[0] else ["", ""]),
                    f"{rate:g}",
                    *(volume_cell(row, rate, best) for row in (pcc, *others.values())),
                    bpp(plain) if rate == VOLUME_RATES[0] else "",
                ]

    yield from table(
        "volume | samples | bits | pcc | SPERR | TTHRESH | SZ3 | zfp | lossless, pcc", lines()
    )
    for (codec, rate), names in ahead.items():
        won = [name for name in names if name]
        text = f"all {len(names)}" if len(won) == len(names) else f"{len(won)} of {len(names)}"
        which = f": {', '.join(won)}" if 0 < len(won) < len(names) else ""
        yield f"\nAhead of {codec.upper()} at {rate:g} bits a sample on {text}{which}."


def volume_times(rows: list[Row]) -> Iterator[str]:
    """Seconds and MiB at the larger rate."""
    rate = VOLUME_RATES[-1]

    def cells(row: Row | None) -> list[str]:
        if row is None:
            return [""] * 3
        return [f"{row.encode_s:.1f}", f"{row.decode_s:.1f}", f"{row.encode_mb:.0f}"]

    titles = [f"{name}, s | back | MiB" for name in ("pcc", "SPERR", "TTHRESH")]
    yield from table(
        " | ".join(["volume | samples", *titles]),
        (
            [
                f"`{Path(about.file).stem}`",
                f"{about.points:,}",
                *cells(ours_at(group, rate)),
                *(part for codec in AT_SIZES for part in cells(at_rate(group, codec, rate))),
            ]
            for about, group in cases(rows)
        ),
    )
