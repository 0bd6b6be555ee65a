"""How much less one codec needs than another at the same quality: Bjontegaard's measures.

Both curves are interpolated by monotone cubic pieces (PCHIP) of the logarithm of the rate over
the quality, as MPEG's templates do, and compared where they overlap (docs/metrics.md).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from pcc_cli.evaluation.rows import Row
from pcc_cli.metrics.rate import Curve, NoOverlap, bd_psnr, bd_rate

METRICS = ("d1_psnr_db", "d2_psnr_db", "y_psnr_db", "psnr_db")


@dataclass(frozen=True)
class BdRow:
    """One file, one codec against the anchor, one quality.

    rate_percent : change of the rate at equal quality; negative is less
    psnr_db : change of the quality at equal rate; None, with rate_percent, when `refused`
    refused : why the curves cannot be compared, "" when they can
    """

    file: str
    codec: str
    anchor: str
    metric: str
    rate_percent: float | None
    psnr_db: float | None
    refused: str = ""


def bd_table(rows: Sequence[Row], anchor: str) -> list[BdRow]:
    """Every codec's curves against those of `anchor`, file by file, for each metric of both."""
    table = []
    for (file, codec), metric in _cases(rows, anchor):
        ours = _curve(rows, file, codec, metric)
        theirs = _curve(rows, file, anchor, metric)
        try:
            change = bd_rate(theirs, ours), bd_psnr(theirs, ours)
            table.append(BdRow(file, codec, anchor, metric, *change))
        except NoOverlap as error:
            table.append(BdRow(file, codec, anchor, metric, None, None, str(error)))
    return table


def _cases(rows: Sequence[Row], anchor: str) -> list[tuple[tuple[str, str], str]]:
    """Files, codecs and metrics of which both the codec and the anchor have a curve."""
    pairs = dict.fromkeys((row.file, row.codec) for row in rows if row.codec != anchor)
    return [
        (pair, metric)
        for pair in pairs
        for metric in METRICS
        if len(_curve(rows, *pair, metric)) > 1 and len(_curve(rows, pair[0], anchor, metric)) > 1
    ]


def _curve(rows: Sequence[Row], file: str, codec: str, metric: str) -> Curve:
    """(rate, quality) of the lossy rows, without those that are no better for more bits."""
    points = sorted(
        (row.bpp, row.metrics[metric])
        for row in rows
        if (row.file, row.codec) == (file, codec)
        and math.isfinite(row.metrics.get(metric, math.inf))
    )
    curve: Curve = []
    for point in points:
        if not curve or point[1] > curve[-1][1]:
            curve.append(point)
    return curve
