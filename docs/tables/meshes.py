"""Tables of meshes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from pcc_cli.evaluation.rows import Row
from tables.common import cases, table

KEYS = "keyspheres.1"
# Names of made things begin so; all others of the dev meshes are animals, people, statues, fruit.
MADE = ("abc", "bsq", "contactdb_bin", "contactdb_f", "contactdb_m", "seg", "thingi", "tm", "ycb_c")
SURFACE = {"chamfer": "Chamfer", "f_score": "F-score", "mesh_distance": "distance to the surface"}


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


def decimated(rows: list[Row], size: int) -> dict[str, float]:
    """What decimation and Draco have at `size` bytes, between the two rows beside it.

    A straight line through the logarithms. With all its faces a mesh is the last of these rows.
    """
    rivals = [row for row in rows if row.codec == "decimation+draco" or row.setting == "qp10"]
    rivals.sort(key=lambda row: row.bytes)
    places = [math.log(row.bytes) for row in rivals]
    return {
        name: math.exp(
            np.interp(math.log(size), places, [math.log(row.metrics[name]) for row in rivals])
        )
        for name in SURFACE
    }


def small_meshes(rows: list[Row]) -> Iterator[str]:
    """keyspheres at each size beside decimation and Draco; then how often it is ahead."""
    ahead: dict[tuple[str, str, str], list[bool]] = {}

    def line(row: Row, group: list[Row]) -> list[str]:
        name, mine, theirs = Path(row.file).stem, row.metrics, decimated(group, row.bytes)
        kind = "made" if name.startswith(MADE) else "organic"
        won = {m: (mine[m] > theirs[m]) == (m == "f_score") for m in SURFACE}
        for m in SURFACE:
            ahead.setdefault((row.setting, m, kind), []).append(won[m])
        pairs = (
            small_cell(values, m, row.peak or 1.0, best)
            for m in SURFACE
            for values, best in ((mine, won[m]), (theirs, not won[m]))
        )
        return [
            f"`{name}`",
            f"{row.bytes:,}",
            *pairs,
            f"{mine['iou']:.4f}" if "iou" in mine else "",
        ]

    def lines() -> Iterator[list[str]]:
        for _, group in cases(rows):
            mine = sorted((row for row in group if row.codec == KEYS), key=lambda row: row.bytes)
            yield from (line(row, group) for row in mine)

    titles = " | ".join(f"{title} | decimated" for title in SURFACE.values())
    yield from table(f"mesh | bytes | {titles} | IoU", lines())
    for setting in dict.fromkeys(place[0] for place in ahead):
        counts = (
            f"{SURFACE[m]}, {kind} {sum(won)} of {len(won)}"
            for (one, m, kind), won in sorted(ahead.items())
            if one == setting
        )
        yield f"\nAhead at {setting.removeprefix('size ')} bytes: {'; '.join(counts)}."


def small_cell(values: dict[str, float], metric: str, longest: float, best: bool) -> str:
    """Lengths in thousandths of the longest side; bold if it is the better of two."""
    value = values[metric]
    text = f"{value:.3f}" if metric == "f_score" else f"{1000 * value / longest:.2f}"
    return f"**{text}**" if best else text
