"""Writes the tables of docs/benchmarks.md from runs of `pcc eval`, each kept with `-o RUN`.

python docs/benchmarks.py RUN...

Tables of which these runs have no rows stay as they are.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from tables.attributes import las, lossy_colours, whole
from tables.clouds import DEEPCOMPRESS, entropy_models, lossless, lossy, times
from tables.common import bd, ours
from tables.meshes import KEYS, meshes, small_meshes
from tables.volumes import volume_times, volumes

from pcc_cli.codecs import is_ours
from pcc_cli.errors import InputError
from pcc_cli.evaluation.report.method import machine
from pcc_cli.evaluation.rows import Row, read_rows

DOCUMENT = Path(__file__).with_name("benchmarks.md")
START, END = "<!-- tables: made by docs/benchmarks.py -->\n", "<!-- end of tables -->\n"
WITH_ATTRIBUTES = "--attributes"
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


if __name__ == "__main__":
    main(sys.argv[1:])
