"""Bytes to zstandard frames and back, with the size known beforehand.

The caller always knows how many bytes to expect, so no frame carries a surprise: a frame that
announces another size is refused before anything is allocated for it.
"""

from __future__ import annotations

import zstandard

from pcc_cli.errors import FormatError

BLOCK_GAIN = 1 << 15  # a block of at most 128 KiB takes 4 bytes at least


def pack(raw: bytes, level: int) -> bytes:
    """One zstandard frame with its content size and without a checksum (sections have a CRC)."""
    return zstandard.ZstdCompressor(level=level).compress(raw)


def unpack(frame: bytes, size_bytes: int) -> bytes:
    """The `size_bytes` bytes in `frame`.

    Raises FormatError when the frame is damaged, holds another number of bytes, or is followed
    by anything.
    """
    try:
        announced = zstandard.frame_content_size(frame)
        if announced != size_bytes or size_bytes > BLOCK_GAIN * len(frame):
            raise FormatError(f"a zstandard frame of {announced} bytes where {size_bytes} belong")
        raw = zstandard.ZstdDecompressor().decompress(frame, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise FormatError(f"a damaged zstandard frame: {error}") from error
    if len(raw) != size_bytes:
        raise FormatError(f"a zstandard frame gave {len(raw)} bytes where {size_bytes} belong")
    return raw
