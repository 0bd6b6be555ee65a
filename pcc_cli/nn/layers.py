"""Float layers for training, with the arithmetic of their integer twins in `exact.layers`.

Activations are real numbers 0 .. 127/16 carried in bfloat16, which holds every multiple of 1/16 in
that range exactly; weights are float32. With `quantized` the forward pass rounds activations to
1/16 and weights to int8 per output, and gradients pass straight through.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from pcc_cli.nn.attention import WindowAttention, attend
from pcc_cli.nn.neighbourhood import Neighbourhood, gathered, padded
from pcc_cli.nn.normalization import normalize
from pcc_cli.nn.quantizers import ACTIVATION_MAX, ACTIVATION_STEP, rounded_weight

NORMALIZATION = ".norm"  # how names of layers end that normalize
BIT_VALUE = 64  # a bit that is set, in units of ACTIVATION_STEP
_CHUNK = 8192  # rows whose gathered neighbourhood stays in the L2 cache


class Layers(Protocol):
    """What a network needs of its layers; x are (n, inputs) rows."""

    def constant(self, values: Tensor) -> Tensor:
        """Integers 0 .. 127 as layer inputs."""

    def apply_layer(
        self, name: str, x: Tensor, near: Neighbourhood | None = None, skip: Tensor | None = None
    ) -> Tensor:
        """relu(inputs W + b + skip), (n, outputs); inputs are x or what `near` makes of it."""

    def logits(self, name: str, x: Tensor) -> Tensor:
        """(n, outputs) x W + b, which leave the network; (n,) of a single output."""

    def normalize(self, name: str, x: Tensor, kind: str, inverse: bool) -> Tensor:
        """(n, c), see `nn.normalization`."""

    def attend(self, inputs: WindowAttention) -> Tensor:
        """(m, heads * v), see `nn.attention`."""

    def chunks(self, rows: int) -> Iterator[slice]:
        """Slices that cover `rows` in order."""


class _Layer(torch.autograd.Function):
    """clamp(inputs @ weight + bias + skip), rounded to the activation grid on request.

    Works in chunks of rows and gathers the inputs again on the way back, so that no gathered matrix
    is kept. Neighbour k of i is j exactly when the opposite neighbour of j is i: the gradient to
    the features is a gather of the output's gradient with flipped, transposed weights. No scatter.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor,
        skip: Tensor | None,
        near: Neighbourhood | None,
        rounded: bool,
    ) -> Tensor:
        source = padded(x) if near and near.features else x
        out = torch.empty(len(x), weight.shape[1], dtype=weight.dtype, device=x.device)
        for rows in _chunks(len(x)):
            y = bias + sum(a @ w for a, w in _products(source, weight, near, rows))
            if skip is not None:
                y += skip[rows]
            if rounded:
                y = (y * (1 / ACTIVATION_STEP)).round_().mul_(ACTIVATION_STEP)
            out[rows] = y.clamp_(0, ACTIVATION_MAX * ACTIVATION_STEP)
        ctx.save_for_backward(x, weight, out)
        ctx.near, ctx.has_skip = near, skip is not None
        return out

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Any, ...]:
        x, weight, out = ctx.saved_tensors
        near = ctx.near
        grad = gradients[0] * ((out > 0) & (out < ACTIVATION_MAX * ACTIVATION_STEP))
        wide = near is not None and near.features
        taps = near.table.shape[1] if wide else 1
        back = _transposed(weight[: x.shape[1] * taps], x.shape[1], taps)
        source, grads = (padded(x), padded(grad)) if wide else (x, grad)
        grad_weight = torch.zeros_like(weight, dtype=torch.float32)
        grad_x = torch.empty_like(x)
        for rows in _chunks(len(x)):
            start = 0
            for inputs, part in _products(source, weight, near, rows):
                grad_weight[start : start + len(part)] += inputs.T @ grad[rows]
                start += len(part)
            near_grad = gathered(grads, near.table[rows]) if wide else grad[rows]
            torch.mm(near_grad, back, out=grad_x[rows])
        grad_bias = grad.sum(0, dtype=torch.float32)
        return grad_x, grad_weight, grad_bias, grad if ctx.has_skip else None, None, None


def _transposed(weight: Tensor, channels: int, taps: int) -> Tensor:
    """The matrix that carries the output's gradient back to the features."""
    outputs = weight.shape[1]
    flipped = weight.view(taps, channels, outputs).flip(0).transpose(1, 2)
    return flipped.reshape(taps * outputs, channels)


def _products(
    source: Tensor, weight: Tensor, near: Neighbourhood | None, rows: slice
) -> Iterator[tuple[Tensor, Tensor]]:
    """The pairs (inputs of `rows`, their part of `weight`) whose products add up."""
    if near is None:
        yield source[rows], weight
        return
    table = near.table[rows]
    features = gathered(source, table) if near.features else source[rows]
    width = features.shape[1]
    yield features, weight[:width]
    if near.window is not None:
        yield gathered(near.window, table), weight[width:]


def _chunks(rows: int) -> Iterator[slice]:
    for start in range(0, rows, _CHUNK):
        yield slice(start, start + _CHUNK)


class FloatLayers(nn.Module):
    """Trainable layers by name; see `Layers` for the operations.

    shapes : name -> (inputs, outputs)
    residual : names of layers that add a skip; they start small so that the network starts as
        a shallow one
    dtype : of products and activations; weights are float32
    """

    def __init__(
        self,
        shapes: dict[str, tuple[int, int]],
        residual: frozenset[str],
        dtype: torch.dtype = torch.bfloat16,
    ) -> None:
        super().__init__()
        self.quantized, self.dtype = False, dtype
        self.weights = nn.ParameterDict()
        self.biases = nn.ParameterDict()
        for name, (inputs, outputs) in shapes.items():
            scale = (0.3 if name in residual else 1.0) * (2 / inputs) ** 0.5
            key = name.replace(".", "_")
            if name.endswith(NORMALIZATION):
                self.weights[key] = nn.Parameter(0.1 * torch.eye(inputs))
                self.biases[key] = nn.Parameter(torch.ones(outputs))
            else:
                self.weights[key] = nn.Parameter(torch.randn(inputs, outputs) * scale)
                self.biases[key] = nn.Parameter(torch.zeros(outputs))

    def weight_and_bias(self, name: str) -> tuple[Tensor, Tensor]:
        """The float32 parameters of layer `name`: (inputs, outputs) and (outputs,)."""
        key = name.replace(".", "_")  # ParameterDict takes no dots
        return self.weights[key], self.biases[key]

    def _parameters_of(self, name: str) -> tuple[Tensor, Tensor]:
        weight, bias = self.weight_and_bias(name)
        if self.quantized:
            weight = rounded_weight(weight)
        return weight.to(self.dtype), bias

    def constant(self, values: Tensor) -> Tensor:
        return values.to(self.dtype) * ACTIVATION_STEP

    def apply_layer(
        self,
        name: str,
        x: Tensor,
        near: Neighbourhood | None = None,
        skip: Tensor | None = None,
    ) -> Tensor:
        weight, bias = self._parameters_of(name)
        out: Tensor = _Layer.apply(x, weight, bias, skip, near, self.quantized)
        return out

    def logits(self, name: str, x: Tensor) -> Tensor:
        weight, bias = self._parameters_of(name)
        return ((x @ weight).float() + bias).squeeze(1)

    def normalize(self, name: str, x: Tensor, kind: str, inverse: bool) -> Tensor:
        gamma, beta = self.weight_and_bias(name)
        return normalize(x, gamma, beta, kind, inverse, self.quantized)

    def attend(self, inputs: WindowAttention) -> Tensor:
        return attend(inputs, self.quantized)

    def chunks(self, rows: int) -> Iterator[slice]:
        return _chunks(rows)
