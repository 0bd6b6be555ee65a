"""What a source held beside its points: bytes and long texts leave the header, and come back."""

from __future__ import annotations

from typing import Any

import pytest

from pcc_cli.container import Section
from pcc_cli.entropy import zstd
from pcc_cli.errors import FormatError
from pcc_cli.spine import origin

SOURCES: list[dict[str, Any]] = [
    {},
    {"format": "las", "scales": [0.1, 2.0], "empty": {}, "none": None, "true": True},
    {"b": b"second", "a": [b"first", {"z": b"", "y": "x" * 300}], "c": "short"},
    {"text": "é" * 256, "deep": [[[{"k": b"\0" * 5000}]]]},
]


def section(sections: list[Section]) -> bytes | None:
    return sections[0].data if sections else None


@pytest.mark.parametrize("source", SOURCES)
def test_source_comes_back(source: dict[str, Any]) -> None:
    record, sections = origin.split(source)
    assert origin.join(record, section(sections)) == source
    assert len(sections) <= 1
    assert not any(part.critical for part in sections)


def test_source_in_the_header_is_short() -> None:
    record, sections = origin.split(SOURCES[2])
    assert record == {
        "a": [{"$bytes": 5}, {"y": {"$text": 300}, "z": {"$bytes": 0}}],
        "b": {"$bytes": 6},
        "c": "short",
    }
    data = section(sections)
    assert data is not None
    assert zstd.unpack(data, 311) == b"first" + b"x" * 300 + b"second"
    readable = origin.readable(record, data)
    assert readable["a"] == [{"$bytes": 5}, {"y": "x" * 300, "z": {"$bytes": 0}}]


@pytest.mark.parametrize(
    "record", [{"a": {"$bytes": 4}}, {"a": {"$bytes": 1 << 40}}, {"a": {"$text": 6}, "b": [1]}]
)
def test_source_that_does_not_fit_is_refused(record: dict[str, Any]) -> None:
    for data in (None, b"", zstd.pack([b"\xff" * 6], 1)):
        with pytest.raises(FormatError):
            origin.join(record, data)


def test_what_only_looks_like_a_place_holder_stays() -> None:
    for value in ({"$bytes": -1}, {"$bytes": True}, {"$bytes": 1, "b": 2}, {"$other": 1}):
        record = {"a": value}
        assert origin.join(record, None) == record
