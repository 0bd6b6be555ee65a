"""One page that holds a whole evaluation: opened from disk, without a network, by any browser."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from string import Template
from typing import Any

from pcc_cli.codecs import is_ours
from pcc_cli.errors import OutputError
from pcc_cli.evaluation.bd import BdRow, bd_table
from pcc_cli.evaluation.report import glance, sections, tables
from pcc_cli.evaluation.report.exhibits import Exhibit, exhibits
from pcc_cli.evaluation.report.markup import Html, join, tag
from pcc_cli.evaluation.report.method import method_section
from pcc_cli.evaluation.report.numbers import CURVES, NOUNS, measured
from pcc_cli.evaluation.report.ramp import ERROR
from pcc_cli.evaluation.rows import Row
from pcc_cli.evaluation.summary import standings

NAME = "index.html"
_SCRIPTS = ("page", "plot", "table", "points", "draw", "orbit", "view")


def write_report(rows: Sequence[Row], folder: Path, command: str = "") -> Path:
    """Writes `index.html` about the rows of a run into its folder; the path of the page.

    folder : where `Row.original` and `Row.reconstruction` lie
    command : what made the run, for those who want to repeat it
    OutputError when the page cannot be written.
    """
    path = Path(folder) / NAME
    text = page(rows, exhibits(rows, Path(folder)), command)
    temporary = path.with_suffix(".tmp")
    try:
        temporary.write_text(text, "utf-8")
        temporary.replace(path)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror or error}") from error
    return path


def page(rows: Sequence[Row], shown: Sequence[Exhibit], command: str = "") -> str:
    """The page about `rows`, with what it shows of some of them."""
    done = [row for row in rows if not row.skipped]
    codecs = list(dict.fromkeys(row.codec for row in done))
    parts: dict[str, tuple[str, Html]] = {"glance": ("Summary", _glance(rows, done, codecs))}
    if _curved(done):
        parts["curves"] = ("Curves", sections.curves(done, codecs))
    table = _differences(done, codecs)
    if table:
        parts["bd"] = ("BD-rate", sections.differences(tables.bd_section(table, codecs)))
    if shown:
        parts["sight"] = ("Look", sections.sight(shown, len({row.file for row in done})))
    if done:
        parts["table"] = ("Rows", sections.rows(tables.row_section(done, codecs)))
    parts["method"] = ("Method", sections.method(method_section(rows, command)))
    links = [tag("a", name, href=f"#{key}") for key, (name, _) in parts.items()]
    files = list(dict.fromkeys(row.file for row in rows))
    return Template(_file("template.html")).substitute(
        title=join([f"pcc eval: {', '.join(files[:3])}{', …' if len(files) > 3 else ''}"]),
        style=_file("style.css"),
        navigation=join(links),
        sections=join(tag("section", body, id=key) for key, (_, body) in parts.items()),
        footer=join(["Made by pcc eval. This page needs no network and sends nothing."]),
        data=_script_safe(_data(done, codecs, shown)),
        script=_scripts(bool(done)),
    )


def _glance(rows: Sequence[Row], done: Sequence[Row], codecs: Sequence[str]) -> Html:
    ours = [codec for codec in codecs if is_ours(codec)]
    found = standings(done, ours)
    return sections.summary(
        rows, glance.headline(done, found), glance.cards(found), glance.bars(done, codecs)
    )


def _differences(rows: Sequence[Row], codecs: Sequence[str]) -> list[BdRow]:
    """Ours against every peer, and all against the first; against our first when there are none."""
    peers = [codec for codec in codecs if not is_ours(codec)] or list(codecs[:1])
    return [
        entry
        for anchor in peers
        for entry in bd_table(rows, anchor)
        if anchor == peers[0] or is_ours(entry.codec)
    ]


def _curved(rows: Sequence[Row]) -> list[str]:
    """The files of which some codec has a curve."""
    return [
        file
        for file in dict.fromkeys(row.file for row in rows)
        if any(
            row.file == file and math.isfinite(row.metrics.get(key, math.inf))
            for row in rows
            for key in CURVES
        )
    ]


def _data(rows: Sequence[Row], codecs: Sequence[str], shown: Sequence[Exhibit]) -> dict[str, Any]:
    """What the scripts read."""
    shapes: dict[str, Any] = {}
    looks: list[dict[str, Any]] = []
    for number, exhibit in enumerate(shown):
        look: dict[str, Any] = {"file": exhibit.row.file, "label": sections.label(exhibit.row)}
        if exhibit.turned:
            shapes[exhibit.row.original] = exhibit.turned.original
            shapes[f"{number}"] = exhibit.turned.reconstruction
            look |= {"camera": exhibit.turned.camera, "original": exhibit.row.original}
            look["reconstruction"] = f"{number}"
        looks.append(look)
    metrics = [metric for metric in measured(rows) if metric.key in CURVES]
    return {
        "codecs": list(codecs),
        "metrics": [vars(metric) for metric in metrics],
        "curved": _curved(rows),
        "rows": [_row(row) for row in rows],
        "exhibits": looks,
        "shapes": shapes,
        "ramp": ERROR.stops,
    }


def _row(row: Row) -> dict[str, Any]:
    known = {key: row.metrics[key] for key in CURVES if key in row.metrics}
    return {
        "file": row.file,
        "noun": NOUNS[row.kind],
        "codec": row.codec,
        "setting": row.setting,
        "bpp": row.bpp,
        "lossless": row.lossless,
        "metrics": {key: value if math.isfinite(value) else None for key, value in known.items()},
    }


def _script_safe(data: dict[str, Any]) -> str:
    """JSON that no text in it can end early."""
    text = json.dumps(data, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace("&", "\\u0026")


def _scripts(tables: bool) -> str:
    return "\n".join(_file(f"{name}.js") for name in _SCRIPTS if tables or name == "page")


def _file(name: str) -> str:
    return (resources.files(__package__) / "page" / name).read_text("utf-8")
