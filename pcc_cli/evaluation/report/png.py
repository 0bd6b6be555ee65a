"""The smallest PNG writer: 8-bit RGB or RGBA, one IDAT chunk, rows filtered for a good deflate."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np

from pcc_cli.errors import OutputError
from pcc_cli.geometry import Array

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_FORMS = {(3,): 2, (4,): 6}  # shape of a pixel -> colour type
_PAETH = 4  # the filter byte of every row: smooth pictures shrink most with it


def encode_png(image: Array) -> bytes:
    """The PNG file that shows `image`, (h, w, 3) or, with opacity, (h, w, 4) uint8."""
    form = image.shape[2:]
    if form not in _FORMS or image.dtype != np.uint8 or not image.size:
        raise OutputError(f"an image must be (h, w, 3 or 4) uint8, not {image.shape} {image.dtype}")
    height, width, channels = image.shape
    rows = np.empty((height, 1 + channels * width), dtype=np.uint8)
    rows[:, 0] = _PAETH
    rows[:, 1:] = (image - _paeth(image)).reshape(height, -1)
    header = struct.pack(">IIBBBBB", width, height, 8, _FORMS[form], 0, 0, 0)
    body = zlib.compress(rows.tobytes(), 9)
    return _SIGNATURE + _chunk(b"IHDR", header) + _chunk(b"IDAT", body) + _chunk(b"IEND", b"")


def write_png(path: Path, image: Array) -> None:
    """Write `image`, as in `encode_png`, to `path`."""
    try:
        Path(path).write_bytes(encode_png(image))
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror}") from None


def _chunk(kind: bytes, body: bytes) -> bytes:
    check = zlib.crc32(kind + body)
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", check)


def _paeth(image: Array) -> Array:
    """What the Paeth filter predicts: which of the three is nearest to left + up - corner."""
    padded = np.pad(image.astype(np.int16), ((1, 0), (1, 0), (0, 0)))
    left, up, corner = padded[1:, :-1], padded[:-1, 1:], padded[:-1, :-1]
    to_left, to_up = np.abs(up - corner), np.abs(left - corner)
    to_corner = np.abs(left + up - 2 * corner)
    nearest = np.where(to_up <= to_corner, up, corner)
    nearest = np.where((to_left <= to_up) & (to_left <= to_corner), left, nearest)
    return nearest.astype(np.uint8)
