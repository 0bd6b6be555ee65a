"""LZF, for the `binary_compressed` form of PCD files.

A control byte c below 32 is followed by c + 1 literal bytes; any other starts a copy of earlier
output: length c >> 5 (7: a byte more), plus 2, from (c & 31) * 256 + next byte + 1 back.
"""

from __future__ import annotations

import numpy as np

_BLOCK = 1 << 20  # bytes whose repetitions are searched at once
_FARTHEST, _LONGEST = 1 << 13, 264  # of a copy
_RUN = 32  # literals behind one control byte


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


def compress(data: bytes) -> bytes:
    """An LZF stream for `data`: at each place the nearest copy of three bytes or more."""
    out = bytearray()
    for start in range(0, len(data), _BLOCK):
        _compress_block(data[start : start + _BLOCK], out)
    return bytes(out)


def _compress_block(block: bytes, out: bytearray) -> None:
    before = _repetitions(block)
    places = np.flatnonzero(before >= 0).tolist()
    sources = before[places].tolist()
    end = 0  # of what is written
    for place, source in zip(places, sources, strict=True):
        if place < end:
            continue
        length, most = 3, min(_LONGEST, len(block) - place)
        if block[source : source + most] == block[place : place + most]:
            length = most  # one comparison for the long runs of points that are not there
        while length < most and block[source + length] == block[place + length]:
            length += 1
        _literals(block[end:place], out)
        back = place - source - 1
        if length < 9:
            out += bytes([(length - 2) << 5 | back >> 8, back & 255])
        else:
            out += bytes([7 << 5 | back >> 8, length - 9, back & 255])
        end = place + length
    _literals(block[end:], out)


def _repetitions(block: bytes) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """For each place where the same three bytes stood before, near enough, that place; else -1."""
    raw = np.frombuffer(block, np.uint8).astype(np.int64)
    before = np.full(len(raw), -1, dtype=np.int64)
    if len(raw) >= 3:
        keys = raw[:-2] << 16 | raw[1:-1] << 8 | raw[2:]
        order = np.argsort(keys, kind="stable")
        again = keys[order][1:] == keys[order][:-1]
        again &= np.diff(order) <= _FARTHEST
        before[order[1:][again]] = order[:-1][again]
    return before


def _literals(part: bytes, out: bytearray) -> None:
    for start in range(0, len(part), _RUN):
        run = part[start : start + _RUN]
        out.append(len(run) - 1)
        out += run
