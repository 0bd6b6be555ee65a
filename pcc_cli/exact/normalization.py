"""Divisive normalization in integers: see `nn.normalization` for what it computes.

The sum over the channels is an integer below 2**53, exact in doubles in any order. What follows,
a quotient, perhaps a square root, and a product, is one correctly rounded operation each
(IEEE 754), so every machine gets the same double and the same activation.
"""

from __future__ import annotations

import torch
from torch import Tensor

from pcc_cli.errors import ModelError
from pcc_cli.exact.quantize import INT32_LIMIT, IntegerLayer
from pcc_cli.nn.normalization import BETA_MIN
from pcc_cli.nn.quantizers import ACTIVATION_BITS, ACTIVATION_MAX, WEIGHT_MAX, weight_steps


def quantize_normalization(gamma: Tensor, beta: Tensor, kind: str) -> IntegerLayer:
    """The integer twin of a float normalization; ModelError when beta lies beyond int32."""
    weight = torch.relu(gamma.detach())
    multiplier, shift = weight_steps(weight)
    step = multiplier.double() / torch.exp2(shift.double())
    quantized = torch.round(weight.double() / step).clamp(0, WEIGHT_MAX)
    offset = torch.round(beta.detach().double().clamp_min(BETA_MIN) * _unit(shift, kind))
    if not (offset <= INT32_LIMIT).all():
        raise ModelError("normalization: a beta lies beyond int32")
    return IntegerLayer(
        quantized.to(torch.int8),
        offset.to(torch.int32),
        multiplier.to(torch.int32),
        shift.to(torch.int32),
    )


def normalize(x: Tensor, layer: IntegerLayer, kind: str, inverse: bool) -> Tensor:
    """(n, c) uint8 of x (n, c) uint8."""
    wide = x.double()
    power = wide.square() if kind == "gdn" else wide
    sums = power @ layer.weight.double() * layer.multiplier + layer.bias.clamp(min=1)
    unit = _unit(layer.shift, kind)
    ratio = sums / unit if inverse else unit / sums
    factor = ratio.sqrt() if kind == "gdn" else ratio
    result: Tensor = torch.floor(wide * factor + 0.5)
    return result.clamp(0, ACTIVATION_MAX).to(torch.uint8)


def _unit(shift: Tensor, kind: str) -> Tensor:
    """What 1 is in the units of the sums, (c,) float64."""
    bits = ACTIVATION_BITS * (2 if kind == "gdn" else 1)
    return torch.exp2((shift + bits).double())
