"""The .dcz container: a header, sections, an index. Bytes in, bytes out; no shapes, no codecs.

`docs/format.md` section 1 is the specification; names here follow it. Everything that a file says
about itself is checked against what is there before it is believed.
"""

from __future__ import annotations

import io
import re
import struct
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, BinaryIO

from pcc_cli import records
from pcc_cli.errors import FormatError, OutputError, UnsupportedError

MAGIC = b"\x89DCZ\r\n\x1a\n"
END_MARK = b"DCZE"
VERSION = (1, 0)
SUFFIX = ".dcz"  # of the names of files
HEADER_LIMIT = 1 << 20
WHOLE_FILE = 0xFFFFFFFF  # the tile of a section that belongs to no tile
INDEX_KIND = "INDX"

_PREAMBLE = struct.Struct("<8sHHI")  # magic, major, minor, header length
_SECTION = struct.Struct("<4sBIQ")  # kind, flags, tile, data length
_FOOTER = struct.Struct("<Q4s")  # offset of the index, end mark
_CRC = struct.Struct("<I")
_CRITICAL = 1
_ENTRY_BYTES = 48  # of the index, in JSON, at most
Entry = tuple[str, int, int, int]  # kind, tile, offset and length of a section
_KIND = re.compile(r"[A-Z0-9]{1,4}\Z")


@dataclass(frozen=True)
class Section:
    """One piece of a file.

    kind : 1 to 4 of A-Z and 0-9; on disk padded with spaces
    tile : number of the tile it belongs to, or WHOLE_FILE
    data : its bytes
    critical : whether a reader that does not know the kind must refuse the file
    """

    kind: str
    tile: int
    data: bytes
    critical: bool = True


def write(stream: BinaryIO, header: dict[str, Any], sections: Iterable[Section]) -> int:
    """Write a whole file front to back, without seeking; returns its size in bytes.

    `sections` may be a generator: each one is written before the next is asked for.
    """
    text = records.dump_json(header)
    packed = records.deflated(text)
    if max(len(text), len(packed)) > HEADER_LIMIT:
        raise OutputError(
            f"the header needs {len(text)} bytes, the format allows {HEADER_LIMIT}; "
            "does the source carry very long comments?"
        )
    size = _write_checked(stream, _PREAMBLE.pack(MAGIC, *VERSION, len(packed)), packed)
    index = _Index()
    for section in sections:
        index.add(section.kind, section.tile, len(section.data))
        size += _write_section(stream, section)
    footer = _FOOTER.pack(size, END_MARK)
    size += _write_section(stream, Section(INDEX_KIND, WHOLE_FILE, records.pack(index.entries)))
    return size + _write_checked(stream, footer, b"")


def read(data: bytes) -> tuple[dict[str, Any], list[Section]]:
    """The header and all sections (without the index) of a file, everything checked.

    FormatError when the file is damaged or breaks the specification, UnsupportedError when it
    is of a newer major version. A caller must refuse critical sections that it does not know.
    """
    header, start = _read_preamble(data)
    index_offset, end = _read_footer(data)
    index = _Index()
    sections = []
    while start < index_offset:
        section, after = _read_section(data, start, index_offset)
        index.add(section.kind, section.tile, len(section.data))
        sections.append(section)
        start = after
    if start != index_offset:
        raise FormatError("damaged file: the index does not follow the last section")
    found, after = _read_section(data, start, end)
    _check_index(found, index, index_offset)
    if after != end:
        raise FormatError("damaged file: bytes between the index and the footer")
    return header, sections


class Reader:
    """The header of a file, and its sections one at a time: only what is asked for is read.

    stream : seekable
    header : as `read` returns it
    entries : (kind, tile, offset, length) of every section, in the order of the file

    Header, index and footer are checked at once, errors as in `read`; a section is when it is read.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        size = stream.seek(0, io.SEEK_END)
        start = self._bytes(0, _PREAMBLE.size)
        length = _PREAMBLE.unpack(start)[3] if len(start) == _PREAMBLE.size else 0
        room = _PREAMBLE.size + min(length, HEADER_LIMIT) + _CRC.size
        self.header, first = _read_preamble(self._bytes(0, room))
        tail = size - _FOOTER.size - _CRC.size
        index_offset, _ = _read_footer(self._bytes(max(tail, 0), size))
        if not first <= index_offset <= tail:
            raise FormatError("damaged file: no index where the footer points")
        index, after = _read_section(self._bytes(index_offset, tail), 0, tail - index_offset)
        if after != tail - index_offset:
            raise FormatError("damaged file: bytes between the index and the footer")
        self.entries = _listed(index, first, index_offset)

    def section(self, entry: Entry) -> Section:
        """The section that `entry` of `entries` names."""
        kind, tile, offset, length = entry
        data = self._bytes(offset, offset + _SECTION.size + length + _CRC.size)
        section, _ = _read_section(data, 0, len(data), offset)
        if (section.kind, section.tile, len(section.data)) != (kind, tile, length):
            raise FormatError("damaged file: the index does not list the sections of the file")
        return section

    def _bytes(self, start: int, end: int) -> bytes:
        self._stream.seek(start)
        return self._stream.read(end - start)


def _listed(section: Section, start: int, end: int) -> list[Entry]:
    """The entries of an index, which must fill the file from `start` to `end`."""
    index = _Index()
    found: list[Entry] = []
    entries = _unpacked_index(section, end)
    for entry in entries if isinstance(entries, list) else []:
        types = [type(part) for part in entry] if isinstance(entry, list) else []
        if types != [str, int, int] or entry[2] < 0:
            raise FormatError("damaged file: the index does not list the sections of the file")
        kind, tile, length = entry
        index.add(kind, tile, length)
        found.append((kind, tile, start, length))
        start += _SECTION.size + length + _CRC.size
    _check_index(section, index, end)
    if start != end:
        raise FormatError("damaged file: the index does not follow the last section")
    return found


def _unpacked_index(section: Section, size: int) -> Any:
    """The JSON of the index of a file of `size` bytes before it."""
    return records.unpack(section.data, "the index", _ENTRY_BYTES * (size // _SECTION.size + 1))


class _Index:
    """What the index lists, and the rules of docs/format.md 1.2 on the order of sections."""

    def __init__(self) -> None:
        self.entries: list[list[str | int]] = []
        self._seen: set[tuple[str, int]] = set()
        self._tiles = 0  # tiles begun
        self._tail = False  # whether a section of the whole file followed a tile

    def add(self, kind: str, tile: int, length: int) -> None:
        if not _KIND.match(kind) or kind == INDEX_KIND:
            raise FormatError(f"{kind!r} cannot be the kind of a section")
        if (kind, tile) in self._seen:
            raise FormatError(f"two sections '{kind}' {_place(tile)}")
        if tile == WHOLE_FILE:
            self._tail = self._tiles > 0
        elif self._tail or tile not in (max(self._tiles - 1, 0), self._tiles):
            raise FormatError(f"section '{kind}' {_place(tile)} is out of order")
        else:
            self._tiles = tile + 1
        self._seen.add((kind, tile))
        self.entries.append([kind, tile, length])


def _place(tile: int) -> str:
    return "of the whole file" if tile == WHOLE_FILE else f"of tile {tile}"


def _write_checked(stream: BinaryIO, head: bytes, data: bytes) -> int:
    """Write `head`, `data` and the checksum of both; returns the bytes written."""
    stream.write(head)
    stream.write(data)
    stream.write(_CRC.pack(zlib.crc32(data, zlib.crc32(head))))
    return len(head) + len(data) + _CRC.size


def _write_section(stream: BinaryIO, section: Section) -> int:
    kind = section.kind.ljust(4).encode("ascii")
    flags = _CRITICAL if section.critical else 0
    return _write_checked(
        stream, _SECTION.pack(kind, flags, section.tile, len(section.data)), section.data
    )


def _check_crc(data: bytes, start: int, end: int, what: str) -> None:
    """Compare the checksum at `end` with that of data[start:end]."""
    (stored,) = _CRC.unpack_from(data, end)
    if zlib.crc32(memoryview(data)[start:end]) != stored:
        raise FormatError(f"damaged file: wrong checksum of {what}")


def _read_preamble(data: bytes) -> tuple[dict[str, Any], int]:
    """The header and the offset behind the preamble."""
    if not data.startswith(MAGIC):
        if data[:4] == MAGIC[:4]:
            raise FormatError("damaged .dcz file: truncated, or transferred as text?")
        raise FormatError("not a .dcz file")
    if len(data) < _PREAMBLE.size:
        raise FormatError("truncated file: it ends in the preamble")
    _, major, minor, length = _PREAMBLE.unpack_from(data)
    end = _PREAMBLE.size + length
    if length > HEADER_LIMIT:
        raise FormatError(f"damaged file: a header of {length} bytes, allowed are {HEADER_LIMIT}")
    if end + _CRC.size > len(data):
        raise FormatError("truncated file: it ends in the header")
    _check_crc(data, 0, end, "the header")
    if major != VERSION[0]:
        raise UnsupportedError(
            f"the file has format version {major}.{minor}, this pcc reads {VERSION[0]}.x: "
            "use the pcc that wrote it, or a newer one"
        )
    header = records.unpack(data[_PREAMBLE.size : end], "the header", HEADER_LIMIT)
    if not isinstance(header, dict):
        raise FormatError("the header is not a JSON object")
    return header, end + _CRC.size


def _read_footer(data: bytes) -> tuple[int, int]:
    """The offset of the index and that of the footer itself."""
    start = len(data) - _FOOTER.size - _CRC.size
    if start < 0:
        raise FormatError("truncated file: no footer")
    index_offset, mark = _FOOTER.unpack_from(data, start)
    if mark != END_MARK:
        raise FormatError("truncated file, or bytes added at its end: no end mark")
    _check_crc(data, start, start + _FOOTER.size, "the footer")
    return index_offset, start


def _read_section(data: bytes, start: int, limit: int, base: int = 0) -> tuple[Section, int]:
    """The section at `start`, which must end at `limit` or before, and the offset behind it.

    base : where `data` begins in the file
    """
    place = base + start
    if start + _SECTION.size + _CRC.size > limit:
        raise FormatError(f"damaged file: no room for the section at byte {place}")
    padded, flags, tile, length = _SECTION.unpack_from(data, start)
    begin = start + _SECTION.size
    if length > limit - begin - _CRC.size:
        raise FormatError(f"damaged file: the section at byte {place} claims {length} bytes")
    _check_crc(data, start, begin + length, f"the section at byte {place}")
    kind = padded.decode("latin-1").rstrip(" ")
    if flags & ~_CRITICAL or not _KIND.match(kind):
        raise FormatError(f"the section at byte {place} has a reserved flag or a bad kind")
    section = Section(kind, tile, data[begin : begin + length], bool(flags & _CRITICAL))
    return section, begin + length + _CRC.size


def _check_index(found: Section, index: _Index, size: int) -> None:
    if (found.kind, found.tile, found.critical) != (INDEX_KIND, WHOLE_FILE, True):
        raise FormatError("damaged file: no index where the footer points")
    if records.dump_json(_unpacked_index(found, size)) != records.dump_json(index.entries):
        raise FormatError("damaged file: the index does not list the sections of the file")
