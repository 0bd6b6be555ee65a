"""What a shape's `source` holds beside short JSON: bytes and long texts, in a section of their own.

Headers, records and images of a source file would burst the header of a .dcz file, which is not
compressed. In their place stand the objects {"$bytes": n} and {"$text": n}; the section holds the
n bytes of each, one after the other.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

from pcc_cli.container import WHOLE_FILE, Section
from pcc_cli.entropy import zstd
from pcc_cli.errors import FormatError

KIND = "SRCE"
_LONG = 255  # characters of a text that stays in the header
_LEVEL = 9  # of zstandard
_LIMIT = 1 << 40  # bytes of one piece
_MARKS = ("$bytes", "$text")


def split(source: dict[str, Any]) -> tuple[dict[str, Any], list[Section]]:
    """`source` as JSON, and the section with what was taken out, if anything was."""
    pieces: list[bytes] = []

    def taken(value: Any) -> Any:
        if isinstance(value, bytes):
            pieces.append(value)
            return {"$bytes": len(value)}
        if isinstance(value, str) and len(value) > _LONG:
            pieces.append(value.encode())
            return {"$text": len(pieces[-1])}
        return value

    record = _mapped(source, taken)
    if not pieces:
        return record, []
    return record, [Section(KIND, WHOLE_FILE, zstd.pack(pieces, _LEVEL), critical=False)]


def join(record: dict[str, Any], data: bytes | None) -> dict[str, Any]:
    """The `source` that `split` saw; FormatError when `data`, of the section, does not fit."""
    sizes: list[int] = []

    def measured(value: Any) -> Any:
        marked = _marked(value)
        sizes.extend([marked[1]] if marked else [])
        return value

    _mapped(record, measured)
    if not sizes:
        return record
    if data is None:
        raise FormatError(f"the file lacks its section '{KIND}'")
    whole = io.BytesIO(zstd.unpack(data, sum(sizes)))

    def put_back(value: Any) -> Any:
        marked = _marked(value)
        if marked is None:
            return value
        piece = whole.read(marked[1])
        return _decoded(piece) if marked[0] == "$text" else piece

    source: dict[str, Any] = _mapped(record, put_back)
    return source


def readable(record: dict[str, Any], data: bytes | None) -> dict[str, Any]:
    """`record` with its long texts, and still without its bytes."""
    source: dict[str, Any] = _mapped(
        join(record, data), lambda v: {"$bytes": len(v)} if isinstance(v, bytes) else v
    )
    return source


def _decoded(piece: bytes) -> str:
    try:
        return piece.decode()
    except UnicodeDecodeError:
        raise FormatError("a text of the file's source is not UTF-8") from None


def _marked(value: Any) -> tuple[str, int] | None:
    """The mark and the size of a place holder; None of anything else."""
    if isinstance(value, dict) and len(value) == 1:
        ((mark, size),) = value.items()
        if mark in _MARKS and type(size) is int and 0 <= size <= _LIMIT:
            return mark, size
    return None


def _mapped(value: Any, change: Callable[[Any], Any]) -> Any:
    """`value` with every part that is no list or object changed, and place holders too.

    Members of objects are taken in the order of their names, as they stand in the file.
    """
    if isinstance(value, dict) and not _marked(value):
        return {name: _mapped(value[name], change) for name in sorted(value)}
    if isinstance(value, (list, tuple)):
        return [_mapped(part, change) for part in value]
    return change(value)
