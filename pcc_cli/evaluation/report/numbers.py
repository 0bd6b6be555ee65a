"""How the page and the plots call and write what was measured; docs/metrics.md defines it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from pcc_cli.evaluation.rows import Row


@dataclass(frozen=True)
class Metric:
    """A distortion or quality: its name in rows, on the page, and its unit.

    digits : decimals; None: of whatever size the number is
    """

    key: str
    title: str
    unit: str
    digits: int | None

    def text(self, number: float) -> str:
        return f"{number:.4g}" if self.digits is None else f"{number:.{self.digits}f}"


METRICS = (
    Metric("d1_psnr_db", "D1", "dB", 2),
    Metric("d2_psnr_db", "D2", "dB", 2),
    Metric("y_psnr_db", "Y", "dB", 2),
    Metric("psnr_db", "PSNR", "dB", 2),
    Metric("ssim", "SSIM", "", 4),
    Metric("max_error", "Max error", "", None),
    Metric("f_score", "F-score", "", 3),
    Metric("iou", "IoU", "", 4),
    Metric("set_chamfer", "Chamfer", "", 5),
    Metric("set_normals", "Normals", "", 3),
    Metric("f1_005", "F1 0.005", "", 3),
    Metric("f1_01", "F1 0.01", "", 3),
)
CURVES = ("d1_psnr_db", "d2_psnr_db", "y_psnr_db", "psnr_db")  # that are plotted over the rate
TITLES = {metric.key: metric.title for metric in METRICS}
MEANING = {
    "d1_psnr_db": "point to point: how near each point has one on the other side",
    "d2_psnr_db": "point to plane: the same along normals only, moves in the surface are free",
    "y_psnr_db": "luma of the colours, each point against the nearest",
    "psnr_db": "samples of the volume",
    "ssim": "structure of the volume, 1 is equal",
    "max_error": "largest difference of a sample of the volume",
    "f_score": "part of the points that have a near one on the other side, 1 is all",
    "iou": "shared part of the two bodies, 1 is equal",
    "set_chamfer": "mean distance between the surfaces of a set, half of the longest side being 1",
    "set_normals": "how well normals of a set agree, 1 is all",
    "f1_005": "part of the points of a set that have one within 0.005 on the other side",
    "f1_01": "the same within 0.01",
}
NOUNS = {"points": "point", "mesh": "vertex", "volume": "sample"}


def noun(rows: Sequence[Row]) -> str:
    """What bits are counted of: "point" where there are several kinds of shape."""
    kinds = {row.kind for row in rows}
    return NOUNS[kinds.pop()] if len(kinds) == 1 else "point"


def measured(rows: Sequence[Row]) -> list[Metric]:
    """The metrics that some row has."""
    return [metric for metric in METRICS if any(metric.key in row.metrics for row in rows)]


def value(row: Row, metric: Metric) -> str:
    """The number as text: "lossless" for an infinite one, "" for none."""
    number = row.metrics.get(metric.key)
    if number is None:
        return ""
    return metric.text(number) if math.isfinite(number) else "lossless"


def percent(change: float) -> str:
    """A change with its sign, minus as a minus."""
    return f"{change:+.1f} %".replace("-", "−")
