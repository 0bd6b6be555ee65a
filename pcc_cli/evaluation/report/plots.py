"""Rate-distortion curves for papers: PNG, PDF or SVG, drawn by matplotlib (the extra `report`)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pcc_cli.errors import InputError, OutputError, UnsupportedError
from pcc_cli.evaluation.report.numbers import CURVES, NOUNS, Metric, measured
from pcc_cli.evaluation.rows import Row

SUFFIXES = (".png", ".pdf", ".svg")
# The colours of the page, and a sign for each, so that curves differ in print, too.
COLOURS = ("#1f5fbf", "#c2570c", "#0a7d62", "#8a3ab9", "#b5305f", "#6f6a12", "#4d5a68")
_SIGNS = "osD^vPX"
_PANEL = (3.5, 2.7)  # inches; two fit the width of a page
_ACROSS = 3  # files in a line, where each has one panel
_LOOKS: Any = {
    "font.size": 8,
    "axes.grid": True,
    "grid.color": "#e2e2dc",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "pdf.fonttype": 42,  # letters stay letters, as publishers ask for
    "svg.fonttype": "none",
    "svg.hashsalt": "pcc",  # the same rows give the same file
}


def check(path: Path) -> None:
    """Raises what `plot` would raise about its file, before hours are spent.

    OutputError for a name that ends otherwise, UnsupportedError without matplotlib.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise OutputError(f"{path}: plots end in {', '.join(SUFFIXES)}")
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise UnsupportedError("plots need matplotlib: pip install 'pcc-cli[report]'") from None


def plot(rows: Sequence[Row], path: Path) -> None:
    """Writes the curves of `rows` to `path`: a panel for each file and metric.

    A file has a line of panels; where there is one metric, several files share a line.

    As from `check`; InputError when no row is lossy, OutputError when `path` cannot be written.
    """
    check(path)
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    lossy = [row for row in rows if not row.skipped and any(map(math.isfinite, _values(row)))]
    if not lossy:
        raise InputError("there are no curves to plot: every row is lossless")
    files = list(dict.fromkeys(row.file for row in lossy))
    metrics = [metric for metric in measured(lossy) if metric.key in CURVES]
    codecs = list(dict.fromkeys(row.codec for row in rows if not row.skipped))
    shown = [(file, metric) for file in files for metric in metrics]
    across = len(metrics) if len(metrics) > 1 else min(_ACROSS, len(files))
    down = -(-len(shown) // across)
    with rc_context(_LOOKS):
        size = (_PANEL[0] * across, _PANEL[1] * down)
        figure = Figure(figsize=size, layout="constrained")
        panels = figure.subplots(down, across, squeeze=False)
        for panel, (file, metric) in zip(panels.flat, shown, strict=False):
            _draw(panel, [row for row in lossy if row.file == file], metric, codecs)
            panel.set_title(file)
        for panel in panels.flat[len(shown) :]:
            panel.set_axis_off()
        lines = {line.get_label(): line for panel in panels.flat for line in panel.lines}
        places: Any = {"loc": "outside lower center", "ncols": min(len(lines), 2 * across)}
        figure.legend(list(lines.values()), list(lines), frameon=False, **places)
        try:
            figure.savefig(path, dpi=300, metadata=_dateless(path))
        except OSError as error:
            raise OutputError(f"cannot write {path}: {error.strerror or error}") from error


def _draw(panel: Any, rows: Sequence[Row], metric: Metric, codecs: Sequence[str]) -> None:
    for place, codec in enumerate(codecs):
        curve = sorted(
            (row.bpp, row.metrics[metric.key])
            for row in rows
            if row.codec == codec and math.isfinite(row.metrics.get(metric.key, math.inf))
        )
        if curve:
            colour, sign = COLOURS[place % len(COLOURS)], _SIGNS[place % len(_SIGNS)]
            panel.plot(*zip(*curve, strict=True), color=colour, marker=sign, ms=3.5, label=codec)
    panel.set_xlabel(f"bits per input {NOUNS[rows[0].kind]}")
    panel.set_ylabel(f"{metric.title}, {metric.unit}")


def _values(row: Row) -> list[float]:
    return [row.metrics[key] for key in CURVES if key in row.metrics]


def _dateless(path: Path) -> dict[str, None]:
    """Metadata without the time, so that the same rows give the same file."""
    keys = {".pdf": "CreationDate", ".svg": "Date"}
    return {keys[path.suffix.lower()]: None} if path.suffix.lower() in keys else {}
