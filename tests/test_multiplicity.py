"""Coinciding points: each voxel once, and back."""

from __future__ import annotations

import json

import contract
import numpy as np
import pytest

from pcc_cli.codecs import multiplicity
from pcc_cli.codecs.base import Payload
from pcc_cli.errors import FormatError, PccError

CASES = {name: cloud.voxels for name, cloud in contract.voxel_cases().items() if len(cloud)}


def payload_of(counts: np.ndarray) -> Payload:
    meta, streams = multiplicity.encode(counts)
    return Payload(json.loads(json.dumps(meta)), streams)


@pytest.mark.parametrize("case", CASES)
def test_round_trip(case):
    voxels = CASES[case]
    distinct, counts = multiplicity.split(voxels)
    expected, expected_counts = np.unique(voxels, axis=0, return_counts=True)
    assert len(distinct) == len(expected) and counts.sum() == len(voxels)
    assert sorted(counts.tolist()) == sorted(expected_counts.tolist())
    assert np.array_equal(np.repeat(distinct, counts, axis=0), voxels)
    restored = multiplicity.restore(distinct, payload_of(counts), len(voxels))
    assert np.array_equal(restored, voxels)


def test_nothing_is_stored_where_nothing_repeats():
    assert payload_of(np.ones(100, np.int64)) == Payload({}, {})


def test_many_of_one():
    counts = np.array([1, 8_000_000, 3])
    payload = payload_of(counts)
    assert payload.size_bytes < 60
    voxels = np.arange(9).reshape(3, 3)
    restored = multiplicity.restore(voxels, payload, 8_000_004)
    assert len(restored) == 8_000_004 and np.array_equal(restored[-4], voxels[1])


@pytest.mark.parametrize("points", [0, 1, 5, 7, 1 << 23])
def test_counts_that_do_not_add_up_are_refused(points):
    voxels = np.arange(9).reshape(3, 3)
    for counts in (np.array([1, 2, 3]), np.array([1, 1, 1])):
        if counts.sum() != points:
            with pytest.raises(FormatError):
                multiplicity.restore(voxels, payload_of(counts), points)


@pytest.mark.parametrize("voxels", [1, 2, 4, 1000])
def test_a_list_of_another_length_is_refused(voxels):
    payload = payload_of(np.array([1, 2, 3]))
    with pytest.raises(FormatError):
        multiplicity.restore(np.zeros((voxels, 3), np.int64), payload, 6)


def test_damage_is_a_format_error_or_as_many_points():
    payload = payload_of(np.arange(1, 60))
    data, voxels = payload.streams["MULT"], np.arange(177).reshape(59, 3)
    for position in range(len(data)):
        damaged = bytearray(data)
        damaged[position] ^= 0x41
        for stream in (data[:position], bytes(damaged)):
            try:
                restored = multiplicity.restore(
                    voxels, Payload(payload.meta, {"MULT": stream}), 1770
                )
            except PccError as error:
                assert isinstance(error, FormatError)
            else:
                assert len(restored) == 1770


def test_a_missing_stream_is_a_format_error():
    payload = payload_of(np.array([2, 2]))
    with pytest.raises(FormatError, match="MULT"):
        multiplicity.restore(np.zeros((2, 3), np.int64), Payload(payload.meta, {}), 4)
