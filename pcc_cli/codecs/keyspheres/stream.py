"""What decoding a mesh needs, to bytes and back: docs/format-keyspheres.md.

plan: 10 bytes | frame: 4 float64 | spheres: gaps of cells, then radii, Rice codes
| for each matrix two parts, weights and offsets: step, bell | range-coded integers of all parts
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from pcc_cli.codecs.keyspheres.plan import HEAD, Plan
from pcc_cli.codecs.keyspheres.spheres import RADII, Spheres
from pcc_cli.entropy.bells import BELLS, REACH, bell, best
from pcc_cli.entropy.rangecoder import RangeDecoder, RangeEncoder
from pcc_cli.entropy.steps import step_of
from pcc_cli.errors import FormatError
from pcc_cli.geometry import Array
from pcc_cli.levelset.solid import CELLS, Frame

_FRAME = struct.Struct("<4d")
_SIZE = struct.Struct("<H")
_MOST_RICE = 20
LINKS = 32  # symbols of a number, at most
LARGEST = REACH * (LINKS - 1)  # number
HEAD_BYTES = HEAD.size + _FRAME.size  # plan and frame


@dataclass(frozen=True)
class Quantized:
    """One matrix as integers.

    values : (outputs, inputs + 1) int64, -LARGEST .. LARGEST, the last column of offsets
    steps : codes of the steps of weights and of offsets
    """

    values: Array
    steps: tuple[int, int]

    def matrix(self) -> Array:
        """float32, of the shape of `values`."""
        scales = np.full(self.values.shape[1], step_of(self.steps[0]))
        scales[-1] = step_of(self.steps[1])
        found: Array = (self.values * scales).astype(np.float32)
        return found

    def parts(self) -> list[Array]:
        return [self.values[:, :-1].ravel(), self.values[:, -1]]


class Unpacked(NamedTuple):
    plan: Plan
    frame: Frame
    spheres: Spheres
    layers: list[Quantized]


def pack(plan: Plan, frame: Frame, spheres: Spheres, layers: Sequence[Quantized]) -> bytes:
    """All of it."""
    placed = _rice(np.diff(spheres.cells, prepend=-1) - 1) + _rice(spheres.radii)
    parts = [_symbols(part) for layer in layers for part in layer.parts()]
    bells = [best(part) for part in parts]
    codes = [code for layer in layers for code in layer.steps]
    coder = RangeEncoder()
    for part, number in zip(parts, bells, strict=True):
        coder.encode((part + REACH).astype(np.int32), _tables(number, len(part)))
    head = plan.pack() + _FRAME.pack(*frame.centre, frame.radius) + _SIZE.pack(len(placed)) + placed
    return head + bytes(codes) + bytes(bells) + coder.finish()


def unpack(data: bytes) -> Unpacked:
    """What `pack` took. FormatError."""
    plan = Plan.unpack(data)
    data = data[HEAD.size :]
    start = _FRAME.size + _SIZE.size
    if len(data) < start:
        raise FormatError("the description of a mesh is cut off")
    *centre, radius = _FRAME.unpack_from(data)
    if not (np.isfinite(centre).all() and np.isfinite(radius) and radius > 0):
        raise FormatError("a mesh has no place or no size")
    (size,) = _SIZE.unpack_from(data, _FRAME.size)
    spheres = _spheres(data[start : start + size], plan.spheres)
    layers = _layers(data[start + size :], plan.shapes())
    return Unpacked(plan, Frame(np.array(centre), radius), spheres, layers)


def _spheres(data: bytes, count: int) -> Spheres:
    bits = np.unpackbits(np.frombuffer(data, np.uint8))
    gaps, used = _unriced(bits, count)
    radii, _ = _unriced(bits[-(-used // 8) * 8 :], count)
    cells = np.cumsum(gaps + 1) - 1
    if count and (cells[-1] >= CELLS**3 or radii.max() > 2 * RADII):
        raise FormatError("a key sphere lies outside")
    return Spheres(cells, radii)


def _layers(data: bytes, shapes: Sequence[tuple[int, int]]) -> list[Quantized]:
    codes, bells = (data[2 * i * len(shapes) :][: 2 * len(shapes)] for i in range(2))
    if len(bells) < 2 * len(shapes) or max(bells) >= BELLS:
        raise FormatError("the steps of a network are cut off")
    coder = RangeDecoder(data[4 * len(shapes) :])
    layers = []
    for i, (rows, columns) in enumerate(shapes):
        counts = rows * (columns - 1), rows
        weights, offsets = (_numbers(coder, bells[2 * i + k], n) for k, n in enumerate(counts))
        values = np.concatenate([weights.reshape(rows, -1), offsets[:, None]], axis=1)
        layers.append(Quantized(values, (codes[2 * i], codes[2 * i + 1])))
    coder.finish()
    return layers


def _symbols(values: Array) -> Array:
    """-REACH .. REACH; behind them all, one more for each of -REACH or REACH, to be added to it.

    So one number that is far out costs some bits, and no step has to be large because of it.
    """
    found = []
    while len(values):
        part = np.clip(values, -REACH, REACH)
        found.append(part)
        values = (values - part)[np.abs(part) == REACH]
    return np.concatenate(found)


def _numbers(coder: RangeDecoder, bell_number: int, count: int) -> Array:
    """What `_symbols` took. FormatError."""
    values = np.zeros(count, np.int64)
    going = np.arange(count)
    for _ in range(LINKS):
        part = coder.decode(_tables(bell_number, len(going))).astype(np.int64) - REACH
        values[going] += part
        going = going[np.abs(part) == REACH]
        if not len(going):
            return values
    raise FormatError("a number of a network is too large")


def _tables(number: int, rows: int) -> Array:
    return np.broadcast_to(bell(number), (rows, 2 * REACH + 1))


def _rice(values: Array) -> bytes:
    """A byte, the bits that are written as they are, then each value: ones, 0, these bits."""
    sizes = [int((values >> k).sum() + (1 + k) * len(values)) for k in range(_MOST_RICE)]
    plain = int(np.argmin(sizes))
    bits: list[int] = [int(bit) for bit in f"{plain:08b}"]
    for value in values.tolist():
        bits += [1] * (value >> plain) + [0]
        bits += [value >> place & 1 for place in range(plain - 1, -1, -1)]
    return np.packbits(np.array(bits, np.uint8)).tobytes()


def _unriced(bits: Array, count: int) -> tuple[Array, int]:
    """`count` values from the front of `bits`, and how many bits they took. FormatError."""
    if len(bits) < 8:
        raise FormatError("the key spheres are cut off")
    plain, at = int(np.packbits(bits[:8])[0]), 8
    if plain >= _MOST_RICE:
        raise FormatError("the key spheres are damaged")
    stream, values = bits.tolist(), []
    for _ in range(count):
        ones = at
        while ones < len(stream) and stream[ones]:
            ones += 1
        if ones + 1 + plain > len(stream):
            raise FormatError("the key spheres are cut off")
        value = ones - at
        for bit in stream[ones + 1 : ones + 1 + plain]:
            value = value << 1 | bit
        values.append(value)
        at = ones + 1 + plain
    return np.array(values, np.int64), at
