"""Tables of clouds with their attributes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pcc_cli.evaluation.rows import Row
from tables.common import bd, cases, cost, percent, smallest, table


def whole(rows: list[Row]) -> Iterator[str]:
    """Files with everything in them, but those of LAS."""
    names = ("gpcc", "zstd")

    def lines() -> Iterator[list[str]]:
        for about, group in cases(rows):
            pcc = smallest(group)
            others = [smallest(group, name) for name in names]
            if pcc is None or smallest(group, "laz"):
                continue
            yield [
                f"`{Path(about.file).stem}`",
                f"{about.points:,}",
                f"{pcc.bytes:,}",
                *(f"{other.bytes:,}" if other else "" for other in others),
                *(percent(pcc, other) for other in others),
                *cost(pcc),
                ", ".join(f"{name} {size:,}" for name, size in pcc.sections.items()),
            ]

    yield from table(
        "file | points | pcc, bytes | G-PCC, bytes | Zstandard, bytes | pcc to G-PCC "
        "| pcc to Zstandard | pcc, s | back | MiB | back | parts of pcc",
        lines(),
    )


def las(rows: list[Row]) -> Iterator[str]:
    """LAS files beside LAZ, in both orders."""
    found = []
    for about, group in cases(rows):
        pcc, ordered = smallest(group), smallest(group, "laz-morton")
        natural = next((row for row in group if row.codec == "laz"), None)
        if pcc and ordered and natural:
            found.append((about, pcc, ordered, natural))
    yield from table(
        "file | points | pcc, bytes | LAZ, same order | LAZ, order of the file | pcc to LAZ, same "
        "order | pcc to LAZ, order of the file",
        (
            [
                f"`{Path(about.file).name}`",
                f"{about.points:,}",
                *(f"{row.bytes:,}" for row in (pcc, ordered, natural)),
                percent(pcc, ordered),
                percent(pcc, natural),
            ]
            for about, pcc, ordered, natural in found
        ),
    )
    if found:
        ahead = [sum(pcc.bytes < other[k].bytes for _, pcc, *other in found) for k in range(2)]
        yield f"\nSmaller than LAZ in the same order on {ahead[0]} of {len(found)},"
        yield f"than LAZ in the order of the file on {ahead[1]}."


def lossy_colours(rows: list[Row]) -> Iterator[str]:
    """Colours that lose something, on exact geometry; whole files."""
    lossy = [row for row in rows if row.setting != "lossless" and "y_psnr_db" in row.metrics]
    yield from table(
        "file | codec | rate | bytes | bpp | Y dB | YUV dB",
        (
            [
                f"`{Path(row.file).stem}`",
                row.codec,
                row.setting,
                f"{row.bytes:,}",
                f"{row.bpp:.3f}",
                f"{row.metrics['y_psnr_db']:.2f}",
                f"{row.metrics['yuv_psnr_db']:.2f}",
            ]
            for _, group in cases(lossy)
            for row in group
        ),
    )
    yield from ("", *bd(lossy)) if lossy else ()
