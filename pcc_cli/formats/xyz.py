"""Text point clouds (.xyz, .txt, .csv, .pts): a point a line, three coordinates among its numbers.

Columns are split at commas, semicolons, tabs or blanks. Lines that start with '#' or '//' are
comments. The first line, or the comment before it ("//X Y Z"), may name the columns; or it is the
number of points alone (.pts). Whole numbers become integers of the narrowest type, all else is
float64; coordinates always are.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pcc_cli.errors import InputError
from pcc_cli.formats.columns import as_integers, words
from pcc_cli.formats.talk import Note, listed, silent
from pcc_cli.geometry import Array, PointCloud

MESHES = False
_DELIMITERS = (";", ",", "\t")
_COMMENTS = ("#", "//")
_PTS = {4: ["intensity"], 6: ["red", "green", "blue"], 7: ["intensity", "red", "green", "blue"]}


@dataclass
class _Text:
    """What a file holds: comments of its head, names and number of points if it says them.

    mark : before the line of names: "", "#" or "//"; None without such a line
    after : how many comments follow the head
    """

    head: list[str] = field(default_factory=list)
    titles: list[str] | None = None
    mark: str | None = None
    counted: bool = False
    lines: list[str] = field(default_factory=list)
    delimiter: str | None = None  # None: blanks
    after: int = 0


def read(
    data: bytes, name: str, note: Note = silent, fields: Sequence[str] | None = None
) -> PointCloud:
    """The cloud in `data`: float64 points, one attribute for each further column.

    fields : names of the columns; without them those of the first line, or column_4, column_5 ...

    Raises InputError when the text is not a table of numbers.
    """
    text = _parsed(data, name)
    table = _table(text, name)
    width = table.shape[1]
    titles = list(fields or text.titles or _default_titles(width, name))
    if len(set(titles)) != width or not {*"xyz"} <= {title.lower() for title in titles}:
        raise InputError(
            f"{name}: {width} columns need names, x, y and z and all different; "
            f"these are {','.join(titles)}: give --fields x,y,z,..."
        )
    names = [title.lower() for title in titles]
    columns = dict(zip(names if len(set(names)) == width else titles, table.T, strict=True))
    points = np.stack([columns.pop(axis) for axis in "xyz"], axis=1)
    attributes = {title: _typed(column) for title, column in columns.items()}
    if text.after:
        note(f"{text.after} comment lines among the points are not kept")
    return PointCloud(points, attributes, _source(text, titles))


def _typed(column: Array) -> Array:
    whole = as_integers(column)
    return np.ascontiguousarray(column) if whole is None else whole


def _source(text: _Text, titles: list[str]) -> dict[str, Any]:
    return {
        "format": "xyz",
        "delimiter": text.delimiter or " ",
        "columns": titles,
        "names": text.mark,
        "counted": text.counted,
        **({"comments": text.head} if text.head else {}),
    }


def _default_titles(width: int, name: str) -> list[str]:
    known = _PTS.get(width) if name.lower().endswith(".pts") else None
    rest = known or [f"column_{i}" for i in range(4, width + 1)]
    return ["x", "y", "z", *rest][:width]


def _parsed(data: bytes, name: str) -> _Text:
    try:
        decoded = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(f"{name}: not a text file of points") from None
    text = _Text()
    for line in map(str.strip, decoded.splitlines()):
        if line.startswith(_COMMENTS):
            text.after += bool(text.lines)
            text.head += [] if text.lines else [line]
        elif line:
            text.lines.append(line)
    if text.lines:
        text.delimiter = next((mark for mark in _DELIMITERS if mark in text.lines[-1]), None)
        _find_titles(text)
    return text


def _find_titles(text: _Text) -> None:
    """Takes the line of names, or the number of points, out of the lines."""
    first = _words(text.lines[0], text)
    if not any(map(_is_number, first)):
        text.titles, text.mark = first, ""
    text.counted = _is_count(text.lines)
    del text.lines[: text.counted or text.titles is not None]
    for mark in _COMMENTS if text.head and text.lines and text.titles is None else ():
        named = _words(text.head[-1].removeprefix(mark), text)
        fits = len(named) == len(_words(text.lines[0], text)) and named[0].lower() == "x"
        if text.head[-1].startswith(mark) and fits:
            text.titles, text.mark = named, mark
            text.head.pop()
            return


def _words(line: str, text: _Text) -> list[str]:
    return [word.strip().strip('"') for word in line.strip().split(text.delimiter)]


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def _is_count(lines: list[str]) -> bool:
    return lines[0].isdecimal() and int(lines[0][:18]) == len(lines) - 1


def _table(text: _Text, name: str) -> Array:
    """(n, columns) float64; without lines (0, columns named or 3)."""
    if not text.lines:
        return np.zeros((0, len(text.titles or "xyz")))
    try:
        lines = io.StringIO("\n".join(text.lines))
        return np.loadtxt(lines, delimiter=text.delimiter, comments=None, ndmin=2)
    except ValueError as error:
        reason = str(error).split(";")[0]
        raise InputError(f"{name}: not a table of numbers: {reason}") from None


def write(shape: PointCloud, suffix: str = ".xyz", note: Note = silent) -> bytes:
    """The bytes of a text file, numbers in the shortest spelling that reads back equal.

    Delimiter, names, order of columns and comments are those of the source, if that was such a
    file; else a .csv has commas and a line of names, a .pts the number of points, others names in
    a comment.
    """
    about = shape.source
    if about.get("format") != "xyz" or about.get("suffix", suffix) != suffix:
        names = {".csv": "", ".pts": None}.get(suffix, "//")
        about = {"delimiter": "," if suffix == ".csv" else " ", "names": names}
        about["counted"] = suffix == ".pts"
    columns = {axis: shape.points[:, i] for i, axis in enumerate("xyz")} | shape.attributes
    titles = {t.lower() if t.lower() in columns else t: t for t in about.get("columns", [])}
    order = [name for name in titles if name in columns]
    order += [name for name in columns if name not in titles]
    lines = list(about.get("comments", []))
    if about["counted"]:
        lines.append(str(len(shape)))
    rest = [name for name in order if name not in {*"xyz", *about.get("columns", [])}]
    if about["names"] is None and rest:
        note(f"{suffix[1:]} files have no place for names: {listed(rest)}")
    if about["names"] is not None:
        spelled = ("_".join(titles.get(name, name).split()) for name in order)
        lines.append(about["names"] + about["delimiter"].join(spelled))
    rows = zip(*(words(columns[name]) for name in order), strict=True)
    return "".join(f"{line}\n" for line in (*lines, *map(about["delimiter"].join, rows))).encode()
