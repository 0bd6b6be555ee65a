"""The sine network of neurcomp: coordinates of a sample to its value. Lu et al., arXiv 2104.04523.

    coordinates --> sine --> [residual block] * (n_layers - 1) --> linear --> value

    sine        sin(w0 (W x + b))
    block       c (x + sine(sine(a x)))

a is 1 in the first block and 1/2 in all others, c is 1/2 in the last block and 1 in all others, so
that sums of sines keep their size. Without residual blocks each block is one sine layer.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn

LEAST_WIDTH = 2


class Sine(nn.Linear):
    """sin(w0 (W x + b)); inputs (n, k), outputs (n, width)."""

    def __init__(self, inputs: int, width: int, w0: float, first: bool = False) -> None:
        super().__init__(inputs, width)
        self.w0 = w0
        bound = 1 / inputs if first else math.sqrt(6 / inputs) / w0
        nn.init.uniform_(self.weight, -bound, bound)

    def forward(self, x: Tensor) -> Tensor:
        return torch.sin(self.w0 * super().forward(x))


class Block(nn.Module):
    """c (x + sine(sine(a x))), of `width` channels."""

    def __init__(self, width: int, w0: float, before: float, after: float) -> None:
        super().__init__()
        self.one, self.two = Sine(width, width, w0), Sine(width, width, w0)
        self.before, self.after = before, after

    def forward(self, x: Tensor) -> Tensor:
        return self.after * (x + self.two(self.one(self.before * x)))


class SineNetwork(nn.Module):
    """(n, 3) coordinates to (n, outputs) values.

    n_layers : hidden layers, the first of them a sine layer
    """

    def __init__(
        self, width: int, n_layers: int, outputs: int = 1, residual: bool = True, w0: float = 30.0
    ) -> None:
        super().__init__()
        blocks: list[nn.Module] = [Sine(3, width, w0, first=True)]
        for block in range(1, n_layers):
            before = 1.0 if block == 1 else 0.5
            after = 0.5 if block == n_layers - 1 else 1.0
            made = Block(width, w0, before, after) if residual else Sine(width, width, w0)
            blocks.append(made)
        last = nn.Linear(width, outputs)
        bound = math.sqrt(6 / width) / w0
        nn.init.uniform_(last.weight, -bound, bound)
        self.layers = nn.Sequential(*blocks, last)

    def forward(self, coordinates: Tensor) -> Tensor:
        values: Tensor = self.layers(coordinates)
        return values

    def linears(self) -> Iterator[nn.Linear]:
        """Every matrix with its biases, in the order in which values pass them."""
        return (module for module in self.modules() if isinstance(module, nn.Linear))


def parameters(width: int, n_layers: int, outputs: int, residual: bool) -> int:
    """How many numbers a network has."""
    hidden = (2 if residual else 1) * (n_layers - 1)
    return 4 * width + hidden * (width * width + width) + (width + 1) * outputs


def width_for(most: float, n_layers: int, outputs: int = 1, residual: bool = True) -> int:
    """The largest width with fewer than `most` parameters; LEAST_WIDTH where none is."""
    width = LEAST_WIDTH
    while parameters(width + 1, n_layers, outputs, residual) < most:
        width += 1
    return width
