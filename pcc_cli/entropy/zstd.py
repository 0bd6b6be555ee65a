"""Bytes to zstandard frames and back, with the size known beforehand.

The caller always knows how many bytes to expect, so no frame carries a surprise: a frame that
announces another size is refused before anything is allocated for it.
"""

from __future__ import annotations

from collections.abc import Iterable

import zstandard

from pcc_cli.errors import FormatError

BLOCK_GAIN = 1 << 15  # a block of at most 128 KiB takes 4 bytes at least
BLOCK_LEAST = 256  # bytes that are worth a block of their own


def pack(parts: Iterable[bytes], level: int) -> bytes:
    """One zstandard frame with all `parts`, its content size, no checksum (sections have a CRC).

    Parts have statistics of their own (the bytes of one significance, the nodes of one level),
    so blocks end with them, except where a block costs more than that gains: 1 to 5 % smaller.
    """
    parts = list(parts)
    packer = zstandard.ZstdCompressor(level=level).compressobj(size=sum(map(len, parts)))
    pieces = []
    pending = 0
    for part in parts:
        pieces.append(packer.compress(part))
        pending += len(part)
        if pending >= BLOCK_LEAST:
            pieces.append(packer.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK))
            pending = 0
    return b"".join([*pieces, packer.flush()])


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
