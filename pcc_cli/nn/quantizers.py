"""The grids of weights and activations, and rounding that lets gradients through."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

ACTIVATION_BITS = 4
ACTIVATION_STEP = 1 / (1 << ACTIVATION_BITS)  # activations are whole multiples of this
ACTIVATION_MAX = 127  # in steps
WEIGHT_MAX = 127  # in steps
SHIFT_MAX = 22


def weight_steps(weight: Tensor) -> tuple[Tensor, Tensor]:
    """(multiplier, shift), (outputs,) int64 each: the step of each column of a float weight."""
    largest = weight.detach().double().abs().amax(0).clamp_min(2.0**-15)
    step = largest / WEIGHT_MAX
    shift = torch.floor(7 - torch.log2(step)).clamp(1, SHIFT_MAX)
    multiplier = torch.ceil(step * torch.exp2(shift))
    return multiplier.long(), shift.long()


class _RoundStraightThrough(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.round()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return gradients[0]


def round_through(x: Tensor) -> Tensor:
    """`x` rounded to whole numbers; gradients pass as if it were not."""
    rounded: Tensor = _RoundStraightThrough.apply(x)
    return rounded


def rounded_weight(weight: Tensor) -> Tensor:
    """`weight` (inputs, outputs) on the int8 grid that `exact.quantize` will give it."""
    multiplier, shift = weight_steps(weight)
    step = (multiplier / torch.exp2(shift.float())).float()
    return round_through(weight / step) * step
