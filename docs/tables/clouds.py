"""Tables of the geometry of clouds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pcc_cli.evaluation.bd import bd_table
from pcc_cli.evaluation.rows import Row
from tables.common import bpp, cases, cost, percent, smallest, table

DEEPCOMPRESS, FIRST_MODEL = "deepcompress.1", "deepcompress.1:gaussian"
# Of the size, over `gaussian`: what the README of the original DeepCompress says.
CLAIMED = {"hyperprior": "-15 to -25 %", "channel": "-25 to -35 %", "context": "-30 to -40 %"}
HOW_BY_MODEL = """\
Latents alone at three gains, `pcc eval CLOUD --codec deepcompress --entropy-models all
--against gpcc`; and by quality, `pcc eval CLOUD --codec deepcompress --against gpcc`. Each row is a
file that was decoded in a fresh process. Savings are BD-rates (D1), beside those that the README of
the original claims for its models.
"""
OTHERS = ("draco", "laz", "zstd")


def lossless(rows: list[Row]) -> Iterator[str]:
    """pcc, the best mode of G-PCC and the others, whole files, and the means."""

    def lines() -> Iterator[list[str]]:
        for about, group in cases(rows):
            pcc, gpcc = smallest(group), smallest(group, "gpcc")
            octree = smallest(group, "gpcc-octree")
            if pcc is not None:
                yield [
                    f"`{Path(about.file).stem}`",
                    f"{about.points:,}",
                    about.grid,
                    f"{pcc.bytes:,}",
                    f"{pcc.bpp:.3f}",
                    *([f"{gpcc.bpp:.3f}", next(iter(gpcc.sections))] if gpcc else ["", ""]),
                    percent(pcc, gpcc),
                    bpp(octree),
                    percent(pcc, octree),
                    *(bpp(smallest(group, name)) for name in OTHERS),
                ]

    yield from table(
        "file | points | grid | pcc, bytes | bpp | G-PCC, bpp | mode | pcc to G-PCC "
        "| octree, bpp | pcc to octree | Draco | LAZ | Zstandard",
        lines(),
    )


def lossy(rows: list[Row]) -> Iterator[str]:
    """Every lossy row."""
    yield from table(
        "file | codec | rate | bpp | D1 dB | D2 dB | peak",
        (
            [
                f"`{Path(row.file).stem}`",
                f"{row.codec}",
                row.setting,
                f"{row.bpp:.4f}",
                f"{row.metrics['d1_psnr_db']:.2f}",
                f"{row.metrics['d2_psnr_db']:.2f}",
                f"{row.peak:g}",
            ]
            for _, group in cases(rows)
            for row in group
            if not row.lossless and row.setting != "lossless"  # Draco merges duplicates
        ),
    )


def entropy_models(rows: list[Row]) -> Iterator[str]:
    """Sizes, and savings at equal D1: over the first entropy model, and over G-PCC."""

    def lines() -> Iterator[list[str]]:
        for about, group in cases(rows):
            anchors = (FIRST_MODEL, "gpcc-octree", "gpcc-trisoup")
            saved = {
                (entry.codec, entry.anchor): entry.refused or f"{entry.rate_percent:+.1f} %"
                for anchor in anchors
                for entry in bd_table(group, anchor)
                if entry.metric == "d1_psnr_db"
            }
            names = [row.codec for row in group if row.codec.startswith(DEEPCOMPRESS)]
            for codec in dict.fromkeys(names):
                mine = sorted((row for row in group if row.codec == codec), key=lambda r: r.bytes)
                name = codec.partition(":")[2]
                yield [
                    f"`{Path(about.file).stem}`",
                    f"`{name}`" if name else "by quality",
                    "; ".join(f"{row.bytes:,} @ {row.metrics['d1_psnr_db']:.2f}" for row in mine),
                    saved.get((codec, FIRST_MODEL), "") if name else "",
                    CLAIMED.get(name, ""),
                    *(saved.get((codec, anchor), "") for anchor in anchors[1:]),
                ]

    found = list(table(
        "file | model | bytes @ D1 dB | over `gaussian` | claimed | G-PCC octree | trisoup", lines()
    ))  # fmt: skip
    if found:
        yield HOW_BY_MODEL
        yield from found


def times(rows: list[Row]) -> Iterator[str]:
    """Seconds and MiB of pcc and of G-PCC."""

    yield from table(
        "file | points | grid | pcc, s | back | MiB | back | G-PCC, s | back | MiB | back",
        (
            [
                f"`{Path(about.file).stem}`",
                f"{about.points:,}",
                about.grid,
                *cost(smallest(group)),
                *cost(smallest(group, "gpcc")),
            ]
            for about, group in cases(rows)
        ),
    )
