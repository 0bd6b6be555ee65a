"""LZF: what PCL writes is read, and what is written is read back."""

from __future__ import annotations

import numpy as np
import pytest

from pcc_cli.formats import lzf


def test_lzf_copies() -> None:
    # "abc", 7 bytes from 3 back (it overlaps itself), then 9 + 5 from 1 back: the long form
    data = b"\x02abc" + bytes([(5 << 5) | 0, 2]) + bytes([7 << 5, 5, 0])
    assert lzf.decompress(data, 24) == b"abcabcabca" + b"a" * 14


@pytest.mark.parametrize("data", [b"\x05ab", b"\x20", b"\xe0\x01", b"\x00a\x20\x05", b"\x00a"])
def test_lzf_damage(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        lzf.decompress(data, 9)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"ab",
        bytes(5000),
        b"abcabcabc" * 40,
        np.random.default_rng(0).integers(0, 256, 3000, dtype=np.uint8).tobytes(),
        np.random.default_rng(1).integers(0, 3, 70000, dtype=np.uint8).tobytes(),
        np.arange(20000, dtype=np.uint32).tobytes(),
        bytes((1 << 20) + 5),
    ],
)
def test_lzf_comes_back(data: bytes) -> None:
    packed = lzf.compress(data)
    assert lzf.decompress(packed, len(data)) == data
    assert len(packed) <= len(data) + len(data) // 32 + 1


def test_lzf_finds_repetitions() -> None:
    assert len(lzf.compress(bytes(10000))) < 150
    assert len(lzf.compress(bytes(range(200)) * 50)) < 500
