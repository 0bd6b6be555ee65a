"""Columns of numbers: exact for every type and value, small where possible, safe when hostile."""

from __future__ import annotations

import re

import numpy as np
import pytest

from pcc_cli.entropy import columns, zstd
from pcc_cli.errors import FormatError, InputError

TYPE = pytest.mark.parametrize("name", columns.TYPES)
RNG = np.random.default_rng(3)


def any_bits(name: str, count: int) -> np.ndarray:
    """Numbers with random bits, NaNs with payloads among the floats."""
    dtype = np.dtype(name)
    return RNG.integers(0, 256, count * dtype.itemsize, dtype=np.uint8).view(dtype)


def extremes(name: str) -> np.ndarray:
    dtype = np.dtype(name)
    if dtype.kind != "f":
        limits = np.iinfo(dtype)
        return np.array([limits.min, limits.max, 0, limits.max, limits.min, 1], dtype)
    limits = np.finfo(dtype)
    return np.array([-0.0, 0.0, np.inf, -np.inf, np.nan, limits.max, limits.tiny], dtype)


def round_trip(values, reference=None):
    coded = columns.encode(values, 3, reference)
    again = columns.Column.from_json(coded.to_json(), coded.data)
    assert again == coded
    return columns.decode(again, len(values), columns.type_of(values.dtype.str), reference), coded


@TYPE
def test_every_bit_of_every_type_survives(name):
    noise = any_bits(name, 500)
    for values in (noise, np.sort(noise), np.repeat(noise[:5], 80), noise[:1], noise[:0]):
        for reference in (None, values[::-1]):
            back, _ = round_trip(values, reference)
            assert back.dtype == values.dtype
            assert back.tobytes() == values.tobytes()
    assert round_trip(extremes(name))[0].tobytes() == extremes(name).tobytes()


@pytest.mark.parametrize(
    ("steps", "values", "reference"),
    [
        ("delta", np.cumsum(RNG.integers(0, 4, 900)), None),
        ("table", RNG.permutation(np.repeat(RNG.normal(size=6), 150)), None),
        ("table delta", np.sort(RNG.normal(size=40))[np.arange(900) // 11 % 40], None),
        ("minus", RNG.integers(0, 1 << 62, 900), "itself, nearly"),
        ("minus delta", RNG.integers(0, 1 << 62, 900), "itself, drifting away"),
    ],
)
def test_the_fitting_steps_are_chosen(steps, values, reference):
    drift = {"itself, nearly": RNG.integers(0, 200, 900), "itself, drifting away": np.arange(900)}
    near = values + drift[reference] if reference else None
    back, coded = round_trip(values, near)
    assert coded.steps == steps
    assert np.array_equal(back, values)
    assert len(coded.data) < len(zstd.pack([values.tobytes()], 3))


@TYPE
def test_images_keep_the_order_of_floats(name):
    values = np.sort(any_bits(name, 300))
    if values.dtype.kind == "f":
        finite = values[np.isfinite(values)]
        assert (np.diff(columns.to_image(finite).astype(object)) >= 0).all()
    back = columns.from_image(columns.to_image(values), values.dtype)
    assert back.tobytes() == values.tobytes()


def test_big_endian_and_strided_columns_are_taken():
    values = np.arange(20, dtype=">f4")[::2]
    coded = columns.encode(values, 3)
    assert np.array_equal(columns.decode(coded, 10, np.dtype("<f4")), values)


def test_types_that_cannot_be_stored_are_named():
    for values in (np.zeros(2, "c8"), np.zeros(2, bool), np.array(["a"]), np.zeros(2, "M8[s]")):
        with pytest.raises(InputError, match=re.escape(str(values.dtype))):
            columns.encode(values, 3)
    with pytest.raises(FormatError, match="<c8"):
        columns.type_of("<c8")


@pytest.mark.parametrize(
    "record",
    [
        {},
        {"steps": "sort"},
        {"steps": None},
        {"steps": ["delta"]},
        {"steps": "table"},
        {"steps": "table", "table": 0, "table_bytes": 3},
        {"steps": "table", "table": 1 << 40, "table_bytes": 3},
        {"steps": "table", "table": 3, "table_bytes": 99},
        None,
    ],
)
def test_descriptions_that_make_no_sense_are_refused(record):
    with pytest.raises(FormatError):
        columns.Column.from_json(record, b"abc")


def test_a_rank_beyond_the_table_is_refused():
    coded = columns.encode(RNG.permutation(np.repeat(RNG.normal(size=9), 50)), 3)
    assert coded.steps == "table"
    lie = zstd.pack([bytes([200]) * 900], 3)
    data = coded.data[: coded.table_bytes] + lie
    forged = columns.Column("table", data, coded.table, coded.table_bytes)
    with pytest.raises(FormatError, match="beyond its table"):
        columns.decode(forged, 450, np.dtype("<f8"))


def test_a_missing_reference_is_refused():
    coded = columns.encode(np.arange(9) ** 9, 3, np.arange(9) ** 9)
    assert coded.steps == "minus"
    with pytest.raises(FormatError, match="not there"):
        columns.decode(coded, 9, np.dtype("<i8"))


def test_frames_hold_what_was_announced_or_are_refused():
    frame = zstd.pack([b"three ", b"little ", b"words"] * 9, 3)
    assert zstd.unpack(frame, 162) == b"three little words" * 9
    for damaged, size in ((frame, 161), (frame, 1 << 60), (frame + b"\0", 162), (b"", 0)):
        with pytest.raises(FormatError):
            zstd.unpack(damaged, size)
    for length in range(len(frame)):
        with pytest.raises(FormatError):
            zstd.unpack(frame[:length], 162)


def test_a_frame_that_claims_more_than_any_can_hold_costs_no_memory():
    huge = 1 << 50
    # Magic, a descriptor that says "8 bytes of content size, one segment", the size, a last block.
    frame = b"\x28\xb5\x2f\xfd\xe0" + huge.to_bytes(8, "little") + b"\x01\x00\x00"
    with pytest.raises(FormatError):
        zstd.unpack(frame, huge)
