"""The header of a PCD file: fields, their types and counts, and how many points follow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from pcc_cli.formats.columns import names_of

HEADER_LIMIT = 1 << 16
COMPONENTS_LIMIT = 1 << 14  # numbers in a point; signatures such as GASD have some thousands
POINTS_LIMIT = 1 << 40
ENCODINGS = ("ascii", "binary", "binary_compressed")
_KINDS = {"F": "f", "I": "i", "U": "u"}
_SIZES = {"F": (4, 8), "I": (1, 2, 4, 8), "U": (1, 2, 4, 8)}


@dataclass(frozen=True)
class Field:
    """One field: `kind` as PCD spells it, such as "F4"; "_" is padding."""

    name: str
    kind: str
    count: int = 1

    @property
    def type(self) -> np.dtype[Any]:
        """Of one component."""
        return np.dtype(f"<{_KINDS[self.kind[0]]}{self.kind[1:]}")

    @property
    def titles(self) -> list[str]:
        """The column of each component; none of padding."""
        if self.name == "_":
            return []
        return names_of(self.name, self.count if self.count > 1 else None)


@dataclass(frozen=True)
class Header:
    """body : where the points start; viewpoint as in the file"""

    fields: tuple[Field, ...]
    width: int
    height: int
    points: int
    encoding: str
    viewpoint: str | None
    body: int = 0

    @property
    def row(self) -> np.dtype[Any]:
        """A point in a binary body; fields are called by their numbers, for names may repeat."""
        kinds = [(str(i), f.type, (f.count,)) for i, f in enumerate(self.fields)]
        return np.dtype(kinds)

    def text(self) -> str:
        """The lines as PCL writes them."""
        lines = {
            "# .PCD": "v0.7 - Point Cloud Data file format",
            "VERSION": "0.7",
            "FIELDS": " ".join(field.name for field in self.fields),
            "SIZE": " ".join(field.kind[1:] for field in self.fields),
            "TYPE": " ".join(field.kind[0] for field in self.fields),
            "COUNT": " ".join(str(field.count) for field in self.fields),
            "WIDTH": self.width,
            "HEIGHT": self.height,
            "VIEWPOINT": self.viewpoint or "0 0 0 1 0 0 0",
            "POINTS": self.points,
            "DATA": self.encoding,
        }
        return "".join(f"{key} {value}\n" for key, value in lines.items())


def read_header(data: bytes) -> Header:
    """The header at the start of `data`; ValueError when it does not make sense."""
    entries: dict[str, list[str]] = {}
    body = 0
    while "DATA" not in entries:
        end = data.find(b"\n", body, HEADER_LIMIT)
        if end < 0:
            raise ValueError("the header has no DATA line")
        line = data[body:end].decode("utf-8", "replace").split()
        body = end + 1
        if line and not line[0].startswith("#"):
            entries[line[0]] = line[1:]
    return _check_header(entries, body)


def _check_header(entries: dict[str, list[str]], body: int) -> Header:
    missing = [key for key in ("FIELDS", "SIZE", "TYPE", "DATA") if not entries.get(key)]
    if missing:
        raise ValueError(f"the header has no {missing[0]} line")
    names = entries["FIELDS"]
    counts = [int(count) for count in entries.get("COUNT", ["1"] * len(names))]
    kinds = [f"{kind}{int(size)}" for kind, size in _pairs(entries["TYPE"], entries["SIZE"])]
    if not len(names) == len(kinds) == len(counts) or min(counts) < 1:
        raise ValueError("FIELDS, SIZE, TYPE and COUNT do not match")
    if sum(counts) > COMPONENTS_LIMIT:
        raise ValueError(f"{sum(counts):,} numbers in a point, {COMPONENTS_LIMIT:,} are allowed")
    unknown = [kind for kind in kinds if int(kind[1:]) not in _SIZES.get(kind[0], ())]
    if unknown:
        raise ValueError(f"unknown field type {unknown[0]}")
    width, height = (int(entries.get(key, ["1"])[0]) for key in ("WIDTH", "HEIGHT"))
    points = int(entries["POINTS"][0]) if "POINTS" in entries else width * height
    if not 0 <= points <= POINTS_LIMIT:
        raise ValueError(f"it cannot hold {points} points")
    encoding = entries["DATA"][0].lower()
    if encoding not in ENCODINGS:
        raise ValueError(f"unknown encoding '{encoding}'")
    fields = tuple(Field(*parts) for parts in zip(names, kinds, counts, strict=True))
    titles = [title for field in fields for title in field.titles]
    if len(set(titles)) < len(titles):
        raise ValueError("a field appears twice")
    viewpoint = " ".join(entries["VIEWPOINT"]) if "VIEWPOINT" in entries else None
    return Header(fields, width, height, points, encoding, viewpoint, body)


def _pairs(kinds: list[str], sizes: list[str]) -> zip[tuple[str, str]]:
    return zip(kinds, sizes, strict=True)
