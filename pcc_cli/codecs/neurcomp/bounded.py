"""A bound on the error of every sample: what the base misses by more is coded beside it.

Residuals are whole multiples of a step of twice the bound, nearly all of them 0. The base is made
of wavelets, whose decoding is the same everywhere, so that the bound holds everywhere.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from pcc_cli.codecs.base import Box, Progress
from pcc_cli.codecs.neurcomp import coefficients
from pcc_cli.codecs.neurcomp.bits import Reader, Writer
from pcc_cli.codecs.neurcomp.frame import Frame
from pcc_cli.codecs.neurcomp.quantize import WORTH
from pcc_cli.codecs.neurcomp.stream import In, Out
from pcc_cli.codecs.neurcomp.transform import Analysed, Coded, Stored, places
from pcc_cli.codecs.neurcomp.wavelet import sides_of
from pcc_cli.errors import FormatError, InputError
from pcc_cli.geometry import Array

_FACTORS = (1.0, 1.6, 2.6, 4.2)  # steps of the base that are tried, in units of the bound
_MARGINS = (1.0, 1 - 2**-20, 0.999, 0.9)  # of the step, for what rounding to the type adds


@dataclass(frozen=True)
class Bounded:
    """base; unit : float64, of a residual; blocks : streams of the residuals"""

    about: Frame
    base: Stored
    unit: float
    blocks: list[bytes]

    @classmethod
    def read(cls, stream: In, about: Frame) -> Bounded:
        unit = float(stream.array(np.dtype("<f8"), 1)[0])
        if not 0 < unit < math.inf:
            raise FormatError("the step of the residuals is not positive")
        blocks = [stream.block() for _ in places(about.extents)]
        return cls(about, Stored.read(stream, about), unit, blocks)

    def part(self, box: Box, halvings: int) -> Array:
        """(t, z, y, x, c) samples of a box; coarser ones are those of the base alone."""
        found = self.base.part(box, halvings)
        if halvings:
            return found
        shape = self.about.extents
        residuals = np.zeros(found.shape)
        for number, place in enumerate(places(shape)):
            cut = [
                (max(p.start, low), min(p.stop, high))
                for p, (low, high) in zip(place[1:4], box, strict=True)
            ]
            if any(begin >= end for begin, end in cut):
                continue
            block = self._block(number)
            pairs = list(zip(cut, place[1:4], box, strict=True))
            inside = tuple(slice(b - p.start, e - p.start) for (b, e), p, _ in pairs)
            target = tuple(slice(b - low, e - low) for (b, e), _, (low, _) in pairs)
            where = (place[0], *target, place[4])
            residuals[where] = block[inside][None, ..., None]
        return corrected(self.about, found, residuals, self.unit)

    def arrays(self) -> list[Array]:
        return [*self.base.arrays(), *(self._block(n) for n in range(len(self.blocks)))]

    def _block(self, number: int) -> Array:
        z, y, x = (part.stop - part.start for part in places(self.about.extents)[number][1:4])
        reader = Reader(self.blocks[number])
        found = coefficients.code_alone(reader, (z, y, x), np.zeros((z, y, x), np.int32))
        reader.finish()
        return found


def corrected(about: Frame, base: Array, residuals: Array, unit: float) -> Array:
    """Samples of the base with their residuals; of whole numbers the base is rounded first."""
    base = base if about.type.kind == "f" else np.rint(base)
    return base + residuals * unit


def encode(analysed: Analysed, about: Frame, bound: float, progress: Progress) -> bytes:
    """The smallest stream that was tried. InputError for a bound that is too small for floats."""
    if bound * _FACTORS[0] < analysed.least_step:
        raise _too_fine(about, bound)
    best: bytes | None = None
    for trial, factor in enumerate(_FACTORS):
        coded = analysed.coded(bound * factor, WORTH)
        data = _stream(analysed, about, coded, bound)
        progress((trial + 1) / (len(_FACTORS) + 1), f"{len(data):,} bytes")
        if best is not None and len(data) > len(best):
            break
        best = data
    assert best is not None
    return best


def _stream(analysed: Analysed, about: Frame, coded: Coded, bound: float) -> bytes:
    base = analysed.restored(coded)
    unit, residuals = _residuals(analysed.samples, about, base, bound)
    out = Out()
    out.array(np.array([unit]))
    for place in places(about.extents):
        block = residuals[place]
        writer = Writer()
        sides = sides_of(block.reshape(block.shape[1:4]))
        coefficients.code_alone(writer, sides, block.reshape(sides))
        out.block(writer.finish())
    out.append(coded.data)
    return out.finish()


def _residuals(samples: Array, about: Frame, base: Array, bound: float) -> tuple[float, Array]:
    """The unit, and int32 residuals with which no value is off by more than `bound`."""
    is_whole = about.type.kind != "f"
    for margin in _MARGINS:
        unit = 2.0 * math.floor(bound) + 1 if is_whole else 2.0 * bound * margin
        start = np.rint(base) if is_whole else base
        found = np.rint((samples - start) / unit)
        if np.abs(found).max(initial=0) >= 1 << 30:
            break
        values = about.values(corrected(about, base, found, unit)).astype(np.float64)
        if np.abs(values - samples).max(initial=0.0) <= bound:
            return unit, found.astype(np.int32)
    raise _too_fine(about, bound)


def _too_fine(about: Frame, bound: float) -> InputError:
    return InputError(f"an error of {bound:g} at most is too fine for {about.type}: use --lossless")
