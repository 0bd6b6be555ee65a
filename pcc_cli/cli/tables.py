"""The tables of `pcc eval`: every row, then how our codecs stand against the others."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from rich import box
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from pcc_cli.cli.console import NOUNS
from pcc_cli.codecs import is_ours
from pcc_cli.evaluation.bd import bd_table
from pcc_cli.evaluation.report.numbers import TITLES, Metric, measured, value
from pcc_cli.evaluation.rows import Row
from pcc_cli.evaluation.summary import Standing, standings
from pcc_cli.words import plural, size

# Savings against `gaussian` that the README of the original DeepCompress claims.
CLAIMS = {"hyperprior": "75-85 %", "channel": "65-75 %", "context": "60-70 %"}
PIPE_WIDTH = 160  # characters, where there is no terminal to ask


def show(rows: Sequence[Row]) -> None:
    """Prints the tables on standard output."""
    terminal = sys.stdout.isatty()
    out = Console(width=None if terminal else PIPE_WIDTH, highlight=False)
    for file in dict.fromkeys(row.file for row in rows):
        out.print(_of_file([row for row in rows if row.file == file]))
    ours = [codec for codec in dict.fromkeys(row.codec for row in rows) if is_ours(codec)]
    for standing in standings(rows, ours):
        out.print(_sentence(standing))
    for codec, models in _entropy_models(rows).items():
        if len(models) > 1:
            out.print(_models_table(rows, codec, models))


def _entropy_models(rows: Sequence[Row]) -> dict[str, list[str]]:
    """Codec -> its entropy models, of rows of `--entropy-models`."""
    found: dict[str, list[str]] = {}
    for name in dict.fromkeys(row.codec for row in rows if ":" in row.codec):
        codec, _, model = name.partition(":")
        found.setdefault(codec, []).append(model)
    return found


def _models_table(rows: Sequence[Row], codec: str, models: list[str]) -> Table:
    """What each entropy model saves at equal D1 against the first, beside what was claimed."""
    title = f"entropy models of {codec}, mean over files"
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("model", no_wrap=True)
    for name in ("bytes, all rates", f"size at equal D1, {models[0]} = 100 %", "DeepCompress says",
                 "s", "s back"):  # fmt: skip
        table.add_column(name, justify="right")
    changes = bd_table(rows, f"{codec}:{models[0]}")
    for model in models:
        mine = [row for row in rows if row.codec == f"{codec}:{model}" and not row.skipped]
        rates = [
            entry.rate_percent
            for entry in changes
            if (entry.codec, entry.metric) == (f"{codec}:{model}", "d1_psnr_db")
            and entry.rate_percent is not None
        ]
        same = f"{100 + sum(rates) / len(rates):.1f} %" if rates else "-"
        table.add_row(
            model,
            f"{sum(row.bytes for row in mine):,}",
            "100.0 %" if model == models[0] else same,
            CLAIMS.get(model, "-"),
            f"{sum(row.encode_s for row in mine) / max(len(mine), 1):.1f}",
            f"{sum(row.decode_s for row in mine) / max(len(mine), 1):.1f}",
        )
    return table


def _of_file(rows: list[Row]) -> RenderableType:
    """One line for each row; the smallest lossless file is bold."""
    first = rows[0]
    title = Text(f"{first.file}: {plural(first.points, NOUNS[first.kind])}", style="bold")
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    metrics = measured(rows)
    for name in ("codec", "rate"):
        table.add_column(name, no_wrap=True)
    for name in (
        "size",
        "bpp",
        *(f"{m.title} {m.unit}".strip() for m in metrics),
        "s",
        "s back",
        "MiB",
        "MiB back",
    ):
        table.add_column(name, justify="right", no_wrap=True)
    best = min((row.bytes for row in rows if row.lossless), default=0)
    for row in rows:
        if not row.skipped:
            style = "bold" if row.lossless and row.bytes == best else ""
            table.add_row(*_cells(row, metrics), style=style)
    return table if table.row_count else title


def _cells(row: Row, metrics: Sequence[Metric]) -> list[str]:
    return [
        row.codec,
        row.setting + (f" ({next(iter(row.sections))})" if row.codec == "gpcc" else ""),
        size(row.bytes),
        f"{row.bpp:.4f}",
        *(value(row, metric).replace("lossless", "-") for metric in metrics),
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
    for metric, name in TITLES.items():
        if metric in standing.bd_rate_percent:
            where = plural(standing.bd_files[metric], "file")
            parts.append(f"BD-rate {name} {standing.bd_rate_percent[metric]:+.1f} % ({where})")
        if metric in standing.bd_refused:
            refused = plural(standing.bd_refused[metric], "file")
            parts.append(f"{name} curves of {refused} do not overlap")
    return f"{standing.codec} against {standing.anchor}: {', '.join(parts)}"
