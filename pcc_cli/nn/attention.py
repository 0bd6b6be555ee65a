"""Attention over a window of neighbours, in floats, for training; `exact.attention` is its twin."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from pcc_cli.nn.neighbourhood import padded
from pcc_cli.nn.quantizers import ACTIVATION_STEP, round_through


@dataclass(frozen=True)
class WindowAttention:
    """What m queries attend to among n cells, each query in a window of its own.

    query : (m, heads * k)
    key, value : (n, heads * k), (n, heads * v)
    position_bias : (neighbours, heads), added to the scores of each place of the window
    table : (m, neighbours) int32, the cells of each window; n for none
    known : (n,) bool, the cells that may be seen
    """

    query: Tensor
    key: Tensor
    value: Tensor
    position_bias: Tensor
    table: Tensor
    known: Tensor

    @property
    def heads(self) -> int:
        return self.position_bias.shape[1]

    def of(self, rows: slice) -> WindowAttention:
        """That of some of the queries."""
        return replace(self, query=self.query[rows], table=self.table[rows])

    def seen(self) -> Tensor:
        """(m, neighbours, 1) bool: whether there is a cell, and it is known."""
        return padded(self.known)[self.table.long()][:, :, None]

    def windows(self, x: Tensor) -> Tensor:
        """(m, neighbours, heads, c): the rows of x (n, heads * c) in each window, 0 for none."""
        return padded(x)[self.table.long()].view(*self.table.shape, self.heads, -1)


def attend(inputs: WindowAttention, rounded: bool) -> Tensor:
    """(m, heads * v): values of known neighbours, weighted by softmax of query * key + bias.

    rounded : whether the result is rounded as the integer twin rounds it
    """
    m, seen = len(inputs.query), inputs.seen()
    keys, values = (inputs.windows(x.float()) for x in (inputs.key, inputs.value))
    query = inputs.query.float().view(m, 1, inputs.heads, -1)
    scores = (keys * query).sum(3) / 4 + inputs.position_bias
    weights = torch.softmax(scores.masked_fill(~seen, -1e9), dim=1) * seen
    result = (weights[..., None] * values).sum(1).view(m, -1)
    if rounded:
        result = round_through(result / ACTIVATION_STEP) * ACTIVATION_STEP
    return result.to(inputs.query.dtype)
