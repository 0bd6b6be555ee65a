"""Volumes as SPERR or zfp codes them, in our files: for users who allow what needs their packages.

Each time step and each component is one array of floats. What those programs restore is not
promised to be the same everywhere, so the digest of a tile covers their bytes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pcc_cli.codecs.base import Box, cut
from pcc_cli.codecs.neurcomp.foreign import LAYOUT, ArrayCodec, Hdf5Filter, Zfp
from pcc_cli.codecs.neurcomp.frame import Frame
from pcc_cli.codecs.neurcomp.stream import In, Out
from pcc_cli.errors import FormatError, InputError
from pcc_cli.geometry import Array

SPERR, ZFP = "sperr", "zfp"
PROFILES = (SPERR, ZFP)
AXES = "tzyxc"
_TRIES = 8
_CLOSE = 0.99  # part of the size that is near enough
_MARGINS = (1.0, 1 - 2**-20, 0.999, 0.9, 0.5)  # of a bound, for what rounding adds


@dataclass(frozen=True)
class Classical:
    """profile : one of PROFILES; blocks : of each time step and component, a stream of its own"""

    about: Frame
    profile: str
    blocks: list[bytes]

    @classmethod
    def read(cls, stream: In, about: Frame, profile: str) -> Classical:
        return cls(about, profile, [stream.block() for _ in _places(about)])

    def write(self, out: Out) -> None:
        for block in self.blocks:
            out.block(block)

    def part(self, box: Box, halvings: int) -> Array:
        """(t, z, y, x, c) samples of a box, of each axis of space every 2**halvings-th."""
        return cut(self.samples(), AXES, box, halvings)

    def samples(self) -> Array:
        """(t, z, y, x, c) float64. UnsupportedError, with what to install, without the package."""
        found = np.empty(self.about.extents)
        coder = _coder(self.profile, 1.0)
        sides = self.about.extents[1:4]
        for (step, part), block in zip(_places(self.about), self.blocks, strict=True):
            if self.profile == SPERR and LAYOUT.unpack_from(block.ljust(LAYOUT.size))[1:] != sides:
                raise FormatError("a block of the volume has another shape")
            decoded = _decoded(coder, block)
            if decoded.shape != sides:
                raise FormatError("a block of the volume has another shape")
            found[step, ..., part] = decoded
        return found

    def arrays(self) -> list[Array]:
        return [np.frombuffer(block, np.uint8) for block in self.blocks]


@dataclass(frozen=True)
class Target:
    """What is asked: one of bytes of the stream, dB over the range, and the largest error."""

    most: int | None
    psnr: float | None
    max_error: float | None


def encode(profile: str, about: Frame, samples: Array, target: Target) -> bytes:
    """The stream for `samples` (t, z, y, x, c).

    InputError where the program cannot do what is asked, UnsupportedError without its package.
    """
    if target.max_error is not None:
        return _bounded(profile, about, samples, target.max_error)
    if profile == ZFP:
        raise InputError("--profile zfp needs --max-error")
    if target.psnr is not None:
        return _as_near(about, samples, target.psnr)
    assert target.most is not None
    return _as_small(about, samples, target.most)


def _bounded(profile: str, about: Frame, samples: Array, bound: float) -> bytes:
    """With which no value is off by more than `bound`."""
    whole = about.type.kind != "f"
    for margin in _MARGINS:
        asked = (math.floor(bound) if whole and bound >= 1 else bound) * margin
        made = _made(profile, about, samples, _coder(profile, asked))
        if np.abs(_errors(made, samples)).max(initial=0.0) <= bound:
            return _bytes(made)
    raise InputError(f"{profile} keeps no error of {bound:g}")


def _as_near(about: Frame, samples: Array, psnr: float) -> bytes:
    """The smallest file found; SPERR's own PSNR is often several dB below what comes of it."""
    asked, best = psnr, b""
    for _ in range(_TRIES):
        coder = Hdf5Filter("Sperr", "peak_signal_to_noise_ratio", asked)
        made = _made(SPERR, about, samples, coder)
        square = float((_errors(made, samples) ** 2).mean())
        found = 10 * math.log10(about.spread**2 / square) if square else psnr + 10
        if found >= psnr:
            data = _bytes(made)
            best = min(best or data, data, key=len)
        if psnr <= found < psnr + 0.05:
            break
        asked += psnr + 0.02 - found
    if not best:
        raise InputError(f"sperr does not reach {psnr:g} dB")
    return best


def _as_small(about: Frame, samples: Array, most: int) -> bytes:
    rate, best = 8 * most / samples.size, b""
    for _ in range(_TRIES):
        data = _bytes(_made(SPERR, about, samples, Hdf5Filter("Sperr", "rate", rate)))
        best = max(best, data, key=len) if len(data) <= most else best
        if _CLOSE * most <= len(data) <= most:
            break
        rate *= 0.998 * most / len(data)
    if not best:
        raise InputError(f"sperr makes no file of {most:,} bytes")
    return best


def _coder(profile: str, bound: float) -> ArrayCodec:
    return Zfp(bound) if profile == ZFP else Hdf5Filter("Sperr", "absolute", bound)


def _made(profile: str, about: Frame, samples: Array, coder: ArrayCodec) -> Classical:
    """Integers of up to 24 bits and halves are floats, all others doubles."""
    kind = np.float32 if about.type.itemsize <= 2 or about.type == np.float32 else np.float64
    blocks = []
    for step, part in _places(about):
        try:
            blocks.append(coder.encode(samples[step, ..., part].astype(kind)))
        except (OSError, ValueError, RuntimeError) as error:  # what HDF5 and zfpy raise
            raise InputError(f"{profile} cannot code the volume: {error}") from error
    return Classical(about, profile, blocks)


def _decoded(coder: ArrayCodec, block: bytes) -> Array:
    try:
        return coder.decode(block)
    except (OSError, ValueError, TypeError, RuntimeError) as error:
        raise FormatError(f"a block of the volume is damaged: {error}") from error


def _errors(made: Classical, samples: Array) -> Array:
    """Of the samples that are finite."""
    about = made.about
    found = about.values(made.samples()).astype(np.float64) - samples
    return found if about.mask is None else found[~about.mask.reshape(about.extents)]


def _bytes(made: Classical) -> bytes:
    out = Out()
    made.write(out)
    return out.finish()


def _places(about: Frame) -> Iterator[tuple[int, int]]:
    """Time step and component of each block."""
    t, *_, c = about.extents
    return ((step, part) for step in range(t) for part in range(c))
