"""PLY bodies in text: numbers to float64 tokens, and columns to lines."""

from __future__ import annotations

import warnings

import numpy as np

from pcc_cli.errors import InputError
from pcc_cli.formats.columns import words
from pcc_cli.formats.plybody import Table
from pcc_cli.formats.plyheader import Element


def tokens(text: bytes) -> bytes:
    """The numbers of a text body as float64; InputError when one is not a number."""
    text = text.strip()  # numpy takes blanks alone for the number -1
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", DeprecationWarning)  # before numpy 2.3 no ValueError
            numbers = np.fromstring(text.decode("ascii"), dtype=np.float64, sep=" ")
    except (ValueError, DeprecationWarning):
        raise InputError("the text holds something that is not a number") from None
    return numbers.tobytes()


def write_text(element: Element, table: Table) -> bytes:
    """One line for each row, numbers in the shortest spelling that reads back equal."""
    columns = [
        _list_words(table)
        if item.count_type
        else words(table.columns[item.name].astype(item.type, copy=False))
        for item in element.properties
    ]
    lines = (" ".join(row) + "\n" for row in zip(*columns, strict=True))
    return "".join(lines).encode("ascii")


def _list_words(table: Table) -> list[str]:
    """Count and items of each list as one string."""
    items = list(map(str, table.items.tolist()))
    sizes = table.sizes.tolist()
    ends = np.cumsum(table.sizes).tolist()
    return [
        " ".join([str(size), *items[end - size : end]])
        for size, end in zip(sizes, ends, strict=True)
    ]
