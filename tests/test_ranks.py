"""Coordinates as ranks: restored exactly, used only where that pays, damage refused."""

from __future__ import annotations

import json

import numpy as np
import pytest
import trees

from pcc_cli.codecs import ranks
from pcc_cli.codecs.base import Payload
from pcc_cli.entropy import columns
from pcc_cli.errors import FormatError

RNG = np.random.default_rng(30)


def lattice(step=(7, 1, 100)) -> np.ndarray:
    cells = RNG.integers(0, 40, (3000, 3)) * step + (3, 0, 1000)
    return trees.distinct(cells)


CASES = {
    "a lattice": lattice(),
    "layers": trees.distinct(RNG.integers(0, 500, (2000, 3)) * (1, 1, 5000)),
    "jittered layers": trees.distinct(
        RNG.integers(0, 500, (2000, 3)) * (1, 1, 0)
        + RNG.choice(1 << 31, 9)[RNG.integers(0, 9, 2000), None] * (0, 0, 1)
    ),
    "32 bits": trees.distinct(
        RNG.integers(0, 1 << 4, (1500, 3)) * ((1 << 32) // 16) + (1 << 28) - 1
    ),
    "surface": trees.surface(5),
    "noise of 32 bits": trees.distinct(RNG.integers(0, 1 << 32, (500, 3))),
    "one": np.array([[5, 1 << 31, 7]]),
    "corners": trees.distinct([[0, 0, 0], [(1 << 32) - 1] * 3]),
    "lidar": trees.lidar(),
}


def encoded(voxels: np.ndarray) -> tuple[np.ndarray, Payload]:
    ranked, meta, streams = ranks.encode(voxels)
    return ranked, Payload(json.loads(json.dumps(meta)), streams)


@pytest.mark.parametrize("case", CASES)
def test_round_trip(case):
    voxels = CASES[case]
    before = voxels.copy()
    ranked, payload = encoded(voxels)
    assert np.array_equal(voxels, before)
    assert np.array_equal(ranks.restore(ranked, payload), voxels)
    assert (ranked <= voxels).all() and (ranked >= 0).all()


@pytest.mark.parametrize(
    ("case", "axes"),
    [
        ("a lattice", "XZ"),
        ("layers", "Z"),
        ("jittered layers", "Z"),
        ("32 bits", "XYZ"),
        ("surface", ""),
        ("noise of 32 bits", ""),
        ("one", ""),
        ("corners", ""),
    ],
)
def test_axes_that_gain_are_ranked_and_no_others(case, axes):
    ranked, payload = encoded(CASES[case])
    assert "".join(payload.meta.get("ranks", {})) == axes
    assert list(payload.streams) == [f"GAP{axis}" for axis in axes]
    for number, name in enumerate("XYZ"):
        column = CASES[case][:, number]
        if name in axes:
            assert np.array_equal(np.unique(ranked[:, number]), np.arange(len(np.unique(column))))
        else:
            assert np.array_equal(ranked[:, number], column)


@pytest.mark.parametrize("case", ["a lattice", "layers", "jittered layers", "32 bits"])
def test_ranks_are_worth_their_list(case):
    """What shrinks the range of the coordinates takes more bits off than the list puts on."""
    voxels = CASES[case]
    ranked, payload = encoded(voxels)
    saved_bits = len(voxels) * np.log2((np.ptp(voxels, axis=0) + 1) / (np.ptp(ranked, axis=0) + 1))
    assert saved_bits.sum() > 2 * 8 * payload.size_bytes


def test_coordinates_used_often_are_left_to_the_counts():
    """Half of all z, each by 900 points: `tree.axes` learns that, and the shape stays whole."""
    x, y, z = np.meshgrid(np.arange(30), np.arange(30), np.arange(0, 128, 2))
    voxels = trees.distinct(np.stack([x, y, z], axis=-1).reshape(-1, 3))
    assert encoded(voxels)[1] == Payload({}, {})


def test_nothing_is_restored_without_ranks():
    voxels = CASES["surface"]
    assert ranks.restore(voxels, Payload({}, {})) is voxels


def test_ranks_beyond_the_list_are_refused():
    ranked, payload = encoded(CASES["layers"])
    ranked[5, 2] = ranked[:, 2].max() + 1
    with pytest.raises(FormatError, match="axis Z"):
        ranks.restore(ranked, payload)


def test_coordinates_beyond_32_bits_are_refused():
    """Gaps that add up to more than an axis can have."""
    for gaps in ([(1 << 32) - 1, 1], [1 << 31, 1 << 31], [(1 << 32) - 1] * 2):
        column = columns.encode(np.array(gaps, "<u4"), 9)
        payload = Payload({"ranks": {"Y": {"used": 2, **column.to_json()}}}, {"GAPY": column.data})
        with pytest.raises(FormatError, match="axis Y"):
            ranks.restore(np.array([[0, 0, 0], [0, 1, 0]]), payload)


@pytest.mark.parametrize("value", [None, 0, -1, 1 << 40, "3", 2.0, True, []])
def test_lies_about_the_number_of_coordinates_are_refused(value):
    ranked, payload = encoded(CASES["layers"])
    payload.meta["ranks"]["Z"]["used"] = value
    with pytest.raises(FormatError):
        ranks.restore(ranked, payload)


@pytest.mark.parametrize("value", [None, 3, "Z", [], {"Z": 3}, {"X": []}, {"Z": {}}])
def test_other_things_than_ranks_are_refused(value):
    ranked, payload = encoded(CASES["layers"])
    payload.meta["ranks"] = value
    with pytest.raises(FormatError):
        ranks.restore(ranked, payload)


def test_a_missing_stream_is_refused():
    ranked, payload = encoded(CASES["layers"])
    with pytest.raises(FormatError, match="GAPZ"):
        ranks.restore(ranked, Payload(payload.meta, {}))


def test_damage_is_refused_or_stays_on_the_axis():
    ranked, payload = encoded(CASES["jittered layers"])
    data = payload.streams["GAPZ"]
    for position in range(len(data)):
        damaged = bytearray(data)
        damaged[position] ^= 0x24
        for stream in (data[:position], bytes(damaged)):
            try:
                restored = ranks.restore(ranked, Payload(payload.meta, {"GAPZ": stream}))
            except FormatError:
                continue
            assert restored.min() >= 0 and restored.max() < 1 << 32
            assert np.array_equal(restored[:, :2], ranked[:, :2])
