"""From trained float layers to integers, with the bounds that make every sum exact.

Activations are integers a = 16 x in 0 .. 127. A layer with float weight W and bias b becomes

    y = clamp((a Wq * M + B + skip * 2**S) >> S, 0, 127)

where output j has the weight step t_j = M_j / 2**S_j, M_j an integer in 64 .. 128, t_j the
smallest such number that is at least max|W_j| / 127; Wq = round(W / t) is int8;
B = round(16 b 2**S) + 2**(S-1), so that the shift rounds half up. Logits leave in units of 1/256
without clamp or skip:
the same with S - 4 in the place of S. Nothing overflows int32:
`check_bounds` proves it for given weights, at export and at load.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from pcc_cli.errors import ModelError
from pcc_cli.nn.quantizers import (
    ACTIVATION_BITS,
    ACTIVATION_MAX,
    SHIFT_MAX,
    WEIGHT_MAX,
    weight_steps,
)

LOGIT_BITS = 8  # logits are in units of 2**-8
INT32_LIMIT = (1 << 31) - 1


@dataclass(frozen=True)
class IntegerLayer:
    """One layer in integers.

    weight : (inputs, outputs) int8
    bias : (outputs,) int32, B above
    multiplier, shift : (outputs,) int32, M and S above; of logits, S - 4
    """

    weight: Tensor
    bias: Tensor
    multiplier: Tensor
    shift: Tensor


def quantize_layer(weight: Tensor, bias: Tensor, is_logit: bool) -> IntegerLayer:
    """The integer twin of a float layer. Raises ModelError when a bound does not hold."""
    multiplier, shift = weight_steps(weight)
    step = multiplier.double() / torch.exp2(shift.double())
    quantized = torch.round(weight.detach().double() / step).clamp(-WEIGHT_MAX, WEIGHT_MAX)
    bits = LOGIT_BITS if is_logit else ACTIVATION_BITS
    shift = shift - (bits - ACTIVATION_BITS)
    scale = torch.exp2((bits + shift).double())
    offset = torch.round(bias.detach().double() * scale) + torch.exp2((shift - 1).double())
    if not (offset.abs() <= INT32_LIMIT).all():  # NaN too; conversion would make it any integer
        raise ModelError("layer: a bias lies beyond int32")
    layer = IntegerLayer(
        quantized.to(torch.int8),
        offset.to(torch.int32),
        multiplier.to(torch.int32),
        shift.to(torch.int32),
    )
    check_bounds("layer", layer)
    return layer


def accumulator_bound(layer: IntegerLayer) -> int:
    """Largest |sum of activation * weight| that any input can give."""
    sums = layer.weight.long().abs().sum(0)
    return ACTIVATION_MAX * int(sums.max())


def check_bounds(name: str, layer: IntegerLayer) -> None:
    """Raises ModelError unless every intermediate value of `layer` fits int32 for every input."""
    if int(layer.shift.min()) < 1 or int(layer.shift.max()) > SHIFT_MAX:
        raise ModelError(f"{name}: a shift lies outside 1 .. {SHIFT_MAX}")
    if int(layer.multiplier.min()) < 1 or int(layer.weight.min()) < -WEIGHT_MAX:
        raise ModelError(f"{name}: a multiplier or weight lies outside its range")
    sums = ACTIVATION_MAX * layer.weight.long().abs().sum(0) * layer.multiplier.long()
    skip = ACTIVATION_MAX << layer.shift.long()
    worst = int((sums + layer.bias.long().abs() + skip).max())
    if worst > INT32_LIMIT:
        raise ModelError(f"{name}: sums may reach 2**{math.log2(worst):.1f}, beyond int32")
