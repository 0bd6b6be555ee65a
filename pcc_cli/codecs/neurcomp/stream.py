"""Small numbers in front of a stream: whole ones in groups of seven bits, floats as they are."""

from __future__ import annotations

import struct

import numpy as np

from pcc_cli.errors import FormatError
from pcc_cli.geometry import Array


class Out:
    """Bytes that grow."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def byte(self, value: int) -> None:
        self._parts.append(bytes([value]))

    def whole(self, value: int) -> None:
        """A number from 0 on, the lowest seven bits first; the top bit says that more follow."""
        while value >= 0x80:
            self.byte(value & 0x7F | 0x80)
            value >>= 7
        self.byte(value)

    def float32(self, value: float) -> None:
        self._parts.append(struct.pack("<f", value))

    def array(self, values: Array) -> None:
        """The values little-endian."""
        self._parts.append(values.astype(values.dtype.newbyteorder("<")).tobytes())

    def block(self, data: bytes) -> None:
        """Bytes behind their number."""
        self.whole(len(data))
        self._parts.append(data)

    def append(self, data: bytes) -> None:
        self._parts.append(data)

    def finish(self) -> bytes:
        return b"".join(self._parts)


class In:
    """Reads what `Out` wrote; FormatError where the bytes end before, or a number is too large."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def byte(self) -> int:
        return self._take(1)[0]

    def whole(self, most: int) -> int:
        """A number 0 .. most."""
        value = shift = 0
        while True:
            byte = self.byte()
            value |= (byte & 0x7F) << shift
            shift += 7
            if value > most or shift > 70:
                raise FormatError(f"the volume's stream says {value} where {most} is the most")
            if byte < 0x80:
                return value

    def float32(self) -> float:
        """A finite number."""
        (value,) = struct.unpack("<f", self._take(4))
        if not np.isfinite(value):
            raise FormatError("a number of the volume's stream is not finite")
        return float(value)

    def array(self, kind: np.dtype[np.generic], count: int) -> Array:
        return np.frombuffer(self._take(count * kind.itemsize), kind.newbyteorder("<"))

    def block(self) -> bytes:
        return self._take(self.whole(len(self._data)))

    def rest(self) -> bytes:
        """All bytes that are left."""
        return self._take(len(self._data) - self._at)

    def finish(self) -> None:
        """FormatError when bytes are left."""
        if self._at != len(self._data):
            raise FormatError("bytes of the volume's stream are left over")

    def _take(self, count: int) -> bytes:
        part = self._data[self._at : self._at + count]
        if len(part) != count:
            raise FormatError("the volume's stream ends too early")
        self._at += count
        return part
