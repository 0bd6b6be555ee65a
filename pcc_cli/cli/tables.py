"""The tables of `pcc eval`: every row, then how our codecs stand against the others."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from rich import box
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from pcc_cli.cli.console import NOUNS
from pcc_cli.codecs import CODECS
from pcc_cli.evaluation.rows import Row
from pcc_cli.evaluation.summary import Standing, standings
from pcc_cli.words import plural, size

# Title -> metric and decimals; a column is shown when a row of the file has its metric.
METRICS = {
    "D1 dB": ("d1_psnr_db", 2),
    "D2 dB": ("d2_psnr_db", 2),
    "PSNR dB": ("psnr_db", 2),
    "SSIM": ("ssim", 4),
    "Y dB": ("y_psnr_db", 2),
    "F-score": ("f_score", 3),
    "IoU": ("iou", 4),
}
PIPE_WIDTH = 160  # characters, where there is no terminal to ask


def show(rows: Sequence[Row]) -> None:
    """Prints the tables on standard output."""
    terminal = sys.stdout.isatty()
    out = Console(width=None if terminal else PIPE_WIDTH, highlight=False)
    for file in dict.fromkeys(row.file for row in rows):
        out.print(_of_file([row for row in rows if row.file == file]))
    ours = [codec for codec in dict.fromkeys(row.codec for row in rows) if codec in CODECS]
    for standing in standings(rows, ours):
        out.print(_sentence(standing))


def _of_file(rows: list[Row]) -> RenderableType:
    """One line for each row; the smallest lossless file is bold."""
    first = rows[0]
    title = Text(f"{first.file}: {plural(first.points, NOUNS[first.kind])}", style="bold")
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    metrics = {
        name: about
        for name, about in METRICS.items()
        if any(about[0] in row.metrics for row in rows)
    }
    for name in ("codec", "rate"):
        table.add_column(name, no_wrap=True)
    for name in ("size", "bpp", *metrics, "s", "s back", "MiB", "MiB back"):
        table.add_column(name, justify="right", no_wrap=True)
    best = min((row.bytes for row in rows if row.lossless), default=0)
    for row in rows:
        if not row.skipped:
            style = "bold" if row.lossless and row.bytes == best else ""
            table.add_row(*_cells(row, metrics), style=style)
    return table if table.row_count else title


def _cells(row: Row, metrics: dict[str, tuple[str, int]]) -> list[str]:
    values = [
        f"{row.metrics[name]:.{decimals}f}" if name in row.metrics else ""
        for name, decimals in metrics.values()
    ]
    return [
        row.codec,
        row.setting + (f" ({next(iter(row.sections))})" if row.codec == "gpcc" else ""),
        size(row.bytes),
        f"{row.bpp:.4f}",
        *("-" if value == "inf" else value for value in values),
        f"{row.encode_s:.2f}",
        f"{row.decode_s:.2f}",
        f"{row.encode_mb:.0f}",
        f"{row.decode_mb:.0f}",
    ]


def _sentence(standing: Standing) -> str:
    """How one codec stands against another, in words."""
    parts = []
    if standing.lossless_percent is not None:
        where = plural(standing.lossless_files, "file")
        parts.append(f"{standing.lossless_percent:+.1f} % bytes lossless ({where})")
    for metric, name in (("d1_psnr_db", "D1"), ("d2_psnr_db", "D2"), ("psnr_db", "PSNR")):
        if metric in standing.bd_rate_percent:
            where = plural(standing.bd_files[metric], "file")
            parts.append(f"BD-rate {name} {standing.bd_rate_percent[metric]:+.1f} % ({where})")
        if metric in standing.bd_refused:
            refused = plural(standing.bd_refused[metric], "file")
            parts.append(f"{name} curves of {refused} do not overlap")
    return f"{standing.codec} against {standing.anchor}: {', '.join(parts)}"
