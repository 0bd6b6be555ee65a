"""The network of key spheres: place and spheres to a signed distance.

    x (3) ------------------------------+
    spheres: weights w_j = |x - c_j| / sum of them
      direct: sum of w_j (c_j, s_j)  (4) +--> K layers of Q, sine or leaky ReLU --> 1 --> tanh
      latent: sum of w_j f_j        (29)-+

In the paper a linear map takes (c_j, s_j) to 29 features before the mean, and the first layer is
linear, too: both together are one linear map of the mean of (c_j, s_j), which is what is kept here.
The functions are the same, with 945 parameters less at K = 6 and Q = 32.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

FEATURES = 29  # of a sphere, latent
SLOPE = 0.1  # of the leaky ReLU
FREQUENCY = 0.4, 20.0  # radians from the middle to the edge at first, for each unit, and at most
START = 0.01  # deviation of latent features at first
ACTIVATIONS = ("sine", "leaky")
CHUNK = 1 << 14  # points at once


def shapes(layers: int, width: int, spheres: int, latent: bool) -> list[tuple[int, int]]:
    """Of all matrices: latent features, if any; then layers (outputs, inputs and offset)."""
    inputs = 3 if not spheres else 3 + (FEATURES if latent else 4)
    hidden = [(width, inputs + 1)] + [(width, width + 1)] * (layers - 1)
    features = [(spheres, FEATURES)] if latent and spheres else []
    return [*features, *hidden, (1, width + 1)]


def initial(
    sizes: Sequence[tuple[int, int]], latent: bool, activation: str, generator: torch.Generator
) -> list[Tensor]:
    """Random matrices of `sizes`."""

    def uniform(size: tuple[int, int], bound: float) -> Tensor:
        return (torch.rand(size, generator=generator) * 2 - 1) * bound

    found = [torch.randn(sizes[0], generator=generator) * START] if latent else []
    first = len(found)
    for number, size in enumerate(sizes[first:]):
        inputs = size[1] - 1
        matrix = uniform(size, 1 / math.sqrt(inputs))
        if activation == "sine":
            last = number == len(sizes) - first - 1
            bound = math.sqrt(6 / inputs) * (0.2 if last else 1)
            if number == 0:  # more of them than the units can sum up are never smoothed out again
                bound = min(FREQUENCY[0] * size[0], FREQUENCY[1]) / 2
            matrix[:, :-1] = uniform((size[0], inputs), bound)
        found.append(matrix)
    return found


class Field:
    """Where the network is evaluated: its spheres, and what it does with its matrices.

    centres : (m, 3); depths : (m,) signed distances there, negative inside
    """

    def __init__(self, centres: Tensor, depths: Tensor, latent: bool, activation: str) -> None:
        self._centres, self._latent = centres, latent and len(centres) > 0
        self._activation = activation
        self._known = torch.cat([centres, depths[:, None]], dim=1)

    def inputs(self, places: Tensor) -> Tensor:
        """What does not depend on the matrices: places (n, 3), and weights or means of spheres."""
        if not len(self._centres):
            return places
        return torch.cat([self._inputs(chunk) for chunk in places.split(CHUNK)])

    def outputs(self, inputs: Tensor, matrices: Sequence[Tensor]) -> Tensor:
        """(n,) in [-1, 1], negative inside."""
        layers = list(matrices)
        if self._latent:
            means = inputs[:, 3:] @ layers.pop(0)
            inputs = torch.cat([inputs[:, :3], means], dim=1)
        for layer in layers[:-1]:
            inputs = torch.addmm(layer[:, -1], inputs, layer[:, :-1].T)
            if self._activation == "sine":
                inputs = torch.sin(inputs)
            else:
                inputs = torch.nn.functional.leaky_relu(inputs, SLOPE)
        last = layers[-1]
        return torch.tanh(torch.addmm(last[:, -1], inputs, last[:, :-1].T))[:, 0]

    @torch.no_grad()
    def values(self, places: Tensor, matrices: Sequence[Tensor]) -> Tensor:
        """(n,) outputs at `places` (n, 3), a part after the other."""
        parts = [
            self.outputs(self.inputs(part), matrices) for part in places.split(CHUNK) if len(part)
        ]
        return torch.cat(parts) if parts else places.new_zeros(0)

    def _inputs(self, places: Tensor) -> Tensor:
        # Not through |a|^2 + |b|^2 - 2ab, which may be negative at a centre.
        gaps = torch.cdist(places, self._centres, compute_mode="donot_use_mm_for_euclid_dist")
        weights = gaps / gaps.sum(dim=1, keepdim=True).clamp_min(1e-9)
        return torch.cat([places, weights if self._latent else weights @ self._known], dim=1)
