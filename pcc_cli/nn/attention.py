"""Attention over a window of neighbours, in floats, for training; `exact.attention` is its twin."""

from __future__ import annotations

import torch
from torch import Tensor

from pcc_cli.nn.quantizers import ACTIVATION_STEP, round_through


def attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    place: Tensor,
    table: Tensor,
    known: Tensor,
    rounded: bool,
) -> Tensor:
    """(n, heads * v): values of known neighbours, weighted by softmax of query * key + place.

    query, key : (n, heads * k); value : (n, heads * v); place : (neighbours, heads)
    table : (n, neighbours) int32, n for none; known : (n,) bool
    rounded : whether the result is rounded as the integer twin rounds it
    """
    n, heads = len(query), place.shape[1]
    rows = table.long()
    seen = torch.cat([known, known.new_zeros(1)])[rows]  # (n, neighbours)
    keys, values = (_windows(x.float(), rows, heads) for x in (key, value))
    scores = (keys * query.float().view(n, 1, heads, -1)).sum(3) / 4 + place
    scores = scores.masked_fill(~seen[:, :, None], -1e9)
    weights = torch.softmax(scores, dim=1) * seen[:, :, None]
    result = (weights[..., None] * values).sum(1).view(n, -1)
    if rounded:
        result = round_through(result / ACTIVATION_STEP) * ACTIVATION_STEP
    return result.to(query.dtype)


def _windows(x: Tensor, rows: Tensor, heads: int) -> Tensor:
    """(n, neighbours, heads, c) of x (n, heads * c); missing neighbours are 0."""
    wide = torch.cat([x, x.new_zeros(1, x.shape[1])])
    return wide[rows].view(*rows.shape, heads, -1)
