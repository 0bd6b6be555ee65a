"""What an evaluation measures: one flat record for each file, codec and setting.

A run is a folder. `rows.jsonl` holds one `Row` a line, in the order in which they were measured;
`rows.csv` holds the same for spreadsheets. docs/metrics.md defines every number.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from pcc_cli.errors import InputError

JSON_NAME, CSV_NAME = "rows.jsonl", "rows.csv"


@dataclass(frozen=True)
class Row:
    """One file coded by one codec at one setting, decoded in another process, and measured.

    file, sha256, kind : name of the input, digest of its bytes, "points", "mesh" or "volume"
    points : points, vertices or samples of the input; duplicates count
    grid : what the coordinates were rounded to before any coding, "" for meshes
    codec, version : codec id or name of a peer, and the version of the program
    setting : label of the rate, such as "lossless" or "r03"
    config : every option that makes the row, as text
    bytes, bpp : the whole compressed file, and its bits per input point
    sections : part of the file -> bytes
    encode_s, decode_s : seconds, reading and writing of shapes and imports left out
    encode_mb, decode_mb : peak memory of the process, MiB
    device : where the codec computed, "cpu" or "cuda"
    lossless : the decoded points are those of the input, as a multiset
    metrics : name -> value; infinite where nothing was lost
    peak : of the signal, for PSNR; None when no metric needs one
    original, reconstruction : files for pictures, relative to the folder of the run, "" for none
    skipped : why there are no numbers, "" when there are
    """

    file: str
    sha256: str
    kind: str
    points: int
    codec: str
    grid: str = ""
    version: str = ""
    setting: str = ""
    config: str = ""
    bytes: int = 0
    bpp: float = 0.0
    sections: dict[str, int] = field(default_factory=dict)
    encode_s: float = 0.0
    decode_s: float = 0.0
    encode_mb: float = 0.0
    decode_mb: float = 0.0
    device: str = "cpu"
    lossless: bool = False
    metrics: dict[str, float] = field(default_factory=dict)
    peak: float | None = None
    original: str = ""
    reconstruction: str = ""
    skipped: str = ""

    @property
    def key(self) -> tuple[str, ...]:
        """What makes a row: two rows with the same key measure the same thing."""
        return (self.file, self.sha256, self.codec, self.setting, self.version, self.config)

    def to_json(self) -> dict[str, Any]:
        """JSON, which knows no infinity: null stands for it."""
        metrics = {name: v if math.isfinite(v) else None for name, v in self.metrics.items()}
        return {**asdict(self), "metrics": metrics}

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> Row:
        """The row that `to_json` made `record` of; InputError when it is none."""
        known = {entry.name for entry in fields(cls)}
        try:
            metrics = {
                name: math.inf if value is None else float(value)
                for name, value in record.get("metrics", {}).items()
            }
            kept = {name: value for name, value in record.items() if name in known}
            return cls(**{**kept, "metrics": metrics})
        except (TypeError, ValueError, AttributeError) as error:
            raise InputError(f"not a row of an evaluation: {error}") from error


def read_rows(folder: Path) -> list[Row]:
    """The rows of a run, [] when it has none yet. InputError for a damaged file.

    A last line without its end is one that an interruption cut: it is left out.
    """
    path = folder / JSON_NAME
    if not path.exists():
        return []
    lines = path.read_text("utf-8").split("\n")[:-1]
    rows = []
    for number, line in enumerate(lines, 1):
        try:
            rows.append(Row.from_json(json.loads(line)))
        except (json.JSONDecodeError, InputError) as error:
            raise InputError(f"{path}: line {number}: {error}") from error
    return rows


def append_row(folder: Path, row: Row) -> None:
    """Adds one row at the end of those of the run."""
    with (folder / JSON_NAME).open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(row.to_json(), allow_nan=False) + "\n")


def write_rows(folder: Path, rows: Iterable[Row]) -> None:
    """The rows of the run, in place of those that are there."""
    lines = [json.dumps(row.to_json(), allow_nan=False) + "\n" for row in rows]
    temporary = folder / (JSON_NAME + ".tmp")
    temporary.write_text("".join(lines), "utf-8")
    temporary.replace(folder / JSON_NAME)


def write_csv(folder: Path, rows: Sequence[Row]) -> None:
    """`rows.csv`: a column for each field, section ("section_...") and metric of any row."""
    records = [_flat(row) for row in rows]
    names = list(dict.fromkeys(name for record in records for name in record))
    with (folder / CSV_NAME).open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, names, restval="")
        writer.writeheader()
        writer.writerows(records)


def _flat(row: Row) -> dict[str, Any]:
    record = asdict(row)
    sections, metrics = record.pop("sections"), record.pop("metrics")
    return {**record, **{f"section_{name}": size for name, size in sections.items()}, **metrics}
