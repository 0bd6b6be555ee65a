"""LZF decompression, for the `binary_compressed` form of PCD files.

A control byte c below 32 is followed by c + 1 literal bytes; any other starts a copy of earlier
output: length c >> 5 (7: a byte more), plus 2, from (c & 31) * 256 + next byte + 1 back.
"""

from __future__ import annotations


def decompress(data: bytes, size: int) -> bytes:
    """The `size` bytes that `data` stands for; ValueError when it stands for anything else."""
    out = bytearray()
    at = 0
    try:
        while at < len(data) and len(out) <= size:
            control = data[at]
            at += 1
            if control < 32:
                literal = data[at : at + control + 1]
                if len(literal) != control + 1:
                    raise ValueError("a literal run is cut off")
                out += literal
                at += control + 1
            else:
                at = _copy(data, at, control, out)
    except IndexError:
        raise ValueError("a copy is cut off") from None
    if len(out) != size:
        raise ValueError(f"it holds {len(out)} bytes or more, not {size}")
    return bytes(out)


def _copy(data: bytes, at: int, control: int, out: bytearray) -> int:
    """Append one copy to `out`; the position after it in `data`."""
    length = control >> 5
    if length == 7:
        length += data[at]
        at += 1
    length += 2
    start = len(out) - ((control & 31) << 8) - data[at] - 1
    if start < 0:
        raise ValueError("a copy starts before the beginning")
    piece = out[start : start + length]
    # A copy may run into what it writes: then the piece repeats.
    out += (piece * (length // len(piece) + 1))[:length]
    return at + 1
