"""Whether the chunks of a LAZ file fit into it, looked at before they are decompressed.

A decompressor believes the lengths that it finds, and a wrong one asks it for gigabytes. Of points
in layers (LAS 1.4) each chunk is its first point, the number of its points, the sizes of its
layers, and the layers.
"""

from __future__ import annotations

import struct

_LAYERED = 3  # the compressor of point formats 6 to 10
_LAYERS = {10: 9, 11: 1, 12: 2, 13: 1}  # of an item by its type; of extra bytes one for each byte
_EXTRA_BYTES = 14
_MOST_ITEMS = 64


def check(data: bytes, start: int, laszip: bytes) -> None:
    """ValueError when what is at `start` in `data` cannot be what the LASzip record says."""
    (compressor,) = struct.unpack_from("<H", laszip)
    if compressor == 1:  # one piece, without chunks
        return
    first, table = start + 8, _table_offset(data, start)
    (chunks,) = struct.unpack_from("<I", data, table + 4)
    if not first <= table or chunks > table - first:
        raise ValueError("its table of chunks does not fit")
    if compressor == _LAYERED:
        _check_layers(data, first, table, laszip)


def _table_offset(data: bytes, start: int) -> int:
    """Where the table of chunks is, which the last bytes say if the first could not."""
    (offset,) = struct.unpack_from("<q", data, start)
    if offset == -1:
        (offset,) = struct.unpack_from("<q", data, len(data) - 8)
    if not start + 8 <= offset <= len(data) - 8:
        raise ValueError("its table of chunks is beyond its end")
    return int(offset)


def _check_layers(data: bytes, at: int, end: int, laszip: bytes) -> None:
    (count,) = struct.unpack_from("<H", laszip, 32)
    if count > _MOST_ITEMS:
        raise ValueError(f"its points have {count} items")
    items = [struct.unpack_from("<2H", laszip, 34 + 6 * i) for i in range(count)]
    layers = sum(size if kind == _EXTRA_BYTES else _LAYERS.get(kind, 0) for kind, size in items)
    head = struct.Struct(f"<{sum(size for _, size in items)}xI{layers}I")
    while at < end:
        if at + head.size > end:
            raise ValueError("a chunk of its points is cut off")
        _, *sizes = head.unpack_from(data, at)
        at += head.size + sum(sizes)
        if at > end:
            raise ValueError("a chunk of its points claims more than there is")
