"""Attention over a window of neighbours, in integers: see `nn.attention` for what it computes.

Queries and keys are activations, 0 .. 127 in units of 1/16, so their products are in units of
1/256, and of 1/1024 after the division by 4. Weights are 4096 exp(-x), x the distance to the best
score in units of 1/64, from a table of decimal arithmetic; below 1/2 they are 0. The result is the
weighted mean of the values, an integer quotient rounded to the nearest.
"""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Context, Decimal, localcontext
from functools import lru_cache

import torch
from torch import Tensor

from pcc_cli.nn.attention import WindowAttention

_ENTRIES = 640  # of the table: exp(-10) * 4096 is below 1/2
_STEP_BITS = 4  # 1/64 in units of 1/1024
_NONE = -(1 << 30)  # the score of a neighbour that is missing or unknown


@lru_cache(maxsize=1)
def _exponentials() -> Tensor:
    """(_ENTRIES,) int64: 4096 exp(-i / 64), rounded; the last ones are 0."""
    with localcontext(Context(prec=30, rounding=ROUND_HALF_EVEN, traps=[])):
        values = [(-Decimal(i) / 64).exp() * 4096 for i in range(_ENTRIES)]
        return torch.tensor([int(value.to_integral_value()) for value in values])


def attend(inputs: WindowAttention) -> Tensor:
    """(m, heads * v) uint8 of m queries; their inputs are uint8, but the bias is int32 in 1/256."""
    seen = inputs.seen()
    keys, values = (inputs.windows(x.to(torch.int32)) for x in (inputs.key, inputs.value))
    wanted = inputs.query.view(len(inputs.query), 1, inputs.heads, -1).to(torch.int32)
    scores = (keys * wanted).sum(3, dtype=torch.int64) + 4 * inputs.position_bias.long()
    scores = torch.where(seen, scores, _NONE)
    behind = (scores.amax(1, keepdim=True) - scores) >> _STEP_BITS
    weight = _exponentials().to(scores.device)[behind.clamp(max=_ENTRIES - 1)] * seen
    total = weight.sum(1)[..., None]
    mean = ((weight[..., None] * values).sum(1) + total // 2) // total.clamp(min=1)
    return mean.view(len(inputs.query), -1).to(torch.uint8)
