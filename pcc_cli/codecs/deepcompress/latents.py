"""Latents between network and file, in integers: gains, rounding, and what a prediction means.

Analysis and predictions are in units of 1/256. A quality has a gain for each channel: latents are
multiplied by it and rounded, so that one step of quantization is 1 / gain. Gains are kept as log2
in units of 1/256, and interpolated between the qualities that were trained.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Context, Decimal, localcontext
from functools import lru_cache

import torch
from torch import Tensor

from pcc_cli.codecs.deepcompress.network import EXTRA, LATENT_ZERO
from pcc_cli.codecs.deepcompress.scales import FRACTIONS, LOG_SCALE_MIN, SCALE_STEPS, SCALES
from pcc_cli.nn.quantizers import ACTIVATION_BITS, ACTIVATION_MAX

QUALITY_MAX = 100
UNIT = 256  # of analysis, predictions, gains and their logarithms
LOG_GAIN_LIMIT = 8 * UNIT
_MEAN_LIMIT = 1 << 14
_ABOUT = 64, 112  # activations: that something is there; the highest quality


def quality_activation(place: float) -> int:
    """0 .. 112: what the network is told of a quality at `place` 0 .. 1 of all."""
    return round(_ABOUT[1] * place)


def about_quality(quality: int) -> Tensor:
    """(EXTRA,) int64, the activations that tell the network the quality 1 .. 100."""
    values = torch.zeros(EXTRA, dtype=torch.long)
    values[0] = _ABOUT[0]
    values[1] = quality_activation((quality - 1) / (QUALITY_MAX - 1))
    return values


def log_gains_at(table: Tensor, quality: int) -> Tensor:
    """(c,) int64: the logarithms of the gains at `quality`, from `table` (qualities, c)."""
    wide = table.long()
    if len(wide) == 1:
        return wide[0]
    below, part = divmod((quality - 1) * (len(wide) - 1), QUALITY_MAX - 1)
    if not part:
        return wide[below]
    mixed = wide[below] * (QUALITY_MAX - 1 - part) + wide[below + 1] * part
    return (mixed + (QUALITY_MAX - 1) // 2) // (QUALITY_MAX - 1)


@lru_cache(maxsize=1)
def _roots() -> Tensor:
    """(256,) int64: 2**16 times 2**(i / 256), rounded, by decimal arithmetic."""
    with localcontext(Context(prec=30, rounding=ROUND_HALF_EVEN, traps=[])):
        values = [Decimal(2) ** (Decimal(i) / UNIT) * (1 << 16) for i in range(UNIT)]
        return torch.tensor([int(value.to_integral_value()) for value in values])


def powers(logs: Tensor) -> Tensor:
    """256 times 2**(logs / 256), rounded down, int64; logs within +-16 * 256."""
    whole = (logs >> 8) + 16
    return (_roots().to(logs.device)[logs & (UNIT - 1)] << whole) >> 24


@dataclass(frozen=True)
class Quantizer:
    """Gains of one quality. log, gain, inverse : (c,) int64 in units of 1/256"""

    log: Tensor
    gain: Tensor
    inverse: Tensor

    @classmethod
    def at(cls, table: Tensor, quality: int) -> Quantizer:
        log = log_gains_at(table, quality)
        return cls(log, powers(log), powers(-log))

    def part(self, channels: slice) -> Quantizer:
        """That of some of the channels."""
        return Quantizer(self.log[channels], self.gain[channels], self.inverse[channels])

    def quantized(self, latents: Tensor) -> Tensor:
        """(n, c) int64 whole steps, from latents in units of 1/256."""
        return (latents.long() * self.gain + (1 << 15)) >> 16

    def activations(self, steps: Tensor) -> Tensor:
        """(n, c) int64 1 .. 127, layer inputs, from whole steps; 0 stands for what is unknown."""
        shift = 8 - ACTIVATION_BITS
        middle = (LATENT_ZERO << shift) + (1 << (shift - 1))
        return ((steps * self.inverse + middle) >> shift).clamp(1, ACTIVATION_MAX)

    def predicted(self, prediction: Tensor, channels: slice = slice(None)) -> tuple[Tensor, Tensor]:
        """(means in 1/16 of a step, scale indices), int64, of means and scales side by side."""
        mean, log_scale = prediction.long().chunk(2, dim=1)
        mean = mean.clamp(-_MEAN_LIMIT, _MEAN_LIMIT)
        bits = 16 - (FRACTIONS.bit_length() - 1)
        means = (mean * self.gain[channels] + (1 << (bits - 1))) >> bits
        unit = UNIT // SCALE_STEPS
        offset = self.log[channels] - int(LOG_SCALE_MIN * UNIT) + unit // 2
        scales = torch.div(log_scale + offset, unit, rounding_mode="floor")
        return means, scales.clamp(0, SCALES - 1)
