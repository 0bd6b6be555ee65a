"""Descriptions in a .dcz file: canonical JSON, deflated with a dictionary that all files share.

Headers and descriptions of tiles are the larger part of a small file, and alike in all of them.
docs/format.md 1.5 is the specification.
"""

from __future__ import annotations

import json
import zlib
from functools import lru_cache
from pathlib import Path
from typing import Any

from pcc_cli.errors import FormatError

RECORD_LIMIT = 1 << 24  # bytes of the JSON of a tile
_RAW = -15  # window bits of a bare deflate stream, for zlib


def dump_json(value: Any) -> bytes:
    """`value` as canonical JSON (docs/format.md 1.5); ValueError for NaN, infinity and the like."""
    text = json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )
    return text.encode("utf-8")


def load_json(data: bytes, what: str) -> Any:
    """The value of canonical JSON; FormatError, naming `what`, for any other spelling."""
    try:
        value = json.loads(data.decode("utf-8"))
        canonical = dump_json(value) == data
    except (ValueError, RecursionError) as error:
        raise FormatError(f"{what} is not valid JSON: {error}") from error
    if not canonical:
        raise FormatError(f"{what} is not canonical JSON")
    return value


def pack(value: Any) -> bytes:
    """`value` as it is stored."""
    return deflated(dump_json(value))


def unpack(data: bytes, what: str, limit: int) -> Any:
    """The value of what `pack` wrote; FormatError, naming `what`, for anything else, and for JSON
    of more than `limit` bytes, for which no memory is taken."""
    stream = zlib.decompressobj(_RAW, dictionary())
    try:
        text = stream.decompress(data, limit + 1)
    except zlib.error as error:
        raise FormatError(f"{what} is damaged: {error}") from error
    if len(text) > limit:
        raise FormatError(f"{what} has more than {limit} bytes")
    if not stream.eof or stream.unused_data:
        raise FormatError(f"{what} does not end where it should")
    return load_json(text, what)


def deflated(text: bytes) -> bytes:
    """`text` as a bare deflate stream (RFC 1951) that begins with the dictionary known."""
    stream = zlib.compressobj(9, zlib.DEFLATED, _RAW, 9, zlib.Z_DEFAULT_STRATEGY, dictionary())
    return stream.compress(text) + stream.flush()


@lru_cache(maxsize=1)
def dictionary() -> bytes:
    """What often stands in descriptions, the commonest last; part of the format, never changed."""
    return (Path(__file__).parent / "records.txt").read_bytes()
