"""The bit coder: decoder and encoder agree on any input, and what is coded costs what it should."""

from __future__ import annotations

from dataclasses import replace

import knowns
import numpy as np
import pytest
import trees

from pcc_cli.entropy.logistic import TOTAL
from pcc_cli.entropy.rangecoder import RangeDecoder, RangeEncoder
from pcc_cli.errors import FormatError
from pcc_cli.tree.coder import BLOCK_MAX, BLOCK_MIN, PART, BitCoder

RNG = np.random.default_rng(25)


class Meter:
    """A range encoder that adds up what its bits should cost, and notes the blocks."""

    def __init__(self) -> None:
        self.stream, self.cost_bits, self.blocks = RangeEncoder(), 0.0, []

    def encode_binary(self, bits, ones):
        chance = np.where(bits, ones, TOTAL - ones) / TOTAL
        self.cost_bits -= float(np.log2(chance).sum())
        self.blocks.append(len(bits))
        self.stream.encode_binary(bits, ones)


def random_calls(seed: int) -> list:
    """(level, stage, known, bits) in stages of all sizes, some of the bits predictable."""
    rng = np.random.default_rng(seed)
    calls = []
    for level, count in enumerate((1, 0, 3, 255, 256, 257, 1500)):
        for stage in range(8):
            known = knowns.random(rng, stage, count)
            lucky = rng.random(count) < 0.5
            bits = np.where(lucky, known.logits > 0, rng.random(count) < 0.3)
            calls.append((level, stage, known, bits.astype(np.uint8)))
    return calls


def encoded(calls, stream, rarest: int = 0) -> None:
    coder, level = BitCoder(rarest), None
    for number, stage, known, bits in calls:
        if number != level:
            coder.begin_level()
            level = number
        coder.encode(stream, stage, known, bits)


def decoded(calls, data: bytes, rarest: int = 0) -> list:
    coder, level, stream = BitCoder(rarest), None, RangeDecoder(data)
    found = []
    for number, stage, known, _ in calls:
        if number != level:
            coder.begin_level()
            level = number
        found.append(coder.decode(stream, stage, known))
    stream.finish()
    return found


def real_calls(name: str, guess: float = 0.0) -> list:
    return list(knowns.of_tree(trees.tree_of(trees.clouds()[name]), guess))


@pytest.mark.parametrize("rarest", [0, 262, 1 << 14])
@pytest.mark.parametrize("seed", range(3))
def test_decoding_random_contexts_gives_the_bits(seed, rarest):
    calls, meter = random_calls(seed), Meter()
    encoded(calls, meter, rarest)
    found = decoded(calls, meter.stream.finish(), rarest)
    for bits, (_, _, _, expected) in zip(found, calls, strict=True):
        assert bits.dtype == np.uint8 and np.array_equal(bits, expected)


@pytest.mark.parametrize("name", ["one", "two far apart", "full", "line", "surface", "lidar"])
def test_decoding_real_contexts_gives_the_bits(name):
    calls, meter = real_calls(name), Meter()
    encoded(calls, meter)
    found = decoded(calls, meter.stream.finish())
    assert all(np.array_equal(b, c[3]) for b, c in zip(found, calls, strict=True))


@pytest.mark.parametrize("rarest", [0, 4000])
@pytest.mark.parametrize("calls", [random_calls(4), real_calls("lidar")], ids=["random", "lidar"])
def test_the_size_is_what_the_probabilities_say(calls, rarest):
    """Within 1 %, beside the at most eight bytes that end a stream."""
    meter = Meter()
    encoded(calls, meter, rarest)
    size_bits = 8 * len(meter.stream.finish())
    assert meter.cost_bits <= size_bits + 1
    assert size_bits <= 1.01 * meter.cost_bits + 64


def test_nothing_to_code():
    calls = [(0, stage, knowns.random(RNG, stage, 0), np.zeros(0, np.uint8)) for stage in range(8)]
    meter = Meter()
    encoded(calls, meter)
    data = meter.stream.finish()
    assert data == b"" and all(len(bits) == 0 for bits in decoded(calls, data))


def test_blocks_grow_with_what_was_coded():
    counts, meter, coder = [10] * 100 + [60_000], Meter(), BitCoder(growth=4)
    for count in counts:
        bits = RNG.integers(0, 2, count).astype(np.uint8)
        coder.encode(meter, 0, knowns.random(RNG, 0, count), bits)
    assert meter.blocks[:100] == counts[:100] and sum(meter.blocks) == sum(counts)
    ends = np.cumsum(meter.blocks)[100:] - 1000
    size = np.clip(np.cumsum([0, *meter.blocks])[100:-1] >> 4, BLOCK_MIN, BLOCK_MAX)
    cut = (ends % PART == 0) | (ends == 60_000)  # no block reaches across parts
    assert cut.sum() == -(-60_000 // PART)
    assert np.array_equal(np.array(meter.blocks[100:])[~cut], size[~cut])
    assert (np.array(meter.blocks[100:]) <= size).all()
    assert {BLOCK_MIN, BLOCK_MAX} < set(meter.blocks)


def test_certain_bits_are_not_mixed_and_cost_no_more():
    """A network that is right in all but one of 2000 cases where it is loud."""
    calls, count = [], 20_000
    for _ in range(2):
        known = replace(knowns.random(RNG, 2, count), logits=RNG.choice([-1900, 0, 1900], count))
        bits = np.where(known.logits, known.logits > 0, RNG.random(count) < 0.5)
        calls.append((known, (bits ^ (RNG.random(count) < 1 / 2000)).astype(np.uint8)))
    sizes = {}
    for rarest in (0, 262):
        coder = BitCoder(rarest)
        coder.encode(Meter(), 2, *calls[0])  # earns the network its trust
        sizes[rarest] = meter = Meter()
        coder.encode(meter, 2, *calls[1])
    assert max(sizes[0].blocks) == BLOCK_MIN < max(sizes[262].blocks)
    assert len(sizes[262].blocks) < 0.4 * len(sizes[0].blocks)
    assert sizes[262].cost_bits < 1.02 * sizes[0].cost_bits


def test_what_a_level_teaches_about_coordinates_ends_with_it():
    """Two levels whose planes lie opposite: without forgetting, the second would begin worse."""
    costs = []
    for forget in (True, False):
        coder, meter = BitCoder(), Meter()
        for level, half in enumerate((0, 1)):
            if forget or not level:
                coder.begin_level()
            for stage in range(8):
                known = knowns.random(np.random.default_rng(stage), stage, 400, 1)
                known.cells[:, 2] = 3
                bits = np.full(400, stage & 1 == half, np.uint8)
                coder.encode(meter, stage, known, bits)
        costs.append(meter.cost_bits)
    assert costs[0] < 0.98 * costs[1]


def test_a_good_guess_is_taken_up():
    """The same bits with and without a network that is 95 % sure of the right value."""
    costs = []
    for guess in (0.0, 750.0):
        meter = Meter()
        encoded(real_calls("lidar", guess), meter)
        costs.append(meter.cost_bits)
    assert costs[1] < 0.35 * costs[0]


def test_a_damaged_stream_ends_in_other_bits_or_an_error():
    """Whatever the bytes, decoding gives bits or a FormatError, never anything else."""
    calls, meter = real_calls("surface"), Meter()
    encoded(calls, meter)
    data = bytearray(meter.stream.finish())
    for position in range(0, len(data), 7):
        data[position] ^= 0x55
        try:
            found = decoded(calls, bytes(data))
        except FormatError:
            continue
        assert all(set(np.unique(bits)) <= {0, 1} for bits in found)
