"""What a stream says of its volume before any coefficient: type, shape, range, what is not finite.

docs/format-neurcomp.md, chapter 1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pcc_cli.codecs.neurcomp.stream import In, Out
from pcc_cli.entropy import columns, zstd
from pcc_cli.errors import FormatError
from pcc_cli.geometry import AXES_OF_VOLUMES, Array, Volume

SIDE_LIMIT = 1 << 31
SAMPLES_LIMIT = 1 << 40
_LEVEL = 19  # of zstandard, for the mask
_HAS_MASK = 0x80


@dataclass(frozen=True)
class Frame:
    """type, shape, axes : of the values
    low, high : of the finite values, of that type; equal for a constant volume
    odd : (m,) values that are not finite, in the order of the volume; mask : where they are
    """

    type: np.dtype[Any]
    shape: tuple[int, ...]
    axes: str
    low: Any
    high: Any
    mask: Array | None = None
    odd: Array = field(default_factory=lambda: np.zeros(0))

    @classmethod
    def of(cls, values: Array, axes: str) -> Frame:
        finite = np.isfinite(values) if values.dtype.kind == "f" else np.ones(values.shape, bool)
        mask = None if finite.all() else ~finite
        kept = values[finite] if mask is not None else values
        low, high = (kept.min(), kept.max()) if kept.size else (values.dtype.type(0),) * 2
        odd = np.zeros(0, values.dtype) if mask is None else values[mask]
        return cls(values.dtype, values.shape, axes, low, high, mask, odd)

    @property
    def is_constant(self) -> bool:
        return bool(self.low == self.high)

    @property
    def count(self) -> int:
        return math.prod(self.shape)

    @property
    def spread(self) -> float:
        """Of the finite values."""
        return float(self.high) - float(self.low)

    @property
    def extents(self) -> tuple[int, ...]:
        """(t, z, y, x, c) lengths."""
        named = dict(zip(self.axes, self.shape, strict=True))
        return tuple(named.get(axis, 1) for axis in "tzyxc")

    def samples(self, values: Array) -> Array:
        """(t, z, y, x, c) float64; what is not finite becomes the mean of what is around it."""
        found: Array = values.astype(np.float64).reshape(self.extents)
        return found if self.mask is None else _filled(found, self.mask.reshape(self.extents))

    def constant(self) -> Array:
        return np.full(self.extents, self.low, self.type)

    def values(self, samples: Array) -> Array:
        """(t, z, y, x, c) samples as values: rounded to whole numbers, within the range."""
        if self.type.kind == "f":
            return np.clip(samples.astype(self.type), self.low, self.high)
        # Integers above 2**53 have no float64 of their own: they stay below the largest that has.
        high = min(float(self.high), float(np.nextafter(float(np.iinfo(self.type).max), 0.0)))
        found = np.clip(np.rint(samples), float(self.low), high).astype(self.type)
        return np.clip(found, self.low, self.high)

    def volume(self, samples: Array) -> Volume:
        """The volume of (t, z, y, x, c) samples, with what was not finite."""
        found = self.values(samples).reshape(self.shape)
        if self.mask is not None:
            found[self.mask] = self.odd
        return Volume(found, self.axes)

    def write(self, out: Out) -> None:
        name = columns.type_name(self.type)
        kind = columns.TYPES.index(name) * len(AXES_OF_VOLUMES) + AXES_OF_VOLUMES.index(self.axes)
        out.byte(kind | (_HAS_MASK if self.mask is not None else 0))
        for length in self.shape:
            out.whole(length)
        out.array(np.array([self.low, self.high], self.type))
        if self.mask is not None:
            out.block(zstd.pack([np.packbits(self.mask).tobytes()], _LEVEL))
            odd = columns.encode(self.odd, _LEVEL)
            out.byte(columns.CHAINS.index(odd.steps))
            out.whole(odd.table)
            out.whole(odd.table_bytes)
            out.block(odd.data)

    @classmethod
    def read(cls, stream: In) -> Frame:
        first = stream.byte()
        kind, axes = divmod(first & ~_HAS_MASK, len(AXES_OF_VOLUMES))
        if kind >= len(columns.TYPES):
            raise FormatError("the volume's stream names an unknown type")
        dtype = columns.type_of(columns.TYPES[kind])
        names = AXES_OF_VOLUMES[axes]
        shape = tuple(stream.whole(SIDE_LIMIT) for _ in names)
        if math.prod(shape) > SAMPLES_LIMIT:
            raise FormatError(f"a volume of the shape {shape} is too large")
        low, high = stream.array(dtype, 2).astype(dtype.newbyteorder("="))
        if not (np.isfinite(low) and low <= high <= high):
            raise FormatError("the range of the volume is none")
        native = dtype.newbyteorder("=")
        if not first & _HAS_MASK:
            return cls(native, shape, names, low, high, None, np.zeros(0, native))
        return cls(native, shape, names, low, high, *_read_mask(stream, shape, dtype))


def _read_mask(stream: In, shape: tuple[int, ...], dtype: np.dtype[Any]) -> tuple[Array, Array]:
    count = math.prod(shape)
    packed = np.frombuffer(zstd.unpack(stream.block(), -(-count // 8)), np.uint8)
    mask = np.unpackbits(packed, count=count).astype(bool).reshape(shape)
    steps = stream.byte()
    if steps >= len(columns.CHAINS):
        raise FormatError("unknown steps of a column")
    table, table_bytes = stream.whole(columns.TABLE_LIMIT), stream.whole(1 << 30)
    column = columns.Column(columns.CHAINS[steps], stream.block(), table, table_bytes)
    odd = columns.decode(column, int(mask.sum()), dtype)
    return mask, odd.astype(dtype.newbyteorder("="))


def _filled(samples: Array, mask: Array) -> Array:
    """Holes take means of coarser and coarser neighbourhoods, so that they cost few bits."""
    known = ~mask
    values = np.where(known, samples, 0.0)
    if not known.any():
        return values
    filled = np.where(known, samples, samples[known].mean())
    weight = known.astype(np.float64)
    for _ in range(8):
        for axis in (1, 2, 3):
            values, weight = _blurred(values, axis), _blurred(weight, axis)
        reached = mask & (weight > 1e-9)
        filled[reached] = values[reached] / weight[reached]
        mask = mask & ~reached
        if not mask.any():
            break
    return filled


def _blurred(values: Array, axis: int) -> Array:
    out = values * 2.0
    whole = [slice(None)] * values.ndim
    first, last = list(whole), list(whole)
    first[axis], last[axis] = slice(None, -1), slice(1, None)
    out[tuple(last)] += values[tuple(first)]
    out[tuple(first)] += values[tuple(last)]
    return out / 4.0
