"""The top of the page: who is smallest, by how much, in plain words, and as bars."""

from __future__ import annotations

import math
from collections.abc import Sequence

from pcc_cli.codecs import is_ours
from pcc_cli.evaluation.report.markup import Html, join, tag
from pcc_cli.evaluation.report.numbers import NOUNS, TITLES
from pcc_cli.evaluation.rows import Row
from pcc_cli.evaluation.summary import Standing
from pcc_cli.words import plural

_KINDS = {"points": "point clouds", "mesh": "meshes", "volume": "volumes"}
_EVEN = 0.05  # per cent: a smaller difference is none


def lossless_rates(rows: Sequence[Row], kind: str) -> dict[str, float]:
    """Codec -> bits per point, geometric mean over the files that every such codec coded lossless.

    Of files of one kind; the smallest first; {} when there are none. Modes of one program, such as
    gpcc-octree, count as one codec: the best of them for each file.
    """
    best: dict[str, dict[str, float]] = {}
    for row in rows:
        if row.kind == kind and row.lossless and not row.skipped and row.bpp > 0:
            rates = best.setdefault(_program(row.codec), {})
            rates[row.file] = min(row.bpp, rates.get(row.file, math.inf))
    files = set.intersection(*(set(rates) for rates in best.values())) if best else set()
    if not files:
        return {}
    means = {
        codec: math.exp(sum(math.log(rates[file]) for file in files) / len(files))
        for codec, rates in best.items()
    }
    return dict(sorted(means.items(), key=lambda item: item[1]))


def headline(rows: Sequence[Row], standings: Sequence[Standing]) -> str:
    """The result in one sentence, about the kind of file that comes first."""
    kind = rows[0].kind if rows else ""
    rates = lossless_rates(rows, kind)
    if len(rates) > 1 and not (standings and all(map(is_ours, rates))):
        (first, least), (second, next_rate) = list(rates.items())[:2]
        less = 100 * (1 - least / next_rate)
        if less < _EVEN:
            return f"{first} and {second} make equally small lossless files."
        return f"{first} makes the smallest lossless files: {less:.1f} % smaller than {second}."
    for standing in standings:
        change = next(iter(standing.bd_rate_percent.values()), None)  # D1 first
        if change is not None:
            much = _words(change, "fewer bits", "more bits")
            return f"{standing.codec} needs {much} than {standing.anchor} at equal quality."
    if rates:
        codec, rate = next(iter(rates.items()))
        return f"{codec} needs {rate:.3g} bits per {NOUNS[kind]}, lossless."
    codecs = dict.fromkeys(row.codec for row in rows)
    return f"{', '.join(codecs) or 'Nothing'} on {plural(len({row.file for row in rows}), 'file')}."


def cards(standings: Sequence[Standing]) -> Html:
    """One for each codec against each other one: a large number, and what it means."""
    return tag("div", [_card(standing) for standing in standings], class_="cards")


def bars(rows: Sequence[Row], codecs: Sequence[str]) -> Html:
    """Lossless bits per point of each codec, for each kind of file."""
    found = []
    for kind in dict.fromkeys(row.kind for row in rows):
        rates = lossless_rates(rows, kind)
        lines = []
        for codec, rate in rates.items():
            colour = f"--colour: {colour_of(codec, codecs)}"
            dot = tag("span", class_="dot", style=colour, aria_hidden="true")
            width = f"{70 * rate / max(rates.values()):.1f}%"
            bar = tag("i", style=f"{colour}; width: {width}", aria_hidden="true")
            lines += [tag("dt", dot, codec), tag("dd", bar, f"{rate:.3g}")]
        if lines:
            title = tag("h2", f"Bits per {NOUNS[kind]}, lossless, {_KINDS[kind]}", class_="name")
            found.append(tag("div", title, tag("dl", lines, class_="bars"), class_="card"))
    return tag("div", found, class_="side") if found else Html("")


def colour_of(codec: str, codecs: Sequence[str]) -> str:
    """The CSS colour of a codec, or of the first mode of a program, as in page/page.js."""
    names = list(codecs) if codec in codecs else [_program(name) for name in codecs]
    return f"var(--c{names.index(codec) % 7})"


def _program(codec: str) -> str:
    """What a codec is a mode of."""
    return codec.split("-")[0]


def _card(standing: Standing) -> Html:
    facts = []
    if standing.lossless_percent is not None:
        where = f"lossless, {plural(standing.lossless_files, 'file')}"
        facts.append((standing.lossless_percent, ("smaller", "larger"), where))
    for metric, change in standing.bd_rate_percent.items():
        where = f"at equal {TITLES[metric]} quality, {plural(standing.bd_files[metric], 'file')}"
        facts.append((change, ("fewer bits", "more bits"), where))
    for metric, count in standing.bd_refused.items():
        if metric not in standing.bd_rate_percent:
            text = f"The {TITLES[metric]} curves of {plural(count, 'file')} do not overlap."
            facts.append((math.nan, ("", ""), text))
    anchor = tag("span", f" against {standing.anchor}", class_="faint")
    title = tag("h2", standing.codec, anchor, class_="name")
    lines = [_fact(*fact, first=place == 0) for place, fact in enumerate(facts)]
    return tag("div", title, lines, class_="card")


def _fact(change: float, words: tuple[str, str], where: str, *, first: bool) -> Html:
    """The first in large figures."""
    if math.isnan(change):
        return tag("p", where, class_="about")
    kind = "good" if change < -_EVEN else "bad" if change > _EVEN else ""
    word = words[change > 0]
    if not first:
        return tag("p", tag("b", _words(change, *words), class_=kind), f" {where}", class_="about")
    figure = tag("p", f"{abs(change):.1f} %", tag("small", word), class_=f"figure {kind}".strip())
    return join([figure, tag("p", where, class_="about")])


def _words(change: float, less: str, more: str) -> str:
    return f"{abs(change):.1f} % {less if change < 0 else more}"
