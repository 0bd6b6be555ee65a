"""A volume as quantized wavelet coefficients: blocks of it, one step for all of them.

Every block of at most BLOCK samples a side, every time step and every component is transformed
alone, so that a part of a volume can be decoded in bounded memory.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise, product

import numpy as np

from pcc_cli.codecs.base import Box
from pcc_cli.codecs.neurcomp import coefficients, wavelet
from pcc_cli.codecs.neurcomp.bits import Reader, Writer
from pcc_cli.codecs.neurcomp.frame import Frame
from pcc_cli.codecs.neurcomp.quantize import LARGEST, Centres, Whole, centres, quantize, restored
from pcc_cli.codecs.neurcomp.stream import In, Out
from pcc_cli.errors import FormatError
from pcc_cli.geometry import Array

BLOCK = 256
SMALLEST = 16  # by which a volume can be made smaller when it is decoded
Place = tuple[slice, ...]


def places(shape: tuple[int, ...]) -> list[Place]:
    """The blocks of (t, z, y, x, c) samples: each of one time step and one component."""
    t, z, y, x, c = shape
    cuts = [_cuts(n) for n in (z, y, x)]
    return [
        (slice(step, step + 1), *block, slice(part, part + 1))
        for step in range(t)
        for part in range(c)
        for block in product(*cuts)
    ]


def _cuts(length: int) -> list[slice]:
    """Blocks begin at multiples of SMALLEST, so that their coarse samples make one grid."""
    parts = -(-length // BLOCK)
    ends = [length * i // parts // SMALLEST * SMALLEST for i in range(parts)]
    ends += [length] if parts else []
    return [slice(a, b) for a, b in pairwise(ends)]


@dataclass(frozen=True)
class Coded:
    """step : of the coefficients; whole : of each block; size_bytes : of the stream"""

    step: float
    whole: list[Whole]
    centres: Centres
    data: bytes


class Analysed:
    """The coefficients of all blocks of (t, z, y, x, c) float64 samples."""

    def __init__(self, samples: Array) -> None:
        self.samples = samples
        self.shape = samples.shape

    @cached_property
    def mean(self) -> float:
        return float(np.float32(self.samples.mean())) if self.samples.size else 0.0

    @cached_property
    def blocks(self) -> list[Array]:
        found = []
        for place in places(self.shape):
            part = self.samples[place]
            found.append(wavelet.forward(part.reshape(part.shape[1:4]) - self.mean))
        return found

    @cached_property
    def largest(self) -> float:
        """Of the magnitudes of all coefficients, and more than 0."""
        return max(1e-30, *(float(np.abs(block).max(initial=0.0)) for block in self.blocks))

    @property
    def least_step(self) -> float:
        """With which every coefficient is a small enough integer."""
        return self.largest / (LARGEST >> 2)

    def quantized(self, step: float, worth: float) -> list[Whole]:
        return [quantize(block, step, worth) for block in self.blocks]

    def coded(self, step: float, worth: float) -> Coded:
        """The stream at a step, which is rounded to float32."""
        step = float(np.float32(step))
        whole = self.quantized(step, worth)
        flat = np.concatenate([block.ravel() for block in self.blocks])
        middle = centres(flat, step, np.concatenate([w.values.ravel() for w in whole]))
        out = Out()
        out.float32(step)
        out.float32(self.mean)
        for nudge in middle:
            out.byte(nudge + 128)
        for block in whole:
            out.block(_packed(block.values))
        return Coded(step, whole, middle, out.finish())

    def restored(self, coded: Coded) -> Array:
        """(t, z, y, x, c) samples that `coded` gives back."""
        found = np.empty(self.shape)
        for place, whole in zip(places(self.shape), coded.whole, strict=True):
            part = wavelet.inverse(restored(whole.values, coded.step, coded.centres)) + self.mean
            found[place] = part.reshape(1, *part.shape, 1)
        return found

    def psnr(self, coded: Coded, about: Frame) -> float:
        """Of the values that `coded` gives back, over their range."""
        error = about.values(self.restored(coded)).astype(np.float64) - self.samples
        if about.mask is not None:
            error = error[~about.mask.reshape(self.shape)]
        square = float((error**2).mean())
        return 10 * math.log10(about.spread**2 / square) if square else math.inf


@dataclass(frozen=True)
class Stored:
    """What a stream holds: the streams of the blocks, not yet decoded."""

    shape: tuple[int, ...]
    step: float
    mean: float
    centres: Centres
    blocks: list[bytes]

    @classmethod
    def read(cls, stream: In, about: Frame) -> Stored:
        shape = about.extents
        step, mean = stream.float32(), stream.float32()
        if step <= 0:
            raise FormatError("the step of the coefficients is not positive")
        middle = Centres(*(stream.byte() - 128 for _ in range(3)))
        return cls(shape, step, mean, middle, [stream.block() for _ in places(shape)])

    def whole(self, number: int) -> Array:
        """The integers of a block."""
        z, y, x = (part.stop - part.start for part in places(self.shape)[number][1:4])
        reader = Reader(self.blocks[number])
        found = coefficients.code(reader, (z, y, x), np.zeros((z, y, x), np.int32))
        reader.finish()
        return found

    def samples(self, whole: Array, halvings: int = 0) -> Array:
        """The samples of a block whose integers are `whole`; of each axis every 2**halvings-th."""
        found = wavelet.inverse(restored(whole, self.step, self.centres), halvings) + self.mean
        # Axes that are too short for a level are as long as before.
        sides = [-(-n // 2**halvings) for n in whole.shape]
        strides = [2 ** round(math.log2(n / m)) for n, m in zip(found.shape, sides, strict=True)]
        return found[:: strides[0], :: strides[1], :: strides[2]]

    def part(self, box: Box, halvings: int) -> Array:
        """(t, z, y, x, c) samples of a box, of each axis those whose index 2**halvings divides.

        box : first and last index but one of z, y and x
        """
        scale = 2**halvings
        t, _, _, _, c = self.shape
        first = [-(-low // scale) for low, _ in box]
        sides = [max(-(-high // scale) - f, 0) for (_, high), f in zip(box, first, strict=True)]
        out = np.empty((t, *sides, c))
        for number, place in enumerate(places(self.shape)):
            block = place[1:4]
            if any(
                p.stop <= low or p.start >= high for p, (low, high) in zip(block, box, strict=True)
            ):
                continue
            found = self.samples(self.whole(number), halvings)
            inside, target = [], []
            for part, (_, high), start in zip(block, box, first, strict=True):
                begin = max(part.start // scale, start)
                end = min(-(-part.stop // scale), -(-high // scale))
                inside.append(slice(begin - part.start // scale, end - part.start // scale))
                target.append(slice(begin - start, end - start))
            where = (place[0], *target, place[4])
            out[where] = found[tuple(inside)][None, ..., None]
        return out

    def arrays(self) -> list[Array]:
        """The integers of all blocks."""
        return [self.whole(number) for number in range(len(self.blocks))]


def _packed(whole: Array) -> bytes:
    writer = Writer()
    coefficients.code(writer, wavelet.sides_of(whole), whole)
    return writer.finish()
