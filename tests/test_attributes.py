"""The coder of attributes: columns come back bit for bit, and related ones help each other."""

from __future__ import annotations

import numpy as np
import pytest

from pcc_cli.attributes import coder
from pcc_cli.errors import FormatError, PccError

RNG = np.random.default_rng(4)


def layout_of(values):
    return [(len(column), column.dtype) for column in values]


@pytest.fixture
def values():
    walk = np.cumsum(RNG.integers(-2, 3, 600))
    red = (128 + walk // 4).astype(np.uint8)
    return [
        red,
        red + RNG.integers(0, 3, 600).astype(np.uint8),
        RNG.normal(size=600).astype(np.float32),
        (np.arange(600) / 7).astype(np.float64),
        RNG.integers(0, 4, 50).astype(np.int16),  # of faces: another length
        np.zeros(0, np.uint8),
    ]


def test_round_trip(values):
    entries, data, _ = coder.encode(values)
    decoded = coder.decode(entries, data, layout_of(values))
    assert [d.tobytes() for d in decoded] == [v.tobytes() for v in values]
    assert [d.dtype for d in decoded] == [v.dtype for v in values]
    assert sum(entry["bytes"] for entry in entries) == len(data)


def test_no_columns():
    assert coder.encode([]) == ([], b"", [])
    assert coder.decode([], b"", []) == []


def test_a_related_column_is_coded_as_a_difference(values):
    entries, _, _ = coder.encode(values[:2])
    assert "minus" in entries[1]["steps"]
    assert entries[1]["bytes"] < coder.encode(values[1:2])[0][0]["bytes"]


def test_floats_and_columns_of_other_lengths_are_no_reference():
    floats = RNG.normal(size=300)
    entries, _, _ = coder.encode([floats, floats])
    assert "minus" not in entries[1]["steps"]
    rows = RNG.integers(0, 1 << 60, 300)
    entries, _, _ = coder.encode([rows, rows[:299]])
    assert "minus" not in entries[1]["steps"]


def test_damage_is_refused_or_stays_in_shape(values):
    entries, data, _ = coder.encode(values)
    layout = layout_of(values)
    for position in range(0, len(data), 7):
        damaged = data[:position] + bytes([data[position] ^ 64]) + data[position + 1 :]
        try:
            decoded = coder.decode(entries, damaged, layout)
        except PccError:
            continue
        assert layout_of(decoded) == layout
    for cut in (data[:-1], data + b"\0", b""):
        with pytest.raises(FormatError):
            coder.decode(entries, cut, layout)
    with pytest.raises(FormatError, match="columns"):
        coder.decode(entries[:-1], data, layout)
    with pytest.raises(FormatError, match="bytes"):
        coder.decode([{**entries[0], "bytes": -1}, *entries[1:]], data, layout)
