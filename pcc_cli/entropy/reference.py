"""The range coder in plain Python and numpy: what `docs/format-rangecoder.md` says, as code.

`RangeEncoder` and `RangeDecoder` are drop-in twins of constriction's, as far as
`entropy/rangecoder.py` uses them: the same methods, the same arguments, the same bytes. They keep
files readable and writable on platforms that constriction has no wheel for, at a tenth of its
speed.
"""

from __future__ import annotations

from bisect import bisect_right

import numpy as np

from pcc_cli.errors import FormatError
from pcc_cli.geometry import Array

FREQUENCY_BITS = 16
PRECISION = 24
WORD_BITS = 32
WORD_MASK = (1 << WORD_BITS) - 1
FULL_RANGE = (1 << (2 * WORD_BITS)) - 1

NO_SYMBOL = "range-coded data is damaged: it names no symbol"


def cumulative_table(frequencies: Array) -> Array:
    """(n, k + 1) int64 bounds of each symbol's share of 2**24; rows run from 0 to 2**24.

    frequencies : (n, k), integers in any type, each row summing to 2**16. Every symbol gets one
    unit and its proportion, rounded down, of the other 2**24 - k.
    """
    rows, alphabet = frequencies.shape
    bounds = np.zeros((rows, alphabet + 1), dtype=np.int64)
    np.cumsum(frequencies.astype(np.int64), axis=1, out=bounds[:, 1:])
    bounds *= (1 << PRECISION) - alphabet
    bounds >>= FREQUENCY_BITS
    return bounds + np.arange(alphabet + 1)


class RangeEncoder:
    """Narrows [low, low + range) symbol by symbol and writes the words that are settled."""

    def __init__(self) -> None:
        self._words: list[int] = []
        self._low = 0  # bit 64, when set, is a carry into the words already written
        self._range = FULL_RANGE

    def encode(self, symbols: Array, model: object, table: Array) -> None:
        """Append `symbols` (n,), each below k, coded with the rows of `table` (n, k).

        `model` is ignored: it says to constriction what this module does anyway.
        """
        bounds = cumulative_table(table)
        rows = np.arange(len(symbols))
        starts, ends = bounds[rows, symbols], bounds[rows, symbols + 1]
        low, range_ = self._low, self._range
        for start, size in zip(starts.tolist(), (ends - starts).tolist(), strict=True):
            scale = range_ >> PRECISION
            low += scale * start
            range_ = scale * size
            if range_ <= WORD_MASK:
                self._write(self._words, low >> WORD_BITS)
                low = (low & WORD_MASK) << WORD_BITS
                range_ <<= WORD_BITS
        self._low, self._range = low, range_

    def get_compressed(self) -> Array:
        """The finished stream, uint32 words; none when nothing was coded."""
        words = self._words.copy()
        if self._range != FULL_RANGE:  # the first symbol narrows it for good
            last = (self._low + WORD_MASK) >> WORD_BITS
            self._write(words, last)
            if (self._low + self._range) >> WORD_BITS == last:
                words.append(0)
        return np.array(words, dtype=np.uint32)

    @staticmethod
    def _write(words: list[int], word: int) -> None:
        """Append the low 32 bits of `word` and add its bit 32 to the number before it."""
        if word > WORD_MASK:
            position = len(words) - 1
            while words[position] == WORD_MASK:
                words[position] = 0
                position -= 1
            words[position] += 1
        words.append(word & WORD_MASK)


class RangeDecoder:
    """Follows the encoder's range, and the distance of the stream's number from its lower end."""

    def __init__(self, words: Array) -> None:
        self._words: list[int] = words.tolist()
        self._position = 0
        self._range = FULL_RANGE
        self._offset = self._next_word() << WORD_BITS
        self._offset |= self._next_word()

    def decode(self, model: object, table: Array) -> Array:
        """(n,) int32, the next symbols, one for each row of `table` (n, k).

        `model` is ignored, as in the encoder. FormatError where the stream's number lies in the
        rest of a range that no symbol owns; encoders never write such a number.
        """
        bounds = cumulative_table(table)
        decode = self._decode_binary if table.shape[1] == 2 else self._decode_rows
        return np.array(decode(bounds), dtype=np.int32)

    def _decode_rows(self, bounds: Array) -> list[int]:
        flat = bounds.ravel().data  # one buffer: row by row lists cost more than the search
        width = bounds.shape[1]
        offset, range_ = self._offset, self._range
        symbols = []
        for row in range(0, len(flat), width):
            scale = range_ >> PRECISION
            place = bisect_right(flat, offset // scale, row, row + width) - 1
            if place == row + width - 1:
                raise FormatError(NO_SYMBOL)
            symbols.append(place - row)
            offset -= scale * flat[place]
            range_ = scale * (flat[place + 1] - flat[place])
            if range_ <= WORD_MASK:
                range_ <<= WORD_BITS
                offset = offset << WORD_BITS | self._next_word()
        self._offset, self._range = offset, range_
        return symbols

    def _decode_binary(self, bounds: Array) -> list[int]:
        """As `_decode_rows` for k = 2: a comparison in place of the division, twice as fast."""
        offset, range_ = self._offset, self._range
        symbols = []
        for split in bounds[:, 1].tolist():
            scale = range_ >> PRECISION
            left = scale * split
            if offset < left:
                symbols.append(0)
                range_ = left
            else:
                symbols.append(1)
                offset -= left
                range_ = (scale << PRECISION) - left
                if offset >= range_:
                    raise FormatError(NO_SYMBOL)
            if range_ <= WORD_MASK:
                range_ <<= WORD_BITS
                offset = offset << WORD_BITS | self._next_word()
        self._offset, self._range = offset, range_
        return symbols

    def maybe_exhausted(self) -> bool:
        """False when words are left, or the offset is larger than an encoder leaves it."""
        settled = self._range == FULL_RANGE or self._offset < 2 * WORD_MASK + 1
        return settled and self._position >= len(self._words)

    def _next_word(self) -> int:
        """The next word; beyond the end of the stream there are only zeros."""
        word = self._words[self._position] if self._position < len(self._words) else 0
        self._position += 1
        return word
