"""Text point clouds (.xyz, .txt, .csv, .pts): a point a line, three coordinates first.

Columns are split at commas, semicolons, tabs or blanks. Lines that start with '#' or '//' are
comments. The first line may name the columns, or be the number of points alone (.pts).
"""

from __future__ import annotations

import io
from typing import Any

import numpy as np

from pcc_cli.errors import InputError
from pcc_cli.geometry import PointCloud

Array = np.ndarray[Any, Any]

_DELIMITERS = (";", ",", "\t")
_COMMENTS = ("#", "//")


def read(data: bytes, name: str) -> PointCloud:
    """The cloud in `data`: float64 points, one float64 attribute for each further column.

    Attributes have the names of the first line, or column_4, column_5 ... without one. Raises
    InputError when the text is not a table of numbers.
    """
    lines = _lines(data, name)
    delimiter = next((mark for mark in _DELIMITERS if lines and mark in lines[-1]), None)
    titles = _titles(lines, delimiter)
    if titles is not None or _is_count(lines):
        lines = lines[1:]
    table = _table(lines, delimiter, name)
    width = table.shape[1]
    if titles is None:
        titles = ["x", "y", "z", *(f"column_{i}" for i in range(4, width + 1))][:width]
    if len(set(titles)) != width or not set("xyz") <= set(titles):
        raise InputError(f"{name}: needs columns x, y and z, and a different name for each")
    columns = {title: table[:, i].copy() for i, title in enumerate(titles)}
    points = np.stack([columns.pop(axis) for axis in "xyz"], axis=1)
    return PointCloud(points, columns, {"format": "xyz", "delimiter": delimiter or " "})


def _lines(data: bytes, name: str) -> list[str]:
    """The lines that hold something, comments left out."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(f"{name}: not a text file of points") from None
    lines = (line.strip() for line in text.splitlines())
    return [line for line in lines if line and not line.startswith(_COMMENTS)]


def _titles(lines: list[str], delimiter: str | None) -> list[str] | None:
    """Column names in lower case when the first line holds them."""
    if not lines:
        return None
    words = [word.strip().strip('"').lower() for word in lines[0].split(delimiter)]
    return None if any(_is_number(word) for word in words) else words


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def _is_count(lines: list[str]) -> bool:
    return len(lines) > 1 and lines[0].isdigit() and int(lines[0]) == len(lines) - 1


def _table(lines: list[str], delimiter: str | None, name: str) -> Array:
    """(n, columns) float64; (0, 3) without lines."""
    if not lines:
        return np.zeros((0, 3))
    try:
        text = io.StringIO("\n".join(lines))
        return np.loadtxt(text, delimiter=delimiter, comments=None, ndmin=2)
    except ValueError as error:
        reason = str(error).split(";")[0]
        raise InputError(f"{name}: not a table of numbers: {reason}") from None
