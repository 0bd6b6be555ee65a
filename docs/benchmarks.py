"""Writes the tables of docs/benchmarks.md from runs of `pcc eval`, each kept with `-o RUN`.

python docs/benchmarks.py RUN...
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path

from pcc_cli.codecs import CODECS
from pcc_cli.errors import InputError
from pcc_cli.evaluation.bd import bd_table
from pcc_cli.evaluation.report.method import machine
from pcc_cli.evaluation.rows import Row, read_rows
from pcc_cli.evaluation.summary import standings

DOCUMENT = Path(__file__).with_name("benchmarks.md")
START, END = "<!-- tables: made by docs/benchmarks.py -->\n", "<!-- end of tables -->\n"
WITH_ATTRIBUTES = "--attributes"
OTHERS = ("draco", "laz", "zstd")


def main(folders: list[str]) -> None:
    """Replaces what stands between the two marks."""
    rows = [row for name in folders for row in read_rows(Path(name)) if not row.skipped]
    if not rows:
        raise InputError("name the folder of a run")
    text = DOCUMENT.read_text("utf-8")
    before, rest = text.split(START)
    after = rest.split(END)[1]
    DOCUMENT.write_text(before + START + "".join(tables(rows)) + END + after, "utf-8")


def tables(rows: list[Row]) -> Iterator[str]:
    """All tables that the rows give, with their titles."""
    clouds = [row for row in rows if row.kind == "points"]
    geometry = [row for row in clouds if WITH_ATTRIBUTES not in row.config]
    facts = machine()
    versions = dict.fromkeys(f"{row.codec}: {row.version}" for row in rows)
    yield f"\nMeasured on {facts['Processor']}, {facts['System']}, Python {facts['Python']}, "
    yield f"torch {facts['torch']}, with other work beside: sizes are exact, times are not.\n"
    yield f"Versions: {'; '.join(versions)}.\n"
    yield section("Lossless geometry", lossless(geometry))
    yield section("Lossy geometry", lossy(geometry))
    yield section("BD-rates", bd(geometry))
    yield section("Whole clouds, with attributes", whole(clouds))
    yield section("Time and memory, lossless geometry", times(geometry))
    yield section("Meshes", meshes([row for row in rows if row.kind == "mesh"]))


def section(title: str, lines: Iterable[str]) -> str:
    """A heading and its lines; "" without lines."""
    text = "\n".join(lines)
    return f"\n## {title}\n\n{text}\n" if text else ""


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


def percent(ours: Row, theirs: Row | None) -> str:
    """How much larger our file is."""
    return f"{100 * (ours.bytes / theirs.bytes - 1):+.1f} %" if theirs else ""


def bpp(row: Row | None) -> str:
    return f"{row.bpp:.3f}" if row else ""


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
                entry.metric[:2].upper(),
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


def whole(rows: list[Row]) -> Iterator[str]:
    """Files with everything in them."""
    yield from table(
        "file | points | codec | bytes | bpp | sections",
        (
            [
                f"`{Path(row.file).stem}`",
                f"{row.points:,}",
                row.codec,
                f"{row.bytes:,}",
                f"{row.bpp:.2f}",
                ", ".join(f"{name} {size:,}" for name, size in row.sections.items()),
            ]
            for row in rows
            if WITH_ATTRIBUTES in row.config and row.lossless
        ),
    )


def times(rows: list[Row]) -> Iterator[str]:
    """Seconds and MiB of pcc and of G-PCC."""

    def cells(row: Row | None) -> list[str]:
        if row is None:
            return [""] * 4
        return [
            f"{row.encode_s:.2f}",
            f"{row.decode_s:.2f}",
            f"{row.encode_mb:.0f}",
            f"{row.decode_mb:.0f}",
        ]

    yield from table(
        "file | points | grid | pcc, s | back | MiB | back | G-PCC, s | back | MiB | back",
        (
            [
                f"`{Path(about.file).stem}`",
                f"{about.points:,}",
                about.grid,
                *cells(smallest(group)),
                *cells(smallest(group, "gpcc")),
            ]
            for about, group in cases(rows)
        ),
    )


def meshes(rows: list[Row]) -> Iterator[str]:
    """Every row of a mesh."""
    yield from table(
        "file | codec | rate | bytes | D1 dB | D2 dB | F-score | IoU",
        (
            [
                f"`{Path(row.file).stem}`",
                row.codec,
                row.setting,
                f"{row.bytes:,}",
                *(f"{row.metrics[name]:.2f}" for name in ("d1_psnr_db", "d2_psnr_db")),
                f"{row.metrics['f_score']:.3f}",
                f"{row.metrics['iou']:.4f}" if "iou" in row.metrics else "",
            ]
            for row in rows
        ),
    )


if __name__ == "__main__":
    main(sys.argv[1:])
