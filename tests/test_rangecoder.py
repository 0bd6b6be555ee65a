"""The range coder: exact round trips, the same bytes on every backend, the specification's code."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from pcc_cli.entropy import rangecoder, reference
from pcc_cli.entropy.rangecoder import TOTAL, Frequencies, RangeDecoder, RangeEncoder
from pcc_cli.errors import FormatError

Array = np.ndarray[Any, Any]
Block = tuple[Array, Array]  # symbols (n,) and frequencies (n, k)

SPECIFICATION = Path(__file__).parents[1] / "docs" / "format-rangecoder.md"
BACKENDS = ["constriction", "reference"]
ALPHABETS = [2, 3, 4, 16, 255, 256]

# The example of the specification, section 6.
EXAMPLE = [
    ((1, 65535), 0),
    ((16384, 32768, 8192, 8192), 1),
    ((1, 65535), 0),
    ((65535, 1), 1),
    ((65535, 1), 1),
]
EXAMPLE_BYTES = bytes.fromhex("00400000fffdbf7f0383017e")


def use(backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if backend == "reference":
        monkeypatch.setattr(rangecoder, "coders", reference)
    else:
        module = pytest.importorskip("constriction")
        monkeypatch.setattr(rangecoder, "coders", module.stream.queue)


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Runs a test on each backend."""
    use(request.param, monkeypatch)
    return str(request.param)


def random_rows(rng: np.random.Generator, count: int, alphabet: int, skew: float) -> Array:
    """(count, alphabet) frequencies; the larger `skew`, the more of a row goes to few symbols."""
    weights = rng.random((count, alphabet)) ** skew + 1e-30
    rows = 1 + np.floor(weights / weights.sum(axis=1, keepdims=True) * (TOTAL - alphabet)).astype(
        np.int64
    )
    rows[np.arange(count), weights.argmax(axis=1)] += TOTAL - rows.sum(axis=1)
    return rows


def draw(rng: np.random.Generator, rows: Array) -> Array:
    """(n,) int64 symbols drawn with the probabilities of `rows` (n, k)."""
    return (rng.integers(0, TOTAL, len(rows))[:, None] >= np.cumsum(rows, axis=1)).sum(axis=1)


def random_block(rng: np.random.Generator, count: int, alphabet: int, skew: float) -> Block:
    rows = random_rows(rng, count, alphabet, skew)
    return draw(rng, rows), rows


def mixed_blocks(seed: int, count: int = 40) -> list[Block]:
    """Blocks of 0 to 300 symbols over all alphabets and skews."""
    rng = np.random.default_rng(seed)
    return [
        random_block(rng, int(rng.integers(0, 300)), int(rng.choice(ALPHABETS)), 4 ** rng.random())
        for _ in range(count)
    ]


def encode(blocks: list[Block]) -> bytes:
    encoder = RangeEncoder()
    for symbols, rows in blocks:
        encoder.encode(symbols, rows)
    return encoder.finish()


def assert_decodes(data: bytes, blocks: list[Block]) -> None:
    decoder = RangeDecoder(data)
    for symbols, rows in blocks:
        decoded = decoder.decode(rows)
        assert decoded.dtype == np.int32
        np.testing.assert_array_equal(decoded, symbols)
    decoder.finish()


def example_blocks() -> list[Block]:
    return [(np.array([symbol]), np.array([row])) for row, symbol in EXAMPLE]


# Round trips


@pytest.mark.parametrize("count", [1, 2, 17, 1000])
@pytest.mark.parametrize("skew", [0.0, 1.0, 8.0, 200.0])
@pytest.mark.parametrize("alphabet", ALPHABETS)
def test_round_trip(backend: str, alphabet: int, skew: float, count: int) -> None:
    blocks = [random_block(np.random.default_rng(count), count, alphabet, skew)]
    assert_decodes(encode(blocks), blocks)


@pytest.mark.parametrize("ones", [1, 2, 32767, 32768, 32769, 65534, 65535])
@pytest.mark.parametrize("bit", [0, 1])
def test_binary_extremes(backend: str, ones: int, bit: int) -> None:
    """The least and the most probable bit, over and over, alone and between others."""
    frequencies = np.full(500, ones)
    bits = np.full(500, bit)
    bits[::100] ^= 1
    encoder = RangeEncoder()
    encoder.encode_binary(bits, frequencies)
    decoder = RangeDecoder(encoder.finish())
    np.testing.assert_array_equal(decoder.decode_binary(frequencies), bits)
    decoder.finish()


@pytest.mark.parametrize("alphabet", ALPHABETS)
def test_least_probable_symbols(backend: str, alphabet: int) -> None:
    """Rows of one large entry and ones, coding everything but the large entry's symbol."""
    symbols = np.arange(600) % alphabet
    rows = np.ones((600, alphabet), dtype=np.int64)
    rows[np.arange(600), (symbols + 1) % alphabet] += TOTAL - alphabet
    assert_decodes(encode([(symbols, rows)]), [(symbols, rows)])


def test_binary_is_the_alphabet_of_two(backend: str) -> None:
    symbols, rows = random_block(np.random.default_rng(1), 3000, 2, 3.0)
    encoder = RangeEncoder()
    for start in range(0, 3000, 700):
        part = slice(start, start + 700)
        encoder.encode_binary(symbols[part], rows[part, 1])
    assert encoder.finish() == encode([(symbols, rows)])
    decoder = RangeDecoder(encoder.finish())
    np.testing.assert_array_equal(decoder.decode_binary(rows[:1000, 1]), symbols[:1000])
    np.testing.assert_array_equal(decoder.decode(rows[1000:]), symbols[1000:])


def test_no_symbols_are_no_bytes(backend: str) -> None:
    encoder = RangeEncoder()
    encoder.encode(np.empty(0, dtype=np.uint8), np.empty((0, 16), dtype=np.int64))
    encoder.encode_binary(np.empty(0, dtype=np.uint8), np.empty(0, dtype=np.int64))
    assert encoder.finish() == b""
    decoder = RangeDecoder(b"")
    assert decoder.decode_binary(np.empty(0, dtype=np.int64)).shape == (0,)
    assert decoder.decode(np.empty((0, 16), dtype=np.int64)).dtype == np.int32
    decoder.finish()


@pytest.mark.parametrize("dtype", [np.bool_, np.uint8, np.int32, np.int64, np.uint16])
def test_any_integer_type_and_layout(backend: str, dtype: type) -> None:
    symbols, rows = random_block(np.random.default_rng(2), 400, 2, 1.0)
    strided = np.repeat(symbols.astype(dtype), 2)[::2]
    expected = encode([(symbols, rows)])
    for table in (np.asfortranarray(rows), rows.astype(np.uint16), np.repeat(rows, 2, axis=0)[::2]):
        assert encode([(strided, table)]) == expected
        assert_decodes(expected, [(symbols, table)])


# One stream, whatever wrote it


@pytest.mark.parametrize("seed", range(8))
def test_backends_write_and_read_the_same_bytes(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = mixed_blocks(seed)
    streams = []
    for name in BACKENDS:
        use(name, monkeypatch)
        streams.append(encode(blocks))
    assert streams[0] == streams[1]
    for name in BACKENDS:
        use(name, monkeypatch)
        assert_decodes(streams[0], blocks)


@pytest.mark.parametrize("carry", [True, False])
@pytest.mark.parametrize("held_back", range(5))
def test_carries_through_many_words(
    held_back: int, carry: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Symbols read from words at the edge of a carry, which random symbols never reach."""
    first, second = (0x12345678, 0) if carry else (0x12345677, 0xFFFFFFFF)
    middle = [first, *[second] * held_back, 0x00010203 if carry else 0xFFFEFDFC]
    words = np.array([*middle, 0x9ABCDEF0, 0x0FEDCBA9, 0x31415926], dtype="<u4")
    streams = []
    for name in BACKENDS:
        use(name, monkeypatch)
        decoder = RangeDecoder(words.tobytes())
        rows = random_rows(np.random.default_rng(held_back), 8 * len(words), 16, 1.0)
        symbols = decoder.decode(rows)
        streams.append(encode([(symbols, rows)]))
        assert streams[-1][: 4 * len(middle)] == words.tobytes()[: 4 * len(middle)]
        assert_decodes(streams[-1], [(symbols, rows)])
    assert streams[0] == streams[1]


def test_every_ending(monkeypatch: pytest.MonkeyPatch) -> None:
    """All prefixes of a message: some end with the word 0 that the range's width asks for."""
    symbols, rows = random_block(np.random.default_rng(6), 300, 4, 1.0)
    streams = []
    for name in BACKENDS:
        use(name, monkeypatch)
        streams.append([encode([(symbols[:end], rows[:end])]) for end in range(300)])
        for end, data in enumerate(streams[-1]):
            assert_decodes(data, [(symbols[:end], rows[:end])])
    assert streams[0] == streams[1]
    assert any(data.endswith(b"\0\0\0\0") for data in streams[0])


def test_without_constriction(monkeypatch: pytest.MonkeyPatch) -> None:
    """A platform without constriction imports the module and codes the same bytes."""
    blocks = mixed_blocks(99, count=10)
    fresh = import_without_constriction(monkeypatch)
    assert fresh.coders is reference
    encoder = fresh.RangeEncoder()
    for symbols, rows in blocks:
        encoder.encode(symbols, rows)
    assert encoder.finish() == encode(blocks)


def import_without_constriction(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    package = importlib.import_module("pcc_cli.entropy")
    monkeypatch.setitem(sys.modules, "constriction", None)
    monkeypatch.setattr(package, "rangecoder", rangecoder)  # so that it is put back afterwards
    monkeypatch.delitem(sys.modules, "pcc_cli.entropy.rangecoder")
    return importlib.import_module("pcc_cli.entropy.rangecoder")


def test_bytes_never_change(backend: str) -> None:
    assert encode(example_blocks()) == EXAMPLE_BYTES
    assert_decodes(EXAMPLE_BYTES, example_blocks())


def test_nothing_is_printed() -> None:
    """constriction warns on stdout, where `-o -` writes its file, unless asked rightly."""
    program = (
        "import numpy as np; from pcc_cli.entropy.rangecoder import RangeEncoder;"
        "RangeEncoder().encode_binary(np.ones(3, int), np.full(3, 77))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert done.stdout == b"" and done.stderr == b""


# Size


@pytest.mark.parametrize(
    ("alphabet", "skew"), [(2, 1.0), (2, 30.0), (16, 1.0), (16, 20.0), (256, 3.0)]
)
def test_size_is_near_the_entropy(alphabet: int, skew: float) -> None:
    symbols, rows = random_block(np.random.default_rng(3), 30_000, alphabet, skew)
    ideal_bits = -np.log2(rows[np.arange(len(rows)), symbols] / TOTAL).sum()
    assert 8 * len(encode([(symbols, rows)])) <= 1.01 * ideal_bits + 64


def test_certain_symbols_are_nearly_free() -> None:
    encoder = RangeEncoder()
    encoder.encode_binary(np.ones(100_000, dtype=np.int64), np.full(100_000, TOTAL - 1))
    assert len(encoder.finish()) <= 8 + 100_000 / TOTAL / 4  # log2(e) / 2**16 bits each


# Damage


def test_every_truncation_ends_in_a_format_error_or_in_the_wrong_symbols(backend: str) -> None:
    symbols, rows = random_block(np.random.default_rng(4), 300, 16, 1.0)
    data = encode([(symbols, rows)])
    found = sum(truncation_is_found(data[:size], symbols, rows) for size in range(len(data)))
    assert found > 0.9 * len(data)


def truncation_is_found(data: bytes, symbols: Array, rows: Array) -> bool:
    try:
        decoder = RangeDecoder(data)
        decoded = decoder.decode(rows)
        decoder.finish()
    except FormatError:
        return True
    assert not np.array_equal(decoded, symbols)
    return False


def test_garbage_is_refused_alike_by_all_backends(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(5)
    rows = random_rows(rng, 40, 5, 2.0)
    for case in range(300):
        words = rng.integers(0, 1 << 32, int(rng.integers(0, 9)), dtype=np.uint32)
        if case % 3 == 0:
            words[:2] = 0xFFFFFFFF
        outcomes = []
        for name in BACKENDS:
            use(name, monkeypatch)
            outcomes.append(outcome(words.astype("<u4").tobytes(), rows))
        assert outcomes[0] == outcomes[1]


def outcome(data: bytes, rows: Array) -> object:
    """Decoded symbols, or the message of the FormatError; anything else is a failure."""
    try:
        decoder = RangeDecoder(data)
        symbols = decoder.decode(rows).tolist() + decoder.decode_binary(rows[:, 0]).tolist()
        decoder.finish()
    except FormatError as error:
        return str(error)
    return symbols


def test_a_number_that_no_symbol_owns(backend: str) -> None:
    with pytest.raises(FormatError, match="names no symbol"):
        RangeDecoder(b"\xff" * 8).decode_binary(np.array([77]))
    with pytest.raises(FormatError, match="names no symbol"):
        RangeDecoder(b"\xff" * 8).decode(np.full((1, 4), TOTAL // 4))


@pytest.mark.parametrize("size", [1, 2, 3, 5, 4097])
def test_broken_words(backend: str, size: int) -> None:
    with pytest.raises(FormatError, match="whole number of words"):
        RangeDecoder(bytes(size))


@pytest.mark.parametrize("extra", [b"\0\0\0\0", b"\0" * 8, b"\x01\x02\x03\x04"])
def test_trailing_words(backend: str, extra: bytes) -> None:
    # One word 0 more is what a decoder reads at the end of this stream anyway.
    decoder = RangeDecoder(EXAMPLE_BYTES + b"\0\0\0\0" + extra)
    for _, rows in example_blocks():
        decoder.decode(rows)
    with pytest.raises(FormatError, match="does not end"):
        decoder.finish()


def test_words_without_symbols_and_symbols_without_words(backend: str) -> None:
    with pytest.raises(FormatError, match="does not end"):
        RangeDecoder(bytes(4)).finish()
    decoder = RangeDecoder(b"")
    decoder.decode_binary(np.array([77]))
    with pytest.raises(FormatError, match="does not end"):
        decoder.finish()


# The contract with the codecs


@pytest.mark.parametrize(
    "row",
    [
        [65536, 0],
        [65537, -1],
        [65535, 2],
        [65534, 1],
        [65536],
        [-1, 65536, 1],
        [TOTAL // 512] * 512,
    ],
)
def test_rows_that_break_the_contract(backend: str, row: list[int]) -> None:
    rows = np.array([[TOTAL // 2, TOTAL // 2], row]) if len(row) == 2 else np.array([row, row])
    encoder = RangeEncoder()
    with pytest.raises(ValueError, match="frequencies"):
        encoder.encode(np.array([0, 0]), rows)
    with pytest.raises(ValueError, match="frequencies"):
        RangeDecoder(b"").decode(rows)
    assert encoder.finish() == b""


def test_rows_that_are_picked(backend: str) -> None:
    """The bytes of rows picked from checked ones are those of the rows themselves."""
    rng = np.random.default_rng(5)
    rows, fresh = random_rows(rng, 6, 9, 2.0), random_rows(rng, 2, 9, 2.0)
    places = rng.integers(0, 6, 300)
    picked, plain = RangeEncoder(), RangeEncoder()
    chosen, now = Frequencies(rows), rows.copy()
    now[[1, 4]] = fresh
    symbols = [draw(rng, table[places]) for table in (rows, now)]
    for k, table in enumerate((rows, now)):
        if k:
            chosen.replace(np.array([1, 4]), fresh)
        picked.encode_of(symbols[k], chosen, places)
        plain.encode(symbols[k], table[places])
    data = picked.finish()
    assert data == plain.finish()
    decoder, chosen = RangeDecoder(data), Frequencies(rows)
    np.testing.assert_array_equal(decoder.decode_of(chosen, places), symbols[0])
    chosen.replace(np.array([1, 4]), fresh)
    np.testing.assert_array_equal(decoder.decode_of(chosen, places), symbols[1])
    with pytest.raises(ValueError, match="frequencies"):
        chosen.replace(np.array([0]), np.full((1, 9), TOTAL))


@pytest.mark.parametrize("ones", [-1, 0, 65536, 1 << 40])
def test_ones_that_break_the_contract(backend: str, ones: int) -> None:
    with pytest.raises(ValueError, match="ones"):
        RangeEncoder().encode_binary(np.array([0, 1]), np.array([5, ones]))
    with pytest.raises(ValueError, match="ones"):
        RangeDecoder(b"").decode_binary(np.array([5, ones]))


@pytest.mark.parametrize("symbols", [[0, 4], [-1, 0], [0, 1 << 32], [0], [[0, 1]]])
def test_symbols_that_break_the_contract(backend: str, symbols: list[int]) -> None:
    encoder = RangeEncoder()
    with pytest.raises(ValueError, match="symbols"):
        encoder.encode(np.array(symbols), np.full((2, 4), TOTAL // 4))
    assert encoder.finish() == b""


def test_floats_are_refused() -> None:
    encoder = RangeEncoder()
    with pytest.raises(TypeError):
        encoder.encode(np.array([0]), np.array([[0.5, 0.5]]))
    with pytest.raises(TypeError):
        encoder.encode(np.array([0.0]), np.array([[TOTAL // 2, TOTAL // 2]]))
    with pytest.raises(TypeError):
        encoder.encode_binary(np.array([0]), np.array([0.5]))


# The specification


def specified_decoder() -> Callable[[bytes, list[list[int]]], list[int]]:
    """The function `decode` that `docs/format-rangecoder.md` prints."""
    (code,) = re.findall(r"```python\n(.*?)```", SPECIFICATION.read_text("utf-8"), re.DOTALL)
    names: dict[str, Any] = {}
    exec(code, names)
    return names["decode"]  # type: ignore[no-any-return]


def test_the_specification_decodes() -> None:
    blocks = mixed_blocks(7, count=12)
    rows = [row for _, block in blocks for row in block.tolist()]
    symbols = [symbol for block, _ in blocks for symbol in block.tolist()]
    assert specified_decoder()(encode(blocks), rows) == symbols
    assert specified_decoder()(b"", []) == []


def test_the_example_of_the_specification() -> None:
    assert EXAMPLE_BYTES.hex(" ") in SPECIFICATION.read_text("utf-8")
    decoded = specified_decoder()(EXAMPLE_BYTES, [list(row) for row, _ in EXAMPLE])
    assert decoded == [symbol for _, symbol in EXAMPLE]


def test_the_bounds_of_the_specification() -> None:
    table = re.findall(r"^\| ([\d, ]+) \| (0, [\d, ]+) \|$", SPECIFICATION.read_text("utf-8"), re.M)
    assert len(table) == 4
    for row, bounds in table:
        frequencies = np.array([row.split(", ")], dtype=np.int64)
        expected = [int(bound) for bound in bounds.split(", ")]
        assert reference.cumulative_table(frequencies)[0].tolist() == expected


def test_binary_bound_of_the_specification() -> None:
    zeros = np.arange(1, TOTAL)
    bounds = reference.cumulative_table(np.stack([zeros, TOTAL - zeros], axis=1))
    np.testing.assert_array_equal(bounds[:, 1], 256 * zeros - (zeros > TOTAL // 2))


# Speed, measured on demand: python tests/test_rangecoder.py


def measure(alphabet: int, count: int = 2048, blocks: int = 50) -> tuple[float, float]:
    """Millions of symbols a second that encode and decode, in blocks of `count`."""
    symbols, rows = random_block(np.random.default_rng(0), count, alphabet, 1.0)
    symbols = symbols.astype(np.int32)
    table = rows[:, 1].copy() if alphabet == 2 else rows
    start = time.perf_counter()
    encoder = RangeEncoder()
    append = encoder.encode_binary if alphabet == 2 else encoder.encode
    for _ in range(blocks):
        append(symbols, table)
    decoder = RangeDecoder(encoder.finish())
    middle = time.perf_counter()
    take = decoder.decode_binary if alphabet == 2 else decoder.decode
    for _ in range(blocks):
        take(table)
    end = time.perf_counter()
    amount = 1e-6 * count * blocks
    return amount / (middle - start), amount / (end - middle)


def report() -> None:
    for name in BACKENDS:
        with pytest.MonkeyPatch.context() as monkeypatch:
            use(name, monkeypatch)
            for alphabet in (2, 16, 256):
                encoded, decoded = np.max([measure(alphabet) for _ in range(5)], axis=0)
                sys.stdout.write(
                    f"{name:12} k = {alphabet:3}: {encoded:5.1f} / {decoded:5.1f} Msym/s\n"
                )


if __name__ == "__main__":
    report()
