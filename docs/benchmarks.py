"""Writes the tables of docs/benchmarks.md from runs of `pcc eval`, each kept with `-o RUN`.

python docs/benchmarks.py RUN...

Tables of which these runs have no rows stay as they are.
"""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path

import numpy as np

from pcc_cli.codecs import CODECS, is_ours
from pcc_cli.errors import InputError
from pcc_cli.evaluation.bd import bd_table
from pcc_cli.evaluation.report.method import machine
from pcc_cli.evaluation.report.numbers import TITLES as NAMES
from pcc_cli.evaluation.rows import Row, read_rows
from pcc_cli.evaluation.summary import standings

DOCUMENT = Path(__file__).with_name("benchmarks.md")
START, END = "<!-- tables: made by docs/benchmarks.py -->\n", "<!-- end of tables -->\n"
WITH_ATTRIBUTES = "--attributes"
DEEPCOMPRESS, FIRST_MODEL = "deepcompress.1", "deepcompress.1:gaussian"
# Of the size, over `gaussian`: what the README of the original DeepCompress says.
CLAIMED = {"hyperprior": "-15 to -25 %", "channel": "-25 to -35 %", "context": "-30 to -40 %"}
HOW_BY_MODEL = """\
Latents alone at three gains, `pcc eval CLOUD --codec deepcompress --entropy-models all
--against gpcc`; and by quality, `pcc eval CLOUD --codec deepcompress --against gpcc`. Each row is a
file that was decoded in a fresh process. Savings are BD-rates (D1), beside those that the README of
the original claims for its models.
"""
OTHERS = ("draco", "laz", "zstd")
VOLUME_RATES = (0.064, 0.32)  # bits a sample
AT_SIZES, AT_BOUNDS = ("sperr", "tthresh"), ("sz3", "zfp")
KEYS = "keyspheres.1"
# Names of made things begin so; all others of the dev meshes are animals, people, statues, fruit.
MADE = ("abc", "bsq", "contactdb_bin", "contactdb_f", "contactdb_m", "seg", "thingi", "tm", "ycb_c")
SURFACE = {"chamfer": "Chamfer", "f_score": "F-score", "mesh_distance": "distance to the surface"}
HEADING = "\n## "
VERSIONS = re.compile(r"^Versions: (.*)\.$", re.MULTILINE)


def main(folders: list[str]) -> None:
    """Replaces what stands between the two marks, as far as there are rows for it."""
    rows = [row for name in folders for row in read_rows(Path(name)) if not row.skipped]
    if not rows:
        raise InputError("name the folder of a run")
    text = DOCUMENT.read_text("utf-8")
    before, rest = text.split(START)
    old, after = rest.split(END)
    made = merged(old, "".join(tables(rows)))
    DOCUMENT.write_text(before + START + made + END + after, "utf-8")


def merged(old: str, new: str) -> str:
    """The sections of `new`, and those of `old` that it lacks; versions of both."""
    (_, *kept), (head, *made) = (text.split(HEADING) for text in (old, new))
    sections = {text.partition("\n")[0]: text for text in (*kept, *made)}
    ordered = [sections.pop(title) for title in TITLES if title in sections]
    versions = dict(
        one.split(": ", 1)
        for text in (old, new)
        for found in VERSIONS.findall(text)
        for one in found.split("; ")
    )
    listed = "; ".join(f"{name}: {version}" for name, version in versions.items())
    head = VERSIONS.sub(lambda _: f"Versions: {listed}.", head)
    return HEADING.join([head, *ordered, *sections.values()])


ENTROPY_MODELS = "Entropy models of deepcompress"
TITLES = (
    "Lossless geometry",
    "Lossy geometry",
    "BD-rates",
    ENTROPY_MODELS,
    "Whole clouds, with attributes",
    "LAS files, with every field",
    "Lossy colours",
    "Time and memory, lossless geometry",
    "Meshes",
    "Meshes at 2, 4 and 8 kB",
    "Volumes",
    "BD-rates, volumes",
    "Time and memory, volumes",
)


def tables(rows: list[Row]) -> Iterator[str]:
    """All tables that the rows give, with their titles."""
    fields = [row for row in rows if row.kind == "volume"]
    clouds = [row for row in rows if row.kind == "points"]
    triangles = [row for row in rows if row.kind == "mesh"]
    small = {row.file for row in triangles if row.codec == KEYS}
    geometry = [row for row in clouds if WITH_ATTRIBUTES not in row.config]
    attributed = [row for row in clouds if WITH_ATTRIBUTES in row.config]
    by_model = [row for row in geometry if row.codec.startswith(DEEPCOMPRESS)]
    peers = [row for row in geometry if not is_ours(row.codec)]
    with_ours = {row.file for row in geometry if ours(row) and row not in by_model}
    geometry = [row for row in geometry if row.file in with_ours and row not in by_model]
    facts = machine()
    versions = dict.fromkeys(f"{row.codec}: {row.version}" for row in rows)
    yield f"\nMeasured on {facts['Processor']}, {facts['System']}, Python {facts['Python']}, "
    yield f"torch {facts['torch']}, with other work beside: sizes are exact, times are not.\n"
    yield f"Versions: {'; '.join(versions)}.\n"
    made = (
        lossless(geometry),
        lossy(geometry),
        bd(geometry),
        entropy_models([*by_model, *peers]),
        whole(attributed),
        las(attributed),
        lossy_colours(attributed),
        times(geometry),
        meshes([row for row in triangles if row.file not in small]),
        small_meshes([row for row in triangles if row.file in small]),
        volumes(fields),
        bd(fields),
        volume_times(fields),
    )
    yield from (section(title, lines) for title, lines in zip(TITLES, made, strict=True))


def section(title: str, lines: Iterable[str]) -> str:
    """A heading and its lines; "" without lines."""
    text = "\n".join(lines)
    return f"\n## {title}\n\n{text}\n" if text else ""


def table(titles: str, lines: Iterable[list[str]]) -> Iterator[str]:
    """The lines of a table, titles separated by blanks and bars; nothing without lines."""
    found = list(lines)
    if found:
        yield f"| {titles} |"
        yield "|" + "---|" * (titles.count("|") + 1)
        yield from (f"| {' | '.join(line)} |" for line in found)


def cases(rows: list[Row]) -> Iterator[tuple[Row, list[Row]]]:
    """The rows of one file on one grid, and the first of them."""
    ordered = sorted(rows, key=lambda row: (row.file, row.grid))
    for _, group in groupby(ordered, lambda row: (row.file, row.grid)):
        found = list(group)
        yield found[0], found


def smallest(rows: list[Row], *beginnings: str) -> Row | None:
    """The smallest lossless row of a codec that begins so; of ours without a beginning."""
    found = [
        row
        for row in rows
        if row.lossless and (row.codec.startswith(beginnings) if beginnings else ours(row))
    ]
    return min(found, key=lambda row: row.bytes, default=None)


def ours(row: Row) -> bool:
    return row.codec in CODECS


def lossless(rows: list[Row]) -> Iterator[str]:
    """pcc, the best mode of G-PCC and the others, whole files, and the means."""

    def lines() -> Iterator[list[str]]:
        for about, group in cases(rows):
            pcc, gpcc = smallest(group), smallest(group, "gpcc")
            octree = smallest(group, "gpcc-octree")
            if pcc is not None:
                yield [
                    f"`{Path(about.file).stem}`",
                    f"{about.points:,}",
                    about.grid,
                    f"{pcc.bytes:,}",
                    f"{pcc.bpp:.3f}",
                    *([f"{gpcc.bpp:.3f}", next(iter(gpcc.sections))] if gpcc else ["", ""]),
                    percent(pcc, gpcc),
                    bpp(octree),
                    percent(pcc, octree),
                    *(bpp(smallest(group, name)) for name in OTHERS),
                ]

    yield from table(
        "file | points | grid | pcc, bytes | bpp | G-PCC, bpp | mode | pcc to G-PCC "
        "| octree, bpp | pcc to octree | Draco | LAZ | Zstandard",
        lines(),
    )


def percent(ours: Row, theirs: Row | None) -> str:
    """How much larger our file is."""
    return f"{100 * (ours.bytes / theirs.bytes - 1):+.1f} %" if theirs else ""


def bpp(row: Row | None) -> str:
    return f"{row.bpp:.3f}" if row else ""


def lossy(rows: list[Row]) -> Iterator[str]:
    """Every lossy row."""
    yield from table(
        "file | codec | rate | bpp | D1 dB | D2 dB | peak",
        (
            [
                f"`{Path(row.file).stem}`",
                f"{row.codec}",
                row.setting,
                f"{row.bpp:.4f}",
                f"{row.metrics['d1_psnr_db']:.2f}",
                f"{row.metrics['d2_psnr_db']:.2f}",
                f"{row.peak:g}",
            ]
            for _, group in cases(rows)
            for row in group
            if not row.lossless and row.setting != "lossless"  # Draco merges duplicates
        ),
    )


def bd(rows: list[Row]) -> Iterator[str]:
    """Our codecs against each peer."""
    codecs = dict.fromkeys(row.codec for row in rows)
    yield from table(
        "file | codec | against | metric | BD-rate | BD-PSNR",
        (
            [
                f"`{Path(entry.file).stem}`",
                entry.codec,
                entry.anchor,
                NAMES[entry.metric],
                entry.refused or f"{entry.rate_percent:+.1f} %",
                "" if entry.psnr_db is None else f"{entry.psnr_db:+.2f} dB",
            ]
            for _, group in cases(rows)
            for anchor in codecs
            if anchor not in CODECS
            for entry in bd_table(group, anchor)
            if entry.codec in CODECS
        ),
    )
    for one in standings(rows, list(CODECS)):
        if one.lossless_percent is not None:
            yield f"\nLossless, {one.codec} against {one.anchor}: {one.lossless_percent:+.1f} %, "
            yield f"mean of {one.lossless_files} files."


def entropy_models(rows: list[Row]) -> Iterator[str]:
    """Sizes, and savings at equal D1: over the first entropy model, and over G-PCC."""

    def lines() -> Iterator[list[str]]:
        for about, group in cases(rows):
            anchors = (FIRST_MODEL, "gpcc-octree", "gpcc-trisoup")
            saved = {
                (entry.codec, entry.anchor): entry.refused or f"{entry.rate_percent:+.1f} %"
                for anchor in anchors
                for entry in bd_table(group, anchor)
                if entry.metric == "d1_psnr_db"
            }
            names = [row.codec for row in group if row.codec.startswith(DEEPCOMPRESS)]
            for codec in dict.fromkeys(names):
                mine = sorted((row for row in group if row.codec == codec), key=lambda r: r.bytes)
                name = codec.partition(":")[2]
                yield [
                    f"`{Path(about.file).stem}`",
                    f"`{name}`" if name else "by quality",
                    "; ".join(f"{row.bytes:,} @ {row.metrics['d1_psnr_db']:.2f}" for row in mine),
                    saved.get((codec, FIRST_MODEL), "") if name else "",
                    CLAIMED.get(name, ""),
                    *(saved.get((codec, anchor), "") for anchor in anchors[1:]),
                ]

    found = list(table(
        "file | model | bytes @ D1 dB | over `gaussian` | claimed | G-PCC octree | trisoup", lines()
    ))  # fmt: skip
    if found:
        yield HOW_BY_MODEL
        yield from found


def whole(rows: list[Row]) -> Iterator[str]:
    """Files with everything in them, but those of LAS."""
    names = ("gpcc", "zstd")

    def lines() -> Iterator[list[str]]:
        for about, group in cases(rows):
            pcc = smallest(group)
            others = [smallest(group, name) for name in names]
            if pcc is None or smallest(group, "laz"):
                continue
            yield [
                f"`{Path(about.file).stem}`",
                f"{about.points:,}",
                f"{pcc.bytes:,}",
                *(f"{other.bytes:,}" if other else "" for other in others),
                *(percent(pcc, other) for other in others),
                *cost(pcc),
                ", ".join(f"{name} {size:,}" for name, size in pcc.sections.items()),
            ]

    yield from table(
        "file | points | pcc, bytes | G-PCC, bytes | Zstandard, bytes | pcc to G-PCC "
        "| pcc to Zstandard | pcc, s | back | MiB | back | parts of pcc",
        lines(),
    )


def las(rows: list[Row]) -> Iterator[str]:
    """LAS files beside LAZ, in both orders."""
    found = []
    for about, group in cases(rows):
        pcc, ordered = smallest(group), smallest(group, "laz-morton")
        natural = next((row for row in group if row.codec == "laz"), None)
        if pcc and ordered and natural:
            found.append((about, pcc, ordered, natural))
    yield from table(
        "file | points | pcc, bytes | LAZ, same order | LAZ, order of the file | pcc to LAZ, same "
        "order | pcc to LAZ, order of the file",
        (
            [
                f"`{Path(about.file).name}`",
                f"{about.points:,}",
                *(f"{row.bytes:,}" for row in (pcc, ordered, natural)),
                percent(pcc, ordered),
                percent(pcc, natural),
            ]
            for about, pcc, ordered, natural in found
        ),
    )
    if found:
        ahead = [sum(pcc.bytes < other[k].bytes for _, pcc, *other in found) for k in range(2)]
        yield f"\nSmaller than LAZ in the same order on {ahead[0]} of {len(found)},"
        yield f"than LAZ in the order of the file on {ahead[1]}."


def lossy_colours(rows: list[Row]) -> Iterator[str]:
    """Colours that lose something, on exact geometry; whole files."""
    lossy = [row for row in rows if row.setting != "lossless" and "y_psnr_db" in row.metrics]
    yield from table(
        "file | codec | rate | bytes | bpp | Y dB | YUV dB",
        (
            [
                f"`{Path(row.file).stem}`",
                row.codec,
                row.setting,
                f"{row.bytes:,}",
                f"{row.bpp:.3f}",
                f"{row.metrics['y_psnr_db']:.2f}",
                f"{row.metrics['yuv_psnr_db']:.2f}",
            ]
            for _, group in cases(lossy)
            for row in group
        ),
    )
    yield from ("", *bd(lossy)) if lossy else ()


def cost(row: Row | None) -> list[str]:
    """Seconds and MiB, each there and back."""
    if row is None:
        return [""] * 4
    return [
        f"{row.encode_s:.2f}",
        f"{row.decode_s:.2f}",
        f"{row.encode_mb:.0f}",
        f"{row.decode_mb:.0f}",
    ]


def times(rows: list[Row]) -> Iterator[str]:
    """Seconds and MiB of pcc and of G-PCC."""

    yield from table(
        "file | points | grid | pcc, s | back | MiB | back | G-PCC, s | back | MiB | back",
        (
            [
                f"`{Path(about.file).stem}`",
                f"{about.points:,}",
                about.grid,
                *cost(smallest(group)),
                *cost(smallest(group, "gpcc")),
            ]
            for about, group in cases(rows)
        ),
    )


def meshes(rows: list[Row]) -> Iterator[str]:
    """Every row of a mesh."""
    yield from table(
        "file | codec | rate | bytes | D1 dB | D2 dB | F-score | IoU",
        (
            [
                f"`{Path(row.file).stem}`",
                row.codec,
                row.setting,
                f"{row.bytes:,}",
                *(f"{row.metrics[name]:.2f}" for name in ("d1_psnr_db", "d2_psnr_db")),
                f"{row.metrics['f_score']:.3f}",
                f"{row.metrics['iou']:.4f}" if "iou" in row.metrics else "",
            ]
            for row in rows
        ),
    )


def decimated(rows: list[Row], size: int) -> dict[str, float]:
    """What decimation and Draco have at `size` bytes, between the two rows beside it.

    A straight line through the logarithms. With all its faces a mesh is the last of these rows.
    """
    rivals = [row for row in rows if row.codec == "decimation+draco" or row.setting == "qp10"]
    rivals.sort(key=lambda row: row.bytes)
    places = [math.log(row.bytes) for row in rivals]
    return {
        name: math.exp(
            np.interp(math.log(size), places, [math.log(row.metrics[name]) for row in rivals])
        )
        for name in SURFACE
    }


def small_meshes(rows: list[Row]) -> Iterator[str]:
    """keyspheres at each size beside decimation and Draco; then how often it is ahead."""
    ahead: dict[tuple[str, str, str], list[bool]] = {}

    def line(row: Row, group: list[Row]) -> list[str]:
        name, mine, theirs = Path(row.file).stem, row.metrics, decimated(group, row.bytes)
        kind = "made" if name.startswith(MADE) else "organic"
        won = {m: (mine[m] > theirs[m]) == (m == "f_score") for m in SURFACE}
        for m in SURFACE:
            ahead.setdefault((row.setting, m, kind), []).append(won[m])
        pairs = (
            small_cell(values, m, row.peak or 1.0, best)
            for m in SURFACE
            for values, best in ((mine, won[m]), (theirs, not won[m]))
        )
        return [
            f"`{name}`",
            f"{row.bytes:,}",
            *pairs,
            f"{mine['iou']:.4f}" if "iou" in mine else "",
        ]

    def lines() -> Iterator[list[str]]:
        for _, group in cases(rows):
            mine = sorted((row for row in group if row.codec == KEYS), key=lambda row: row.bytes)
            yield from (line(row, group) for row in mine)

    titles = " | ".join(f"{title} | decimated" for title in SURFACE.values())
    yield from table(f"mesh | bytes | {titles} | IoU", lines())
    for setting in dict.fromkeys(place[0] for place in ahead):
        counts = (
            f"{SURFACE[m]}, {kind} {sum(won)} of {len(won)}"
            for (one, m, kind), won in sorted(ahead.items())
            if one == setting
        )
        yield f"\nAhead at {setting.removeprefix('size ')} bytes: {'; '.join(counts)}."


def small_cell(values: dict[str, float], metric: str, longest: float, best: bool) -> str:
    """Lengths in thousandths of the longest side; bold if it is the better of two."""
    value = values[metric]
    text = f"{value:.3f}" if metric == "f_score" else f"{1000 * value / longest:.2f}"
    return f"**{text}**" if best else text


def at_rate(rows: list[Row], codec: str, rate: float) -> Row | None:
    """The row at a size; of coders that know bounds alone the nearest one that lost something."""
    mine = [row for row in rows if row.codec == codec]
    if codec not in AT_BOUNDS:
        return next((row for row in mine if row.setting == f"bpp {rate:g}"), None)
    lossy = [row for row in mine if not row.lossless]
    return min(lossy, key=lambda row: abs(math.log(row.bpp / rate)), default=None)


def at_size(row: Row, rate: float) -> bool:
    """Whether the file has the size that was asked."""
    return row.codec not in AT_BOUNDS and row.bpp < 1.15 * rate


def decibels(row: Row | None) -> float:
    return row.metrics["psnr_db"] if row else -math.inf


def volume_cell(row: Row | None, rate: float, best: float) -> str:
    """PSNR, and the bytes, or, beside the rate, the bits a sample; bold if it is the best."""
    if row is None:
        return ""
    text = "lossless" if row.lossless else f"{decibels(row):.2f}"
    near = at_size(row, rate)
    text = f"**{text}**" if near and decibels(row) == best else text
    return f"{text} ({row.bytes:,} B)" if near else f"{text} @ {row.bpp:.3f}"


def ours_at(rows: list[Row], rate: float) -> Row | None:
    return next((row for row in rows if ours(row) and row.setting == f"bpp {rate:g}"), None)


def volumes(rows: list[Row]) -> Iterator[str]:
    """PSNR at two rates beside every peer; then how often pcc is ahead."""
    ahead: dict[tuple[str, float], list[str]] = {}

    def lines() -> Iterator[list[str]]:
        for about, group in cases(rows):
            name, plain = f"`{Path(about.file).stem}`", smallest(group)
            for rate in VOLUME_RATES:
                pcc = ours_at(group, rate)
                others = {codec: at_rate(group, codec, rate) for codec in (*AT_SIZES, *AT_BOUNDS)}
                sized = [pcc, *(others[codec] for codec in AT_SIZES)]
                best = max(decibels(row) for row in sized if not row or at_size(row, rate))
                for codec in AT_SIZES:
                    if others[codec]:
                        won = decibels(pcc) > decibels(others[codec])
                        ahead.setdefault((codec, rate), []).append(name if won else "")
                yield [
                    *([name, f"{about.points:,}"] if rate == VOLUME_RATES[0] else ["", ""]),
                    f"{rate:g}",
                    *(volume_cell(row, rate, best) for row in (pcc, *others.values())),
                    bpp(plain) if rate == VOLUME_RATES[0] else "",
                ]

    yield from table(
        "volume | samples | bits | pcc | SPERR | TTHRESH | SZ3 | zfp | lossless, pcc", lines()
    )
    for (codec, rate), names in ahead.items():
        won = [name for name in names if name]
        text = f"all {len(names)}" if len(won) == len(names) else f"{len(won)} of {len(names)}"
        which = f": {', '.join(won)}" if 0 < len(won) < len(names) else ""
        yield f"\nAhead of {codec.upper()} at {rate:g} bits a sample on {text}{which}."


def volume_times(rows: list[Row]) -> Iterator[str]:
    """Seconds and MiB at the larger rate."""
    rate = VOLUME_RATES[-1]

    def cells(row: Row | None) -> list[str]:
        if row is None:
            return [""] * 3
        return [f"{row.encode_s:.1f}", f"{row.decode_s:.1f}", f"{row.encode_mb:.0f}"]

    titles = [f"{name}, s | back | MiB" for name in ("pcc", "SPERR", "TTHRESH")]
    yield from table(
        " | ".join(["volume | samples", *titles]),
        (
            [
                f"`{Path(about.file).stem}`",
                f"{about.points:,}",
                *cells(ours_at(group, rate)),
                *(part for codec in AT_SIZES for part in cells(at_rate(group, codec, rate))),
            ]
            for about, group in cases(rows)
        ),
    )


if __name__ == "__main__":
    main(sys.argv[1:])
