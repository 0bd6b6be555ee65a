"""The sections of the page: headings, words, and the controls that the scripts look for."""

from __future__ import annotations

from collections.abc import Sequence

from pcc_cli.evaluation.report.exhibits import Exhibit
from pcc_cli.evaluation.report.glance import colour_of
from pcc_cli.evaluation.report.markup import Html, join, tag
from pcc_cli.evaluation.report.numbers import CURVES, NOUNS, measured, noun
from pcc_cli.evaluation.report.ramp import ERROR
from pcc_cli.evaluation.rows import Row
from pcc_cli.words import plural, size

_DRAWING = (tag("svg", role="group"), tag("div", class_="tip", role="status"))
_MODES = (("original", "Original"), ("reconstruction", "Decoded"), ("error", "Error"))


def summary(rows: Sequence[Row], headline: str, cards: Html, bars: Html) -> Html:
    """What came out, and of how much."""
    done = [row for row in rows if not row.skipped]
    files = len({row.file for row in rows})
    points = plural(sum({row.file: row.points for row in rows}.values()), noun(rows))
    lead = f"{plural(len(done), 'row')} of {plural(files, 'file')}, {points} in all"
    codecs = ", ".join(dict.fromkeys(row.codec for row in done))
    skipped = dict.fromkeys(f"{row.codec}: {row.skipped}" for row in rows if row.skipped)
    notes = [tag("p", tag("b", "Skipped "), text, class_="note") for text in skipped]
    about = tag(
        "p",
        f"{lead}, coded by {codecs or 'nothing'} and decoded again in other processes.",
        class_="lead",
    )
    return join([tag("h1", headline), about, cards, bars, notes])


def curves(rows: Sequence[Row], codecs: Sequence[str]) -> Html:
    """Places for the plots; page/plot.js draws them."""
    keys = [
        tag("li", tag("span", class_="dot", style=f"--colour: {colour_of(codec, codecs)}"), codec)
        for codec in codecs
    ]
    plots = [
        tag(
            "div",
            tag("h3", f"{metric.title}, {metric.unit}"),
            tag(
                "div",
                tag("svg", role="group"),
                tag("div", class_="tip", role="status"),
                class_="canvas plot",
            ),
            class_="card",
            id=f"plot-{metric.key}",
        )
        for metric in measured(rows)
        if metric.key in CURVES
    ]
    tools = tag(
        "div",
        tag("label", "File ", tag("select", id="plot-file")),
        tag("button", "Logarithmic rate", id="plot-log", type="button", aria_pressed="false"),
        class_="tools",
    )
    words = "Up and to the left is better. A dotted line marks a lossless file."
    legend = tag("ul", keys, class_="legend")
    title = tag("h2", "Quality over rate")
    return join([title, _lead(words), tools, legend, tag("div", plots, class_="plots")])


def differences(table: Html) -> Html:
    words = (
        "Change of the rate at equal quality, and of the quality at equal rate. "
        "Negative rates are savings."
    )
    return join([tag("h2", "BD-rate, file by file"), _lead(words), table])


def sight(shown: Sequence[Exhibit], files: int) -> Html:
    """Pictures of each exhibit and the view that can be turned; page/view.js shows one of them."""
    seen = len({exhibit.row.file for exhibit in shown})
    words = _sight_words({exhibit.row.kind for exhibit in shown})
    if seen < files:
        words += f" A page holds so much: {seen} of {files} files are here."
    tools = tag(
        "div",
        tag("label", "File ", tag("select", id="view-file")),
        tag("label", "Row ", tag("select", id="view-row")),
        class_="tools",
    )
    pictures = [_triptych(place, exhibit) for place, exhibit in enumerate(shown)]
    stage = _stage() if any(exhibit.turned for exhibit in shown) else []
    return join([tag("h2", "Look at it"), _lead(words), tools, pictures, stage])


def _sight_words(kinds: set[str]) -> str:
    """What the pictures of shapes of these kinds show."""
    words = ["The original, what came back, and"]
    if kinds - {"volume"}:
        words.append("how far each of its points is from the nearest original.")
    if "volume" in kinds:
        words.append(
            "Of volumes" if kinds - {"volume"} else "how large the error of each sample is:"
        )
        words.append("slices through the middle.")
    return " ".join(words)


def rows(table: Html) -> Html:
    tools = tag(
        "div",
        tag(
            "label", "Filter ", tag("input", id="filter", type="search", placeholder="file, rate …")
        ),
        tag("label", "Codec ", tag("select", id="filter-codec")),
        tag("label", "Sort by ", tag("select", id="sort"), class_="onlysmall"),
        tag("span", id="shown", class_="faint push", role="status"),
        class_="tools",
    )
    return join(
        [
            tag("h2", "Every row"),
            _lead("The smallest lossless file of each input is bold."),
            tools,
            table,
        ]
    )


def method(body: Html) -> Html:
    return join([tag("h2", "How every number was made"), _lead("So that you can repeat it."), body])


def label(row: Row) -> str:
    """A row in a few words."""
    return f"{row.codec} · {row.setting} · {row.bpp:.3g} bits per {NOUNS[row.kind]}"


def _triptych(place: int, exhibit: Exhibit) -> Html:
    row = exhibit.row
    captions = {
        "original": (
            tag("b", "Original"),
            f" {plural(row.points, NOUNS[row.kind])}",
            _cuts(exhibit),
        ),
        "reconstruction": (tag("b", "Decoded"), f" {label(row)}, {size(row.bytes)}"),
        "error": (tag("b", "Error"), f" {exhibit.unit}", _scale(exhibit)),
    }
    width, height = exhibit.pixels
    figures = []
    for name, caption in captions.items():
        alt = f"{name} of {row.file}, {row.codec} {row.setting}"
        image = tag("img", src=exhibit.pictures[name], alt=alt, width=width, height=height)
        figures.append(tag("figure", image, tag("figcaption", caption)))
    return tag("div", figures, class_="sight exhibit", data_exhibit=place)


def _cuts(exhibit: Exhibit) -> str:
    """Which slices of a volume are shown."""
    named = zip("zyx", exhibit.places, strict=False)
    found = [f"{axis} = {place}" for axis, place in named]
    return f", slices {found[0]} above, {found[1]} and {found[2]} below" if found else ""


def _scale(exhibit: Exhibit) -> list[Html]:
    """What the colours of the error mean."""
    if exhibit.top == 0.0:
        text = "every sample is as it was" if exhibit.places else "every point is where it was"
        return [tag("p", f"Nothing was lost: {text}.", class_="about")]
    colours = f"background: linear-gradient(90deg, {', '.join(ERROR.stops)})"
    ticks = [tag("span", f"{part * exhibit.top:.4g}") for part in (0.0, 0.5, 1.0)]
    return [tag("div", class_="scale", style=colours), tag("div", ticks, class_="ticks")]


def _stage() -> Html:
    modes = [
        tag("button", text, type="button", value=name, aria_pressed="false")
        for name, text in _MODES
    ]
    over = [
        tag("div", modes, class_="group", id="view-mode", role="group", aria_label="What is shown"),
        tag("button", "Reset", id="view-reset", type="button", class_="push"),
    ]
    hint = (
        "Drag to turn, scroll or pinch to zoom, shift or two fingers to move; arrow keys work too."
    )
    canvas = tag(
        "canvas", id="stage", tabindex=0, role="img", aria_label="The shape in three dimensions"
    )
    stage = tag("div", canvas, tag("div", over, class_="over"), class_="card stage")
    return tag("div", stage, tag("p", hint, class_="note"), id="turn")


def _lead(text: str) -> Html:
    return tag("p", text, class_="lead")
