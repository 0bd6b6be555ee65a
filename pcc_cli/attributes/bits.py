"""Bits that no model predicts, as they are: one after the other, the highest of a value first."""

from __future__ import annotations

import numpy as np

from pcc_cli.errors import FormatError
from pcc_cli.geometry import Array


class BitWriter:
    """Collects bits; `finish` pads them to whole bytes with zeros."""

    def __init__(self) -> None:
        self._pieces: list[Array] = []

    def put(self, values: Array, widths: Array) -> None:
        """Append the lowest widths[i] bits of values[i], for each i."""
        places, left = _places(widths)
        whole = values.astype(np.int64)
        self._pieces.append((whole[places] >> left & 1).astype(np.uint8))

    def finish(self) -> bytes:
        if not self._pieces:
            return b""
        return np.packbits(np.concatenate(self._pieces)).tobytes()


class BitReader:
    """Reads what a `BitWriter` wrote, given the same widths."""

    def __init__(self, data: bytes) -> None:
        self._bits = np.unpackbits(np.frombuffer(data, dtype=np.uint8))
        self._position = 0

    def take(self, widths: Array) -> Array:
        """(n,) int64 values of `widths` (n,) bits; FormatError where the bits end before."""
        places, left = _places(widths)
        end = self._position + len(places)
        if end > len(self._bits):
            raise FormatError("the bits of a column end too early")
        values = self._bits[self._position : end].astype(np.int64) << left
        self._position = end
        bounds = np.concatenate([[0], np.cumsum(values)])
        ends = np.cumsum(widths)
        taken: Array = bounds[ends] - bounds[ends - widths]
        return taken

    def finish(self) -> None:
        """FormatError when more than the padding is left."""
        rest = self._bits[self._position :]
        if len(rest) >= 8 or rest.any():
            raise FormatError("bits of a column are left over")


def _places(widths: Array) -> tuple[Array, Array]:
    """For each bit, which value it belongs to and how many bits of that follow."""
    places = np.repeat(np.arange(len(widths)), widths)
    ends = np.cumsum(widths)
    return places, ends[places] - 1 - np.arange(len(places))
