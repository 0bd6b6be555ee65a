"""The container: what is written is read, and nothing damaged or dishonest gets through."""

from __future__ import annotations

import io
import re
import struct
import zlib
from pathlib import Path

import pytest

from pcc_cli import container, records
from pcc_cli.container import WHOLE_FILE, Section
from pcc_cli.errors import FormatError, OutputError, PccError, UnsupportedError

HEADER = {"kind": "points", "count": 3, "name": "Säule \u2028\x7f", "step": 0.001}
SECTIONS = [
    Section("META", WHOLE_FILE, b"before"),
    Section("TILE", 0, b"{}"),
    Section("GEO", 0, b"\x00" * 5),
    Section("TILE", 1, b""),
    Section("NOTE", 1, b"hello", critical=False),
    Section("HASH", WHOLE_FILE, b"after"),
]


def packed(header: dict = HEADER, sections: list[Section] = SECTIONS) -> bytes:
    stream = io.BytesIO()
    size = container.write(stream, header, sections)
    assert size == len(stream.getvalue())
    return stream.getvalue()


def sealed(data: bytes) -> bytes:
    return data + struct.pack("<I", zlib.crc32(data))


def preamble(header: bytes, major: int = 1, minor: int = 0) -> bytes:
    packed = records.deflated(header)
    return sealed(container.MAGIC + struct.pack("<HHI", major, minor, len(packed)) + packed)


def section(kind: bytes, data: bytes, tile: int = 0, flags: int = 1, length: int = -1) -> bytes:
    size = len(data) if length < 0 else length
    return sealed(struct.pack("<4sBIQ", kind, flags, tile, size) + data)


def assembled(start: bytes, sections: list[bytes], index: bytes, shift: int = 0) -> bytes:
    """A whole file from raw parts, each with a right checksum, whatever it says."""
    body = start + b"".join(sections)
    footer = sealed(struct.pack("<Q4s", len(body) + shift, b"DCZE"))
    return body + section(b"INDX", records.deflated(index), WHOLE_FILE) + footer


def test_round_trip() -> None:
    assert container.read(packed()) == (HEADER, SECTIONS)


def test_no_sections() -> None:
    assert container.read(packed({}, [])) == ({}, [])


def test_example_of_the_specification() -> None:
    text = (Path(__file__).parent.parent / "docs" / "format.md").read_text("utf-8")
    lines = re.findall(r"^[0-9a-f]{4}  ((?:[0-9a-f]{2} )+) ", text, re.MULTILINE)
    data = bytes.fromhex("".join(lines))
    assert container.read(data) == ({"kind": "points"}, [Section("GEOM", 0, b"abc")])


def test_dictionary_of_the_specification() -> None:
    text = (Path(__file__).parent.parent / "docs" / "format.md").read_text("utf-8")
    size, crc = re.search(
        r"the (\d+) bytes of \[records\.txt\].*crc32 0x([0-9a-f]{8})", text
    ).groups()
    assert len(records.dictionary()) == int(size)
    assert zlib.crc32(records.dictionary()) == int(crc, 16)


def test_what_inflates_to_too_much_is_refused() -> None:
    data = records.deflated(b'"' + b" " * 300 + b'"')
    assert records.unpack(data, "it", 302) == " " * 300
    for wrong, limit in ((data, 301), (data[:-1], 302), (data + b"\0", 302), (b"", 9), (b"\7", 9)):
        with pytest.raises(FormatError, match="it"):
            records.unpack(wrong, "it", limit)
    huge = records.deflated(b'{"a":"' + b" " * (container.HEADER_LIMIT + 9) + b'"}')
    start = sealed(container.MAGIC + struct.pack("<HHI", 1, 0, len(huge)) + huge)
    with pytest.raises(FormatError, match="more than"):
        container.read(assembled(start, [], b"[]"))


def test_sections_are_written_as_they_come() -> None:
    class Pipe:
        size = 0

        def write(self, data: bytes) -> None:
            self.size += len(data)

    pipe, sizes = Pipe(), []

    def produce():
        for number in range(3):
            sizes.append(pipe.size)
            yield Section("TILE", number, bytes(1000))

    assert container.write(pipe, {}, produce()) == pipe.size
    assert sizes[1] - sizes[0] >= 1000 and sizes[2] - sizes[1] >= 1000


def test_every_truncation_is_noticed() -> None:
    data = packed()
    for size in range(len(data)):
        with pytest.raises(PccError):
            container.read(data[:size])


def test_every_bit_flip_is_noticed() -> None:
    data = packed()
    for bit in range(8 * len(data)):
        damaged = bytearray(data)
        damaged[bit // 8] ^= 1 << (bit % 8)
        with pytest.raises(PccError):
            container.read(bytes(damaged))


def test_added_and_removed_bytes_are_noticed() -> None:
    data = packed()
    for at in range(len(data) + 1):
        with pytest.raises(PccError):
            container.read(data[:at] + b"\0" + data[at:])
        if at < len(data):
            with pytest.raises(PccError):
                container.read(data[:at] + data[at + 1 :])


@pytest.mark.parametrize("data", [b"", b"ply\n", b"\x89DCZ", b"\x89DCZ\n\x1a\n" + bytes(99)])
def test_other_files_are_refused(data: bytes) -> None:
    with pytest.raises(FormatError, match=r"\.dcz"):
        container.read(data)


def test_text_mode_transfer_is_named() -> None:
    with pytest.raises(FormatError, match="as text"):
        container.read(packed().replace(b"\r\n", b"\n"))


def test_versions() -> None:
    empty = records.dump_json({})
    with pytest.raises(UnsupportedError, match=r"version 2\.0"):
        container.read(assembled(preamble(empty, major=2), [], b"[]"))
    assert container.read(assembled(preamble(empty, minor=9), [], b"[]")) == ({}, [])


@pytest.mark.parametrize(
    "header",
    [
        b'{ "a":1}',
        b'{"b":1,"a":1}',
        b'{"a":1,"a":1}',
        b'{"a":1.0e0}',
        b'{"a":NaN}',
        b'{"a":1e999}',
        b'{"a":"\\u0041"}',
        b'{"a":"\\ud800"}',
        b'{"a":"\xff"}',
        b'\xef\xbb\xbf{"a":1}',
        b'{"a":1}\n',
        b"[]",
        b"1",
        b"",
        b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"a":' + b"9" * 10_000 + b".}",
    ],
)
def test_header_that_is_not_canonical(header: bytes) -> None:
    with pytest.raises(FormatError, match="header"):
        container.read(assembled(preamble(header), [], b"[]"))


def test_hostile_lengths() -> None:
    start = preamble(b"{}")
    huge = struct.pack("<HHI", 1, 0, 0xFFFFFFFF)
    with pytest.raises(FormatError, match="4294967295"):
        container.read(sealed(container.MAGIC + huge) + packed())
    with pytest.raises(FormatError, match="ends in the header"):
        container.read(sealed(container.MAGIC + struct.pack("<HHI", 1, 0, 1 << 20)))
    for length in (4, 1 << 31, (1 << 64) - 1):
        lying = section(b"GEOM", b"abc", length=length)
        with pytest.raises(FormatError, match="claims"):
            container.read(assembled(start, [lying], b'[["GEOM",0,3]]'))
    for shift in (-30, -1, 1, 1 << 40):
        with pytest.raises(FormatError):
            container.read(assembled(start, [section(b"GEOM", b"abc")], b'[["GEOM",0,3]]', shift))


GEOM = section(b"GEOM", b"abc")


@pytest.mark.parametrize(
    ("sections", "index"),
    [
        ([GEOM], b"[]"),
        ([GEOM], b'[["GEOM",0,4]]'),
        ([GEOM], b'[["GEOM",0,3.0]]'),
        ([GEOM], b'[["GEOM",false,3]]'),
        ([GEOM], b'[["GEOM",0,3],["GEOM",1,3]]'),
        ([], b'[["GEOM",0,3]]'),
        ([GEOM, GEOM], b'[["GEOM",0,3],["GEOM",0,3]]'),
        ([GEOM, section(b"GEOM", b"", 2)], b'[["GEOM",0,3],["GEOM",2,0]]'),
        ([section(b"GEOM", b"", 1)], b'[["GEOM",1,0]]'),
        ([section(b"GEOM", b"", flags=3)], b'[["GEOM",0,0]]'),
        ([section(b"geom", b"")], b'[["geom",0,0]]'),
        ([section(b"G OM", b"")], b'[["G OM",0,0]]'),
        ([section(b"    ", b"")], b'[["",0,0]]'),
        ([section(b"INDX", b"[]", WHOLE_FILE)], b'[["INDX",4294967295,2]]'),
        ([GEOM, b"\0"], b'[["GEOM",0,3]]'),
    ],
)
def test_dishonest_sections(sections: list[bytes], index: bytes) -> None:
    with pytest.raises(FormatError):
        container.read(assembled(preamble(b"{}"), sections, index))


def test_tiles_after_the_closing_sections_are_out_of_order() -> None:
    sections = [Section("TILE", 0, b""), Section("HASH", WHOLE_FILE, b""), Section("GEOM", 0, b"")]
    with pytest.raises(FormatError, match="out of order"):
        packed({}, sections)


def test_writer_refuses_what_a_reader_would() -> None:
    for kind in ("INDX", "geom", "", "FIVE5"):
        with pytest.raises(FormatError, match="kind"):
            packed({}, [Section(kind, 0, b"")])
    with pytest.raises(OutputError, match="header"):
        packed({"comment": "x" * container.HEADER_LIMIT}, [])
