"""Divisive normalization in floats, for training; `exact.normalization` is its integer twin.

    gdn         x_j / sqrt(beta_j + sum_i gamma_ij x_i^2)     Balle et al., ICLR 2016
    cenic_gdn   x_j / (beta_j + sum_i gamma_ij x_i)           Johnston et al., 2019, for x >= 0

and their inverses, which multiply. beta and gamma are not negative.
"""

from __future__ import annotations

import torch
from torch import Tensor

from pcc_cli.nn.quantizers import (
    ACTIVATION_MAX,
    ACTIVATION_STEP,
    round_through,
    rounded_weight,
)

KINDS = ("gdn", "cenic_gdn")
BETA_MIN = 1 / 64


def normalize(
    x: Tensor, gamma: Tensor, beta: Tensor, kind: str, inverse: bool, rounded: bool
) -> Tensor:
    """(n, c) activations of x (n, c); gamma (c, c), beta (c,), of which only positive parts count.

    rounded : whether gamma and the result are rounded as in the integer twin
    """
    weight = torch.relu(gamma)
    if rounded:
        weight = rounded_weight(weight)
    wide = x.float()
    power = wide.square() if kind == "gdn" else wide
    norm = power @ weight + beta.clamp_min(BETA_MIN)
    factor = norm.sqrt() if kind == "gdn" else norm
    result = wide * factor if inverse else wide / factor
    if rounded:
        result = round_through(result / ACTIVATION_STEP) * ACTIVATION_STEP
    return result.clamp(0, ACTIVATION_MAX * ACTIVATION_STEP).to(x.dtype)
