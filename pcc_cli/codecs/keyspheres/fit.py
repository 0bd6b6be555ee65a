"""Fitting the network to a mesh, first in floats, then with its numbers rounded as in the file.

The loss is the mean |tanh(output) - tanh(distance / band)| over points of which nine in ten lie
near the surface, their density falling exponentially; band 0 is the paper's |tanh(output) -
distance|. Whatever of a matrix matters less is rounded more: the steps are in inverse proportion
to the root mean square of the outputs' derivatives.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pcc_cli.codecs.keyspheres import network
from pcc_cli.codecs.keyspheres.network import Field
from pcc_cli.codecs.keyspheres.stream import LARGEST, Quantized
from pcc_cli.entropy.steps import STEPS, code_of, step_of
from pcc_cli.levelset.solid import Solid, grid_points
from pcc_cli.nn.quantizers import round_through
from pcc_cli.nn.soap import Soap

NEAR_SHARE = 0.9  # of a batch; with 0.95 pieces stray far from the surface
REPEATS = 25  # of a sample in a fit
HELD = 10_000  # samples near the surface that are not fitted
TRIAL_STEPS = 150  # of each start but the best
ROUNDED_SHARE = 0.4  # of the steps, at the end, with rounded numbers
ROUNDED_RATE = 0.1  # of the learning rate when they begin
WARM_UP = 100
PROBES = 256, 12  # points, and random sums of their outputs, whose derivatives are taken
Watch = Callable[[float, str], None]


@dataclass(frozen=True)
class Samples:
    """Points as a `Field` takes them, and what it is to say there; the first `held` are kept back.

    near, far : inputs, (n, inputs) each; distances : signed, of near and of far ones
    """

    near: Tensor
    far: Tensor
    near_distances: Tensor
    far_distances: Tensor

    @classmethod
    def of(cls, solid: Solid, field: Field, draws: int, seed: int, device: torch.device) -> Samples:
        """draws : of a sample in the whole fit; a short one needs fewer, and sooner has them"""
        points, distances = solid.near_surface(np.random.default_rng(seed), draws // REPEATS)
        arrays = points, grid_points(), distances, solid.grid.ravel()
        near, far, *values = (
            torch.from_numpy(np.asarray(array, np.float32)).to(device) for array in arrays
        )
        return cls(field.inputs(near), field.inputs(far), *values)


class Fit:
    """Matrices on their way to a mesh."""

    def __init__(
        self, samples: Samples, field: Field, band: float, batch: int, rate: float, seed: int
    ) -> None:
        self._samples, self._field, self._band = samples, field, band
        self._batch, self._rate = batch, rate
        self._generator = torch.Generator().manual_seed(seed)
        self._held = min(HELD, len(samples.near) // 10)

    def started(
        self, sizes: Sequence[tuple[int, int]], latent: bool, activation: str, restarts: int
    ) -> list[Tensor]:
        """The best of some random starts, each fitted a little."""
        device = self._samples.near.device
        starts = [
            network.initial(sizes, latent, activation, self._generator) for _ in range(restarts)
        ]
        starts = [[matrix.to(device) for matrix in start] for start in starts]
        if restarts == 1:
            return starts[0]
        for start in starts:
            self._run(start, None, TRIAL_STEPS, 1.0, lambda done, error: None)
        return min(starts, key=self.error)

    def run(self, matrices: list[Tensor], steps: int, watch: Watch) -> None:
        """Fits `matrices` in place, in floats."""
        self._run(matrices, None, steps, 1.0, lambda n, e: watch(n / steps, f"error {e:.5f}"))

    def run_rounded(
        self, matrices: list[Tensor], codes: list[tuple[int, int]], steps: int, watch: Watch
    ) -> None:
        """Goes on with numbers rounded to the steps with `codes`."""
        scales = [self._scale(matrix, pair) for matrix, pair in zip(matrices, codes, strict=True)]
        told = lambda n, e: watch(n / steps, f"rounded, error {e:.5f}")  # noqa: E731
        self._run(matrices, scales, steps, ROUNDED_RATE, told)

    @torch.no_grad()
    def error(self, matrices: Sequence[Tensor]) -> float:
        """Mean loss on the samples near the surface that are never fitted."""
        inputs = self._samples.near[: self._held]
        found = self._field.outputs(inputs, matrices)
        wanted = self._wanted(self._samples.near_distances[: self._held])
        return float((found - wanted).abs().mean())

    @torch.no_grad()
    def overlap(self, matrices: Sequence[Tensor]) -> float:
        """Intersection over union on the cells of the grid."""
        inputs = self._samples.far.split(network.CHUNK)
        found = torch.cat([self._field.outputs(part, matrices) < 0 for part in inputs])
        wanted = self._samples.far_distances < 0
        union = int((found | wanted).sum())
        return int((found & wanted).sum()) / union if union else 1.0

    def sensitivities(self, matrices: Sequence[Tensor]) -> list[tuple[float, float]]:
        """Root mean square derivatives of an output, by the weights and by the offsets."""
        leaves = [matrix.clone().requires_grad_() for matrix in matrices]
        squares = [torch.zeros_like(matrix) for matrix in matrices]
        for _ in range(PROBES[1]):
            rows = self._draw(self._held, len(self._samples.near), PROBES[0])
            found = self._field.outputs(self._samples.near[rows], leaves)
            signs = torch.randint(2, (PROBES[0],), generator=self._generator) * 2.0 - 1
            gradients = torch.autograd.grad((found * signs.to(found)).sum(), leaves)
            for square, gradient in zip(squares, gradients, strict=True):
                square += gradient.square()
        parts = [(square[:, :-1], square[:, -1]) for square in squares]
        return [
            (float(one.mean().sqrt()) + 1e-9, float(other.mean().sqrt()) + 1e-9)
            for one, other in parts
        ]

    def _run(
        self,
        matrices: list[Tensor],
        scales: list[Tensor] | None,
        steps: int,
        share: float,
        tell: Callable[[int, float], None],
    ) -> None:
        for matrix in matrices:
            matrix.requires_grad_()
        optimizer = Soap(matrices, self._rate)
        recent = 0.0
        for step in range(steps):
            slope = 0.5 + 0.5 * math.cos(math.pi * step / steps)
            optimizer.lr = self._rate * share * slope * min(1.0, (step + 1) / WARM_UP)
            loss = self._loss(matrices if scales is None else _rounded(matrices, scales))
            loss.backward()
            optimizer.step()
            if step % 50 == 0:
                found = float(loss.detach())
                recent = found if not step else 0.7 * recent + 0.3 * found
                tell(step, recent)
        for matrix in matrices:
            matrix.requires_grad_(False)

    def _loss(self, matrices: Sequence[Tensor]) -> Tensor:
        near = round(self._batch * NEAR_SHARE)
        samples = self._samples
        rows = self._draw(self._held, len(samples.near), near)
        others = self._draw(0, len(samples.far), self._batch - near)
        inputs = torch.cat([samples.near[rows], samples.far[others]])
        distances = torch.cat([samples.near_distances[rows], samples.far_distances[others]])
        return (self._field.outputs(inputs, matrices) - self._wanted(distances)).abs().mean()

    def _wanted(self, distances: Tensor) -> Tensor:
        return torch.tanh(distances / self._band) if self._band else distances

    def _draw(self, low: int, high: int, count: int) -> Tensor:
        rows = torch.randint(low, high, (count,), generator=self._generator)
        return rows.to(self._samples.near.device)

    @staticmethod
    def _scale(matrix: Tensor, codes: tuple[int, int]) -> Tensor:
        scale = torch.full((matrix.shape[1],), step_of(codes[0]), device=matrix.device)
        scale[-1] = step_of(codes[1])
        return scale


def _rounded(matrices: Sequence[Tensor], scales: Sequence[Tensor]) -> list[Tensor]:
    return [round_through(m / scale) * scale for m, scale in zip(matrices, scales, strict=True)]


def step_codes(
    matrices: Sequence[Tensor], sensitivities: Sequence[tuple[float, float]], loss: float
) -> list[tuple[int, int]]:
    """Codes of the steps of all matrices; loss : the change of an output that a rounding makes."""
    codes = []
    for matrix, pair in zip(matrices, sensitivities, strict=True):
        parts = (matrix[:, :-1], matrix[:, -1])
        # No step so small that a number would need more than LARGEST of them.
        least = [float(part.abs().max()) / (0.5 * LARGEST) + 1e-9 for part in parts]
        wanted = [max(loss / one, low) for one, low in zip(pair, least, strict=True)]
        codes.append((code_of(wanted[0] * 2 ** (0.5 / STEPS)), code_of(wanted[1])))
    return codes


def quantized(matrices: Sequence[Tensor], codes: Sequence[tuple[int, int]]) -> list[Quantized]:
    """`matrices` in whole steps."""
    found = []
    for matrix, pair in zip(matrices, codes, strict=True):
        values = matrix.detach().double().cpu().numpy()
        scales = np.full(values.shape[1], step_of(pair[0]))
        scales[-1] = step_of(pair[1])
        whole = np.clip(np.rint(values / scales), -LARGEST, LARGEST).astype(np.int64)
        found.append(Quantized(whole, pair))
    return found
