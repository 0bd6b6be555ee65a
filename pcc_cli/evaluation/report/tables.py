"""The tables of the page: Bjontegaard's measures, and every row."""

from __future__ import annotations

from collections.abc import Sequence

from pcc_cli.evaluation.bd import BdRow
from pcc_cli.evaluation.report.glance import colour_of
from pcc_cli.evaluation.report.markup import Html, tag
from pcc_cli.evaluation.report.numbers import CURVES, TITLES, measured, noun, percent, value
from pcc_cli.evaluation.rows import Row
from pcc_cli.words import size


def bd_section(table: Sequence[BdRow], codecs: Sequence[str]) -> Html:
    """One line for each file and pair of codecs; rate and quality of each metric."""
    metrics = [key for key in CURVES if any(entry.metric == key for entry in table)]
    heads = [("File", "text"), ("Codec", "text"), ("Against", "text")]
    heads += [(f"{TITLES[key]} BD-rate", "") for key in metrics]
    heads += [(f"{TITLES[key]} BD-PSNR", "") for key in metrics]
    found = {(entry.file, entry.codec, entry.anchor, entry.metric): entry for entry in table}
    lines = []
    for file, codec, anchor in dict.fromkeys(key[:3] for key in found):
        entries = [found.get((file, codec, anchor, key)) for key in metrics]
        cells = [_rate(entry) for entry in entries] + [_quality(entry) for entry in entries]
        names = [tag("th", file, scope="row", class_="text"), _codec(codec, codecs)]
        names.append(tag("td", anchor, class_="text"))
        lines.append(tag("tr", _named([*names, *cells], heads)))
    head = tag("tr", [tag("th", name, scope="col", class_=form) for name, form in heads])
    body = tag("table", tag("thead", head), tag("tbody", lines), class_="fold")
    return tag("div", body, class_="scroll tall", tabindex=0)


def row_section(rows: Sequence[Row], codecs: Sequence[str]) -> Html:
    """Everything that was measured; page/table.js sorts and filters it."""
    metrics = measured(rows)
    heads = [
        ("File", "text"),
        ("Codec", "text"),
        ("Rate", "text"),
        ("Size", ""),
        (f"Bits per {noun(rows)}", ""),
    ]
    heads += [(f"{metric.title} {metric.unit}".strip(), "") for metric in metrics]
    heads += [("Encode s", ""), ("Decode s", ""), ("Encode MiB", ""), ("Decode MiB", "")]
    least: dict[str, int] = {}
    for row in rows:
        if row.lossless:
            least[row.file] = min(row.bytes, least.get(row.file, row.bytes))
    lines = []
    for row in rows:
        best = row.lossless and row.bytes == least[row.file]
        cells = [
            tag("th", row.file, scope="row", class_="text"),
            _codec(row.codec, codecs),
            tag("td", row.setting, class_="text"),
            _number(row.bytes, size(row.bytes), "best" if best else ""),
            _number(row.bpp, f"{row.bpp:.4f}", "best" if best else ""),
            *(_number(row.metrics.get(m.key, float("nan")), value(row, m)) for m in metrics),
            _number(row.encode_s, f"{row.encode_s:.2f}"),
            _number(row.decode_s, f"{row.decode_s:.2f}"),
            _number(row.encode_mb, f"{row.encode_mb:.0f}"),
            _number(row.decode_mb, f"{row.decode_mb:.0f}"),
        ]
        lines.append(tag("tr", _named(cells, heads), data_codec=row.codec))
    buttons = [
        tag("th", tag("button", name, type="button"), scope="col", class_=form)
        for name, form in heads
    ]
    body = tag("thead", tag("tr", buttons)), tag("tbody", lines)
    return tag(
        "div", tag("table", body, id="rows", class_="fold"), class_="scroll tall", tabindex=0
    )


def _named(cells: Sequence[Html], heads: Sequence[tuple[str, str]]) -> list[Html]:
    """The cells with the names of their columns, for narrow screens."""
    named = []
    for cell, (name, _) in zip(cells, heads, strict=True):
        label = tag("i", data_name=name)[3 : -len("></i>")]  # escaped, as in any tag
        named.append(Html(cell[:3] + " " + label + cell[3:]))
    return named


def _codec(codec: str, codecs: Sequence[str]) -> Html:
    style = f"--colour: {colour_of(codec, codecs)}"
    dot = tag("span", class_="dot", style=style, aria_hidden="true")
    return tag("td", tag("span", dot, codec, class_="codec"), class_="text")


def _number(number: float, text: str, kind: str = "") -> Html:
    return tag("td", text, data_value=str(number), class_=kind)


def _rate(entry: BdRow | None) -> Html:
    if entry is None:
        return tag("td")
    if entry.rate_percent is None:
        return tag("td", entry.refused, class_="text faint")
    kind = "good" if entry.rate_percent < 0 else "bad"
    return tag("td", percent(entry.rate_percent), class_=kind)


def _quality(entry: BdRow | None) -> Html:
    if entry is None or entry.psnr_db is None:
        return tag("td")
    return tag("td", f"{entry.psnr_db:+.2f} dB".replace("-", "−"))
