"""neurcomp: a volume as a network or as wavelets, whose whole file has the size that was asked for.

    samples --profile best-------> wavelets: steps of coefficients, bits in contexts
            --profile published--> a sine network, fitted: clustered weights (Lu et al. 2021)
            --profile sperr, zfp-> what these programs make of them, in our file

What is stored is integers, which decode alike everywhere; docs/format-neurcomp.md.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, Protocol

from pcc_cli import extras
from pcc_cli.codecs.base import Box, Payload, Progress, cut, setting, silent
from pcc_cli.codecs.neurcomp import bounded, classical, target
from pcc_cli.codecs.neurcomp.bounded import Bounded
from pcc_cli.codecs.neurcomp.classical import Classical
from pcc_cli.codecs.neurcomp.frame import Frame
from pcc_cli.codecs.neurcomp.stream import In, Out
from pcc_cli.codecs.neurcomp.transform import Analysed, Stored
from pcc_cli.errors import FormatError, InputError
from pcc_cli.geometry import Array, Shape, Volume

STREAM = "DATA"
PROFILES = ("best", "published", *classical.PROFILES)
TARGETS = ("ratio", "size", "bpp", "psnr", "max_error", "compression_ratio")
DEFAULT_BPP = 0.5  # when nothing else is asked,
DEFAULT_MORE = 512  # and so many bytes more, for the smallest volumes
WAVELETS, BOUNDED, NETWORK, SPERR, ZFP = range(5)  # what a stream holds
_GAIN = 22  # 2**_GAIN samples for each byte are more than a stream can hold


class Body(Protocol):
    """What a stream holds behind the frame."""

    def part(self, box: Box, halvings: int) -> Array:
        """(t, z, y, x, c) samples of a box, of each axis of space every 2**halvings-th."""

    def arrays(self) -> list[Array]:
        """Every integer that was decoded."""


@dataclass(frozen=True)
class Neurcomp:
    """The codec; its fields are its settings. Of those in TARGETS one at most is given."""

    id: ClassVar[str] = "neurcomp.1"
    accepts: ClassVar[tuple[type, ...]] = (Volume,)
    lossless: ClassVar[bool] = False
    rates: ClassVar[tuple[dict[str, Any], ...]] = tuple(
        {"bpp": bpp} for bpp in (0.032, 0.064, 0.16, 0.32, 0.64)
    )

    profile: str = setting("best", "best; published: the paper's network; sperr; zfp")
    ratio: float | None = setting(None, "size of the samples, in their own type, over the file's")
    size: int | None = setting(None, "bytes of the whole file, at most")
    bpp: float | None = setting(None, "bits a sample of the whole file, at most; else 0.5")
    psnr: float | None = setting(None, "dB over the range of the samples, at least")
    max_error: float | None = setting(None, "of any sample, in its units; always kept")
    effort: int = setting(5, "1 (fast) to 9 (small)")
    time_limit: float | None = setting(None, "seconds after which nothing more is tried")
    device: str = field(
        default="auto",
        compare=False,
        metadata={"help": "where networks are fitted and evaluated; not part of the file"},
    )
    compression_ratio: float | None = setting(None, "published: samples over parameters; else 50")
    n_layers: int = setting(8, "published: hidden layers")
    w0: float = setting(30.0, "published: factor in the sines")
    is_residual: bool = setting(True, "published: residual blocks")
    grad_lambda: float = setting(0.0, "published: weight of the error of gradients")
    cluster_bits: int | None = setting(None, "published: bits of a weight; else 9, or what fits")
    batch_size: int = setting(1024, "published: with oversample, samples in a step")
    oversample: int = setting(16, "published: with batch_size, samples in a step")
    lr: float = setting(5e-5, "published: rate of Adam")
    lr_decay: float = setting(0.2, "published: factor of the rate after pass_decay passes")
    pass_decay: int = setting(20, "published: passes between decays")
    n_passes: int = setting(75, "published: passes over the volume, the last left out")
    seed: int = setting(0, "published: of the first weights and of the samples")

    def __post_init__(self) -> None:
        if self.profile not in PROFILES:
            raise InputError(f"--profile must be one of {', '.join(PROFILES)}")
        given = [name for name in TARGETS if getattr(self, name) is not None]
        if len(given) > 1:
            raise InputError(f"choose one of {' and '.join(map(_option, given))}")
        for name in (*given, "n_layers", "batch_size", "oversample", "pass_decay", "lr", "w0"):
            if getattr(self, name) <= 0:
                raise InputError(f"{_option(name)} must be positive")
        limits = {"effort": (1, 9), "n_layers": (1, 64), "cluster_bits": (1, 15)}
        for name, (low, high) in limits.items():
            value = getattr(self, name)
            if value is not None and not low <= value <= high:
                raise InputError(f"{_option(name)} must be in {low} .. {high}, not {value}")
        if self.profile == "published" and given and given[0] in ("psnr", "max_error"):
            raise InputError(f"{_option(given[0])} needs --profile best")

    @property
    def extra(self) -> str:
        """As `Extended.extra`."""
        return extras.CLASSICAL if self.profile in classical.PROFILES else ""

    @property
    def rivals(self) -> tuple[str, ...]:
        """As `Extended.rivals`."""
        return classical.PROFILES if self.profile == "best" else ()

    @property
    def exact(self) -> bool:
        """Wavelets are undone by single operations of IEEE 754; networks by sums of many."""
        return self.profile == "best"

    def config(self) -> dict[str, Any]:
        """Whether decoding is exact; all else stands in the stream."""
        return {} if self.exact else {"profile": self.profile}

    def most_bytes(self, shape: Shape) -> int | None:
        """Bytes that the file of a volume may have; None where no size was asked."""
        assert isinstance(shape, Volume)
        if self.profile != "best" or not (self.ratio or self.size or self.bpp):
            return None
        return self._most(Frame.of(shape.values, shape.axes))

    def encode(self, shape: Shape, progress: Progress = silent) -> Payload:
        """The payload of a Volume; InputError when it cannot be as small as was asked."""
        return self.encode_within(shape, 0, progress)

    def encode_within(self, shape: Shape, around: int, progress: Progress = silent) -> Payload:
        """The same, of a file with `around` bytes beside the stream."""
        assert isinstance(shape, Volume)
        deadline = None if self.time_limit is None else time.monotonic() + self.time_limit
        about = Frame.of(shape.values, shape.axes)
        out = Out()
        about.write(out)
        if about.is_constant and about.count > 64 << _GAIN:
            raise InputError(f"{about.count:,} equal samples are more than neurcomp stores")
        if not about.is_constant:
            most = self._most(about)
            room = None if most is None else most - around - len(out.finish()) - 1
            make = {"best": self._best, "published": self._published}.get(
                self.profile, self._classical
            )
            kind, data = make(about, about.samples(shape.values), room, progress, deadline)
            out.byte(kind)
            out.append(data)
        return Payload({}, {STREAM: out.finish()})

    def decode(self, payload: Payload) -> Volume:
        """The Volume; FormatError when `payload` is damaged."""
        about, body = self._opened(payload)
        if body is None:
            return about.volume(about.constant())
        return about.volume(body.part([(0, n) for n in about.extents[1:4]], 0))

    def decode_part(self, payload: Payload, box: Box, halvings: int) -> Array:
        """The values of a box of the volume, of each axis every 2**halvings-th, by coarse levels.

        box : first and last index but one, of z, y and x
        """
        about, body = self._opened(payload)
        if body is None or about.mask is not None:
            return cut(self.decode(payload).values, about.axes, box, halvings)
        values = about.values(body.part(box, halvings))
        sides = dict(zip("tzyxc", values.shape, strict=True))
        return values.reshape([sides[axis] for axis in about.axes])

    def integers(self, payload: Payload) -> list[Array]:
        """Coefficients, residuals, or weights."""
        body = self._opened(payload)[1]
        return [] if body is None else body.arrays()

    def _opened(self, payload: Payload) -> tuple[Frame, Body | None]:
        stream = In(payload.stream(STREAM))
        about = Frame.read(stream)
        if about.count > (len(payload.stream(STREAM)) + 64) << _GAIN:
            raise FormatError(f"{about.count:,} samples in a stream that cannot hold as many")
        body = None if about.is_constant else self._body(stream, about)
        stream.finish()
        return about, body

    def _body(self, stream: In, about: Frame) -> Body:
        kind = stream.byte()
        if kind == WAVELETS:
            return Stored.read(stream, about)
        if kind == BOUNDED:
            return Bounded.read(stream, about)
        if kind in (SPERR, ZFP):
            return Classical.read(stream, about, classical.PROFILES[kind - SPERR])
        if kind != NETWORK:
            raise FormatError(f"the volume is coded in the unknown way {kind}")
        # Imported here: it imports torch, which wavelets do without.
        from pcc_cli.codecs.neurcomp.published import Fitted

        return Fitted.read(stream, about, self.device)

    def _best(
        self,
        about: Frame,
        samples: Array,
        most: int | None,
        progress: Progress,
        deadline: float | None,
    ) -> tuple[int, bytes]:
        analysed = Analysed(samples)
        if self.max_error is not None:
            return BOUNDED, bounded.encode(analysed, about, self.max_error, progress)
        if self.psnr is not None:
            return WAVELETS, target.for_psnr(analysed, about, self.psnr, progress).data
        assert most is not None
        return WAVELETS, target.for_size(analysed, most, self.effort, progress, deadline).data

    def _classical(
        self,
        about: Frame,
        samples: Array,
        most: int | None,
        progress: Progress,
        deadline: float | None,
    ) -> tuple[int, bytes]:
        wanted = classical.Target(most, self.psnr, self.max_error)
        kind = SPERR + classical.PROFILES.index(self.profile)
        return kind, classical.encode(self.profile, about, samples, wanted)

    def _published(
        self,
        about: Frame,
        samples: Array,
        most: int | None,
        progress: Progress,
        deadline: float | None,
    ) -> tuple[int, bytes]:
        from pcc_cli.codecs.neurcomp import published
        from pcc_cli.codecs.neurcomp.fit import Recipe

        recipe = Recipe(**{part.name: getattr(self, part.name) for part in fields(Recipe)})
        named = {part.name for part in fields(published.Settings)} - {"recipe"}
        chosen = published.Settings(recipe=recipe, **{n: getattr(self, n) for n in named})
        return NETWORK, published.encode(about, samples, chosen, most, progress, deadline)

    def _most(self, about: Frame) -> int | None:
        """Bytes that the whole file may have; None where that is not what was asked."""
        if self.size is not None:
            return self.size
        if self.ratio is not None:
            return int(about.count * about.type.itemsize / self.ratio)
        if self.bpp is not None:
            return int(about.count * self.bpp / 8)
        others = self.psnr, self.max_error, self.compression_ratio
        if self.profile == "published" or any(value is not None for value in others):
            return None
        return int(about.count * DEFAULT_BPP / 8) + DEFAULT_MORE


def _option(name: str) -> str:
    return "--" + name.replace("_", "-")
