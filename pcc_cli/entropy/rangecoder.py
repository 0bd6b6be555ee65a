"""Integer symbols and integer frequencies to bytes and back: the one door to the range coder.

The stream is specified in `docs/format-rangecoder.md`. constriction codes it where it is installed,
`entropy/reference.py` elsewhere; both write the same bytes and read each other's.

A table of frequencies is an integer array (n, k), one row for each symbol: 2 to 256 entries, each
at least 1, summing to 2**16. Decoding needs the very rows that encoding used. What breaks this
contract is a mistake of the calling codec, found before anything is coded: ValueError.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pcc_cli.entropy import reference
from pcc_cli.entropy.reference import FREQUENCY_BITS
from pcc_cli.errors import FormatError
from pcc_cli.geometry import Array

TOTAL = 1 << FREQUENCY_BITS
MAX_SYMBOLS = 256
WORD_BYTES = 4

# `coders` is looked up when a coder is made, so that tests can put `reference` in its place.
try:
    import constriction
except ImportError:  # no wheel for this platform
    coders: Any = reference
    _MODEL: Any = None
else:
    coders = constriction.stream.queue
    # perfect=False maps integer frequencies exactly; the default optimises in floats, thirty times
    # slower, and prints a warning to stdout.
    _MODEL = constriction.stream.model.Categorical(perfect=False)


class Frequencies:
    """Rows of frequencies, checked once, from which every symbol takes one.

    rows : (r, k) float64, as the coders take them
    """

    def __init__(self, frequencies: Array) -> None:
        self.rows = _table(frequencies)

    def replace(self, places: Array, frequencies: Array) -> None:
        """Puts `frequencies` (m, k) in place of the rows `places` (m,)."""
        self.rows[places] = _table(frequencies)

    def of(self, places: Array) -> Array:
        """(n, k), the rows `places` (n,)."""
        return self.rows.take(places, axis=0)


class RangeEncoder:
    """One stream of symbols, coded block after block, each block with tables of its own."""

    def __init__(self) -> None:
        self._coder = coders.RangeEncoder()

    def encode(self, symbols: Array, frequencies: Array) -> None:
        """Append `symbols` (n,), integers below k, coded with `frequencies` (n, k)."""
        self._append(symbols, _table(frequencies))

    def encode_of(self, symbols: Array, frequencies: Frequencies, rows: Array) -> None:
        """Append `symbols` (n,), integers below k, each coded with the row of `rows` (n,)."""
        self._append(symbols, frequencies.of(rows))

    def encode_binary(self, bits: Array, ones: Array) -> None:
        """Append `bits` (n,), 0 or 1; `ones` (n,) is 2**16 times the probability of each 1."""
        self._append(bits, _binary_table(ones))

    def finish(self) -> bytes:
        """The stream: empty without symbols, else the coded bits and at most eight bytes more."""
        words: Array = self._coder.get_compressed()
        return words.astype("<u4").tobytes()

    def _append(self, symbols: Array, table: Array) -> None:
        rows, alphabet = table.shape
        if symbols.shape != (rows,):
            raise ValueError(f"symbols have shape {symbols.shape}, their table has {rows} rows")
        if not rows:
            return
        if symbols.min() < 0 or symbols.max() >= alphabet:
            raise ValueError(f"symbols must lie in 0 .. {alphabet - 1}")
        # constriction takes contiguous int32 only, and the table as contiguous float64.
        self._coder.encode(symbols.astype(np.int32, "C", "same_kind", copy=False), _MODEL, table)


class RangeDecoder:
    """Reads what a `RangeEncoder` wrote: as many symbols, with the same tables, in any blocks.

    A damaged stream decodes to wrong symbols more often than to a FormatError: whoever stores one
    adds a checksum.
    """

    def __init__(self, data: bytes) -> None:
        if len(data) % WORD_BYTES:
            raise FormatError(
                f"range-coded data is damaged: {len(data)} bytes are no whole number of words"
            )
        self._coder = coders.RangeDecoder(np.frombuffer(data, dtype="<u4").astype(np.uint32))
        self._has_data = bool(data)
        self._has_symbols = False

    def decode(self, frequencies: Array) -> Array:
        """(n,) int32, the next symbols, coded with `frequencies` (n, k)."""
        return self._next(_table(frequencies))

    def decode_of(self, frequencies: Frequencies, rows: Array) -> Array:
        """(n,) int32, the next symbols, each coded with the row of `rows` (n,)."""
        return self._next(frequencies.of(rows))

    def decode_binary(self, ones: Array) -> Array:
        """(n,) int32, the next bits; `ones` (n,) is 2**16 times the probability of each 1."""
        return self._next(_binary_table(ones))

    def finish(self) -> None:
        """FormatError when the stream does not end here; a truncated one may go unnoticed."""
        if self._has_symbols != self._has_data or not self._coder.maybe_exhausted():
            raise FormatError("range-coded data is damaged: it does not end with its last symbol")

    def _next(self, table: Array) -> Array:
        if not len(table):
            return np.empty(0, dtype=np.int32)
        self._has_symbols = True
        try:
            symbols: Array = self._coder.decode(_MODEL, table)
        except AssertionError as error:  # so constriction says it
            raise FormatError(reference.NO_SYMBOL) from error
        return symbols


def _table(frequencies: Array) -> Array:
    """`frequencies`, checked, as the float64 table (n, k) that the coders take.

    A smallest entry of 1 and the sum bound every entry from above as well.
    """
    counts = frequencies.astype(np.int64, "K", "same_kind", copy=False)
    rows, alphabet = counts.shape
    if not 2 <= alphabet <= MAX_SYMBOLS:
        raise ValueError(f"a row of frequencies has 2 to {MAX_SYMBOLS} entries, not {alphabet}")
    if rows and (counts.min() < 1 or np.any(np.einsum("ij->i", counts) != TOTAL)):
        raise ValueError(f"frequencies must be at least 1 and each row must sum to {TOTAL}")
    # C order matters: constriction reads a Fortran-ordered table as if it were not.
    return counts.astype(np.float64, "C")


def _binary_table(ones: Array) -> Array:
    """The rows (TOTAL - ones, ones), as `_table` would return them."""
    counts = ones.astype(np.int64, "K", "same_kind", copy=False)
    (rows,) = counts.shape
    if rows and (counts.min() < 1 or counts.max() >= TOTAL):
        raise ValueError(f"frequencies of ones must lie in 1 .. {TOTAL - 1}")
    table = np.empty((rows, 2))
    table[:, 1] = counts
    np.subtract(TOTAL, table[:, 1], out=table[:, 0])
    return table
