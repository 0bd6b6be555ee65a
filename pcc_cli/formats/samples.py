"""What the formats of volumes share: a layout of samples, and the bytes that it describes.

All of them store x fastest; components of a sample, where there are any, faster still.
"""

from __future__ import annotations

import base64
import binascii
import bz2
import lzma
import math
import re
import zlib
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pcc_cli.errors import InputError, OutputError
from pcc_cli.formats.talk import Note
from pcc_cli.geometry import IDENTITY, Array, Volume

SAMPLES_LIMIT = 1 << 40
DAMAGE = (ValueError, KeyError, IndexError, TypeError, OverflowError, EOFError, OSError,
          zlib.error, lzma.LZMAError, binascii.Error)  # fmt: skip


def damaged(name: str, what: str, error: Exception) -> InputError:
    """The error for a file called `name` that is no whole `what`, of what reading it raised."""
    why = f"no field {error}" if isinstance(error, KeyError) else str(error)[:120]
    return InputError(f"{name}: damaged or unsupported {what}: {why}")


@dataclass(frozen=True)
class Layout:
    """What a header says.

    type : of the samples, as numpy spells it with its byte order: "<i2"
    shape, axes, spacing, origin, direction : as of geometry.Volume
    """

    type: str
    shape: tuple[int, ...]
    axes: str = "zyx"
    spacing: tuple[float, float, float] = (1.0, 1.0, 1.0)
    origin: tuple[float, float, float] = (0.0, 0.0, 0.0)
    direction: tuple[float, ...] = IDENTITY

    @classmethod
    def of(cls, volume: Volume) -> Layout:
        """That of a volume, with the byte order of its source if it says one."""
        order = volume.source.get("byte_order", "<")
        kind = volume.values.dtype.newbyteorder(order).str
        place = volume.spacing, volume.origin, volume.direction
        return cls(kind, volume.values.shape, volume.axes, *place)

    @property
    def size_bytes(self) -> int:
        """Of all samples; ValueError for a shape that cannot be."""
        count = math.prod(self.shape)
        if min(self.shape) < 0 or count > SAMPLES_LIMIT:
            raise ValueError(f"no volume has the shape {self.shape}")
        return count * np.dtype(self.type).itemsize

    @property
    def sides(self) -> tuple[int, int, int]:
        """Samples along x, y and z."""
        z = self.axes.index("z")
        return self.shape[z + 2], self.shape[z + 1], self.shape[z]

    @property
    def steps(self) -> int:
        return self.shape[0] if self.axes[0] == "t" else 1

    @property
    def components(self) -> int:
        return self.shape[-1] if self.axes[-1] == "c" else 1

    def volume(self, raw: bytes, source: dict[str, Any]) -> Volume:
        """The volume of the samples `raw`; ValueError when they are too few or too many."""
        if len(raw) != self.size_bytes:
            raise ValueError(f"{len(raw):,} bytes of samples where {self.size_bytes:,} belong")
        values = np.frombuffer(raw, self.type).reshape(self.shape)
        return self.placed(values, source)

    def placed(self, values: Array, source: dict[str, Any]) -> Volume:
        """The volume of `values`, whose byte order, where it is not ours, is kept in `source`."""
        order = {"byte_order": ">"} if np.dtype(self.type).str[0] == ">" else {}
        native = values.astype(values.dtype.newbyteorder("="))
        return Volume(
            native, self.axes, self.spacing, self.origin, self.direction, {**source, **order}
        )

    def stored(self, volume: Volume) -> bytes:
        """The samples as this layout has them."""
        return volume.values.astype(self.type, copy=False).tobytes()


def arranged(sizes: list[int], components: int = 1) -> tuple[tuple[int, ...], str]:
    """Shape and axes of a volume from the sizes of its axes, x first; 1 to 4 of them."""
    if not 1 <= len(sizes) <= 4:
        raise ValueError(f"{len(sizes)} axes; pcc reads volumes of at most four")
    sizes = [*sizes, 1, 1][: max(len(sizes), 3)]
    axes = "tzyx"[-len(sizes) :]
    shape = tuple(reversed(sizes))
    return ((*shape, components), axes + "c") if components > 1 else (shape, axes)


def framed(matrix: list[list[float]]) -> tuple[tuple[float, float, float], tuple[float, ...]]:
    """Spacing and direction of a 3 x 3 matrix whose columns are the steps along x, y and z."""
    spacing = [math.hypot(*column) or 1.0 for column in zip(*matrix, strict=True)]
    rows = [[v / s for v, s in zip(row, spacing, strict=True)] for row in matrix]
    direction = tuple(value + 0.0 for row in rows for value in row)  # no -0.0
    if not np.isfinite([*spacing, *direction]).all():
        raise ValueError("a step of the grid is not finite")
    return (spacing[0], spacing[1], spacing[2]), direction


def steps_of(layout: Layout) -> list[list[float]]:
    """The 3 x 3 matrix whose columns are the steps along x, y and z."""
    rows = [layout.direction[i : i + 3] for i in (0, 3, 6)]
    return [[d * s for d, s in zip(row, layout.spacing, strict=True)] for row in rows]


def three(numbers: list[float]) -> tuple[float, float, float]:
    """The first three of `numbers`, which must be finite; without them 0."""
    x, y, z = [*map(float, numbers), 0.0, 0.0, 0.0][:3]
    if not all(map(math.isfinite, (x, y, z))):
        raise ValueError("a place or a step of the grid is not finite")
    return x, y, z


def inflated(data: bytes, encoding: str, size_bytes: int) -> bytes:
    """At most `size_bytes` bytes of compressed `data`, which more cannot be made of.

    encoding : "zlib" (or gzip), "bz2", "lzma"
    """
    made: Any = {
        "zlib": lambda: zlib.decompressobj(zlib.MAX_WBITS | 32),
        "bz2": bz2.BZ2Decompressor,
        "lzma": lzma.LZMADecompressor,
    }[encoding]()
    raw: bytes = made.decompress(data, size_bytes) if size_bytes else b""
    return raw


def numbers_in(text: bytes, layout: Layout) -> bytes:
    """The samples of numbers that are written out, as `layout` has them."""
    words = text.split()
    count = math.prod(layout.shape)
    if layout.size_bytes and len(words) != count:
        raise ValueError(f"{len(words):,} numbers where {count:,} belong")
    kind = np.dtype(layout.type)
    if kind.kind == "f":
        return np.array(words, dtype="S").astype(kind).tobytes()
    return np.array([int(word) for word in words], dtype=kind).tobytes()


def numbers_of(volume: Volume) -> bytes:
    """The samples written out, a row of x in each line."""
    width = volume.values.shape[volume.axes.index("x")]
    rows = volume.values.reshape(-1, max(width, 1)).tolist()
    return "\n".join(" ".join(map(repr, row)) for row in rows).encode() + b"\n"


def from_base64(data: bytes) -> bytes:
    return base64.b64decode(b"".join(data.split()), validate=True)


def flat(volume: Volume, suffix: str, note: Note, steps: bool = False) -> Volume:
    """`volume` for a format that has no time steps, or no axes at an angle: without them.

    steps : whether the format has time steps
    """
    if volume.axes[0] == "t" and not steps:
        if len(volume.values) > 1:
            note(f"{suffix[1:]} files hold one time step: the first of {len(volume.values)} kept")
        volume = replace(volume, values=volume.values[0], axes=volume.axes[1:])
    return volume


def widened(volume: Volume, kinds: Collection[str], suffix: str, note: Note) -> Volume:
    """`volume` with samples of the narrowest type of `kinds` that holds them; OutputError if none.

    kinds : such as "u1", "i2", "f4"
    """
    own = volume.values.dtype
    if own.str[1:] in kinds:
        return volume
    order = sorted(kinds, key=lambda kind: (np.dtype(kind).itemsize, kind))
    wider = next((kind for kind in order if np.can_cast(own, kind)), None)
    if wider is None:
        raise OutputError(f"{suffix[1:]} files hold no samples of type {own}")
    note(f"{suffix[1:]} files hold no {own}: the samples became {np.dtype(wider)}")
    return replace(volume, values=volume.values.astype(wider))


def without_direction(volume: Volume, suffix: str, note: Note) -> Volume:
    """`volume` for a format whose axes are those of space."""
    if volume.direction != IDENTITY:
        note(f"{suffix[1:]} files have no place for the direction of the axes: left out")
    return replace(volume, direction=IDENTITY)


def first_number(text: str) -> str:
    """The digits that `text` begins with."""
    found = re.match(r"\s*(\d+)", text)
    return found.group(1) if found else ""
