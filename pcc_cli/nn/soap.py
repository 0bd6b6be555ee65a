"""SOAP: Adam in the eigenbasis of Shampoo's preconditioner, for small dense layers.

Vyas et al. 2024, "SOAP: Improving and Stabilizing Shampoo using Adam". A network of a few
thousand parameters reaches in a minute what Adam does not reach in ten.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

BETA = 0.95  # of all running means
EVERY = 10  # steps between two looks at the basis
TINY = 1e-12


class Soap:
    """Updates `parameters`, matrices with gradients, in place; `lr` may be set before each step."""

    def __init__(self, parameters: Sequence[Tensor], lr: float) -> None:
        self.lr = lr
        self._parameters = list(parameters)
        self._states: list[_State] | None = None
        self._steps = 0

    @torch.no_grad()
    def step(self) -> None:
        """One update from the gradients, which are set to None; the first only looks at them."""
        gradients = [parameter.grad for parameter in self._parameters]
        for parameter in self._parameters:
            parameter.grad = None
        if self._states is None:
            self._states = [_State(gradient) for gradient in gradients if gradient is not None]
            return
        self._steps += 1
        turn = self._steps % EVERY == 0
        for parameter, gradient, state in zip(
            self._parameters, gradients, self._states, strict=True
        ):
            assert gradient is not None
            parameter -= self.lr * state.update(gradient, 1 - BETA**self._steps, turn)


class _State:
    """Running means of one matrix, and the basis that they are seen in."""

    def __init__(self, gradient: Tensor) -> None:
        self._sides = [gradient @ gradient.T, gradient.T @ gradient]
        self._bases = [torch.linalg.eigh(side.double())[1].to(gradient) for side in self._sides]
        self._mean = torch.zeros_like(gradient)
        self._square = torch.zeros_like(gradient)

    def update(self, gradient: Tensor, bias: float, turn: bool) -> Tensor:
        """What to subtract, before the rate; bias : how much of a running mean has run in."""
        left, right = self._bases
        self._mean.lerp_(gradient, 1 - BETA)
        self._square.lerp_((left.T @ gradient @ right).square(), 1 - BETA)
        turned = left.T @ self._mean @ right
        step = left @ (turned / bias / ((self._square / bias).sqrt() + TINY)) @ right.T
        self._sides[0].lerp_(gradient @ gradient.T, 1 - BETA)
        self._sides[1].lerp_(gradient.T @ gradient, 1 - BETA)
        if turn:
            pairs = zip(self._sides, self._bases, strict=True)
            self._bases = [torch.linalg.qr(side @ basis)[0] for side, basis in pairs]
        return step
