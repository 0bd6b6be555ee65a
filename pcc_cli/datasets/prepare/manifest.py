"""What a prepared folder holds: one line of JSON for each source that was worked on.

Lines are appended as sources are finished, so that an interrupted run can go on: a source is done
when its line names the same content and the same settings, and the files are still there.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pcc_cli.errors import InputError

NAME = "manifest.jsonl"


@dataclass(frozen=True)
class Made:
    """A file: its path below the folder, points or None, and the SHA-256 of its bytes."""

    path: str
    sha256: str
    points: int | None = None


@dataclass(frozen=True)
class Entry:
    """A source and what became of it.

    source : its path below the input folder; origin : the first source of all, before any step
    settings : those of the step that decide about the files
    """

    source: str
    origin: str
    source_sha256: str
    step: str
    settings: dict[str, Any]
    files: tuple[Made, ...]

    def is_done(self, folder: Path) -> bool:
        """Whether all files are there."""
        return all((folder / made.path).is_file() for made in self.files)


def read(folder: Path) -> dict[str, Entry]:
    """The entries of `folder` by source, the last one of each; {} without a manifest."""
    path = folder / NAME
    if not path.is_file():
        return {}
    return {entry.source: entry for entry in _entries(path)}


def _entries(path: Path) -> Iterator[Entry]:
    lines = path.read_text().splitlines()
    for number, line in enumerate(lines, 1):
        try:
            record = json.loads(line)
            files = tuple(Made(**made) for made in record.pop("files"))
            yield Entry(**record, files=files)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            if number == len(lines):
                return  # a run was stopped while it wrote this line
            raise InputError(f"{path}: line {number} is not of a manifest: {error}") from None


def append(folder: Path, entry: Entry) -> None:
    """Adds a line."""
    with (folder / NAME).open("a") as file:
        file.write(json.dumps(asdict(entry)) + "\n")


def rewrite(folder: Path, entries: list[Entry]) -> None:
    """Replaces all lines, in the order of the sources, so that equal runs leave equal files."""
    lines = [json.dumps(asdict(e)) + "\n" for e in sorted(entries, key=lambda e: e.source)]
    temporary = folder / f".{NAME}.tmp"
    temporary.write_text("".join(lines))
    temporary.replace(folder / NAME)


def origins(folder: Path) -> dict[str, str]:
    """Path of each file of `folder` -> the first source that it was made from."""
    return {made.path: entry.origin for entry in read(folder).values() for made in entry.files}


def sha256(path: Path) -> str:
    """Of a file's bytes, hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while part := file.read(1 << 20):
            digest.update(part)
    return digest.hexdigest()
