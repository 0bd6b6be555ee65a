"""The end of the page: how every number was made."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

from pcc_cli import __version__
from pcc_cli.evaluation.report.markup import Html, tag
from pcc_cli.evaluation.report.numbers import MEANING, NOUNS, measured
from pcc_cli.evaluation.rows import CSV_NAME, JSON_NAME, Row
from pcc_cli.words import plural

_PACKAGES = ("torch", "numpy", "scipy", "constriction")
_SAME = {
    "points": "Every codec got the same integers: the geometry on the grid of the file, or on "
    "coarser ones where points that meet are merged.",
    "volume": "Every codec got the same samples of a volume, classical ones as floats.",
}
_HOW = (
    "Each row was coded in one fresh process and decoded in another; what came out was compared "
    "with the input. Sizes are those of whole files.",
    "Seconds leave out imports and the reading and writing of files; memory is the peak of the "
    "whole process.",
    "BD-rate is the mean change of the rate at equal quality, BD-PSNR that of the quality at equal "
    "rate, where the two curves overlap.",
)


def machine() -> dict[str, str]:
    """Where this process runs, in words."""
    return {
        "pcc": __version__,
        "Processor": f"{_processor()}, {plural(os.cpu_count() or 1, 'core')}",
        "System": f"{platform.system()} {platform.release()}",
        "Python": platform.python_version(),
        **{name: version for name in _PACKAGES if (version := _version(name))},
    }


def method_section(rows: Sequence[Row], command: str) -> Html:
    """Command, machine and versions; what the numbers mean; every file and configuration."""
    done = [row for row in rows if not row.skipped]
    devices = ", ".join(dict.fromkeys(row.device for row in done))
    facts: dict[str, str] = {"Command": tag("code", command)} if command else {}
    facts |= {**machine(), "Computed on": devices or "-"}
    versions = {row.codec: row.version for row in done if row.version}
    facts |= {f"{codec}": version for codec, version in versions.items()}
    kinds = {"volume" if row.kind == "volume" else "points" for row in done}
    how = [tag("li", text) for text in (*_HOW, *(_SAME[kind] for kind in sorted(kinds)))]
    how += [tag("li", tag("b", m.title), f": {MEANING[m.key]}") for m in measured(done)]
    parts = [
        tag("div", tag("h3", "Where"), _facts(facts), class_="card"),
        tag("div", tag("h3", "How"), tag("ul", how), class_="card"),
    ]
    names = [tag("code", JSON_NAME), " and ", tag("code", CSV_NAME)]
    note = tag(
        "p", "The same numbers, and more, are in ", names, " beside this page.", class_="note"
    )
    return Html(tag("div", parts, class_="two") + _files(rows) + _settings(done) + note)


def _facts(facts: dict[str, str]) -> Html:
    lines = [(tag("dt", name), tag("dd", text)) for name, text in facts.items()]
    return tag("dl", lines, class_="facts")


def _files(rows: Sequence[Row]) -> Html:
    lines = []
    for row in {row.file: row for row in rows}.values():
        about = plural(row.points, NOUNS[row.kind])
        if row.peak:
            about += f", peak for PSNR {row.peak:g}"
        lines.append(
            (tag("dt", row.file), tag("dd", about, tag("br"), "sha256 ", tag("code", row.sha256)))
        )
    return tag("details", tag("summary", "Files"), tag("dl", lines, class_="facts"))


def _settings(rows: Sequence[Row]) -> Html:
    """The exact configuration of every codec and setting, once each."""
    known = dict.fromkeys((row.codec, row.setting, row.config) for row in rows)
    found = []
    for codec in dict.fromkeys(row.codec for row in rows):
        lines = [
            tag("p", tag("b", setting), tag("pre", config or "no options"))
            for name, setting, config in known
            if name == codec
        ]
        found.append(tag("details", tag("summary", f"Configurations of {codec}"), lines))
    return Html("".join(found))


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""
