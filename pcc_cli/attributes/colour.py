"""Red, green and blue by the transform of `raht`: three columns as luma and chroma, and back.

columns -> Y, Cb, Cr of BT.709 -> raht -> descriptions and bytes
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pcc_cli.attributes import raht
from pcc_cli.errors import FormatError
from pcc_cli.fields import integer, member
from pcc_cli.geometry import Array

Record = dict[str, Any]

RAHT = "raht.1"  # on disk, for ever
CHANNELS = 3
TYPES = (np.dtype("u1"), np.dtype("u2"))
STEPS = (2.0**-20, 2.0**20)  # of the quantizer, the bounds
BEST, HALVES = 100, 12  # the step is 1 of 255 at quality 100, and doubles every 12 below
_TO_LUMA = np.linalg.inv([[1, 0, 1.5748], [1, -0.1873, -0.4681], [1, 1.8556, 0]])


def encode(
    columns: Sequence[Array], voxels: Array, quality: float
) -> tuple[list[tuple[Record, bytes]], list[Array]]:
    """Description and bytes of each of three `columns` (n,), of one of TYPES, of points at
    `voxels` (n, 3) in Morton order; and the columns that `decode` gives.

    quality : 1, the smallest, to 100, next to lossless
    """
    top = peak(columns)
    step = float(2 ** ((BEST - quality) / HALVES) * top / 255)
    colours = np.stack([column.astype(np.float64) for column in columns])
    coded, decoded = raht.encode(_TO_LUMA @ colours, voxels, step)
    stored = []
    for channel, first in zip(coded, ({"step": step, "top": top}, {}, {}), strict=True):
        data = channel.stream + channel.plain
        record = {"coder": RAHT, "plain": len(channel.plain), **first, "bytes": len(data)}
        stored.append((record, data))
    return stored, _columns(decoded, top, columns[0].dtype)


def decode(
    entries: Sequence[Record], pieces: Sequence[bytes], voxels: Array, dtype: np.dtype[Any]
) -> list[Array]:
    """The three columns (n,); FormatError when the description or the data are damaged."""
    if any(entry.get("coder") != RAHT for entry in entries) or len(entries) != CHANNELS:
        raise FormatError("colours are three columns that follow each other")
    if dtype not in TYPES:
        raise FormatError(f"colours of the type {dtype} have no transform")
    step, top = member(entries[0], "step", float), integer(entries[0], "top", 1, 65535)
    if not STEPS[0] <= step <= STEPS[1]:
        raise FormatError(f"'step' is {step}; it must be in {STEPS[0]} .. {STEPS[1]}")
    if top > np.iinfo(dtype).max:
        raise FormatError("a colour is larger than its type")
    coded = []
    for entry, data in zip(entries, pieces, strict=True):
        split = len(data) - integer(entry, "plain", 0, len(data))
        coded.append(raht.Coded(data[:split], data[split:]))
    return _columns(raht.decode(coded, voxels, step), top, dtype)


def peak(columns: Sequence[Array]) -> int:
    """What stands for full brightness: 255, or 65535 where a colour is larger."""
    return 65535 if max(int(column.max()) for column in columns) > 255 else 255


def _columns(channels: Array, top: int, dtype: np.dtype[Any]) -> list[Array]:
    luma, blue, red = channels
    colours = [
        luma + 1.5748 * red,
        (luma - 0.1873 * blue) - 0.4681 * red,
        luma + 1.8556 * blue,
    ]
    return [np.clip(np.floor(colour + 0.5), 0, top).astype(dtype) for colour in colours]
