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

_ENTRIES = 640  # of the table: exp(-10) * 4096 is below 1/2
_STEP_BITS = 4  # 1/64 in units of 1/1024
_NONE = -(1 << 30)  # the score of a neighbour that is missing or unknown


@lru_cache(maxsize=1)
def _exponentials() -> Tensor:
    """(_ENTRIES,) int64: 4096 exp(-i / 64), rounded; the last ones are 0."""
    with localcontext(Context(prec=30, rounding=ROUND_HALF_EVEN, traps=[])):
        values = [(-Decimal(i) / 64).exp() * 4096 for i in range(_ENTRIES)]
        return torch.tensor([int(value.to_integral_value()) for value in values])


def attend(
    query: Tensor, key: Tensor, value: Tensor, place: Tensor, table: Tensor, known: Tensor
) -> Tensor:
    """(m, heads * v) uint8 of m queries; table (m, neighbours) names rows of key and value.

    query, key, value : uint8; place : int32 in units of 1/256
    """
    heads = place.shape[1]
    weights = _exponentials().to(query.device)
    rows = table.long()
    seen = torch.cat([known, known.new_zeros(1)])[rows][:, :, None]  # (n, neighbours, 1)
    keys, values = (_windows(x, rows, heads) for x in (key, value))
    wanted = query.view(len(query), 1, heads, -1).to(torch.int32)
    scores = (keys * wanted).sum(3, dtype=torch.int64) + 4 * place.long()
    scores = torch.where(seen, scores, _NONE)
    behind = (scores.amax(1, keepdim=True) - scores) >> _STEP_BITS
    weight = weights[behind.clamp(max=_ENTRIES - 1)] * seen
    total = weight.sum(1)[..., None]
    mean = ((weight[..., None] * values).sum(1) + total // 2) // total.clamp(min=1)
    return mean.view(len(query), -1).to(torch.uint8)


def _windows(x: Tensor, rows: Tensor, heads: int) -> Tensor:
    wide = torch.cat([x, x.new_zeros(1, x.shape[1])]).to(torch.int32)
    return wide[rows].view(*rows.shape, heads, -1)
