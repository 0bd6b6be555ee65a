"""neurcomp as published: one sine network for each time step, its hidden weights in clusters.

The width follows from the ratio of samples to parameters, as in the paper's program, or from the
size that the whole file may have. Lu, Jiang, Levine, Berger 2021, arXiv 2104.04523.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch

from pcc_cli.codecs.base import Box, Progress
from pcc_cli.codecs.neurcomp import weights
from pcc_cli.codecs.neurcomp.fit import Recipe, Watch, axis_coordinates, evaluate, fit
from pcc_cli.codecs.neurcomp.frame import Frame
from pcc_cli.codecs.neurcomp.network import LEAST_WIDTH, SineNetwork, parameters, width_for
from pcc_cli.codecs.neurcomp.stream import In, Out
from pcc_cli.codecs.neurcomp.weights import Tensor
from pcc_cli.errors import FormatError, InputError
from pcc_cli.geometry import Array
from pcc_cli.nn.device import compute

LAYERS_MOST, WIDTH_MOST = 64, 4096
PARAMETERS_MOST = 1 << 28
USUAL_RATIO = 50.0  # of samples to parameters
_USUAL_BITS = 7  # of an index, when the whole file has a size
_BYTES_OF_CENTRE = 1.35  # of a cluster


@dataclass(frozen=True)
class Shape:
    """Of the network: see `network.SineNetwork`."""

    width: int
    n_layers: int
    outputs: int
    residual: bool
    w0: float

    def network(self) -> SineNetwork:
        return SineNetwork(self.width, self.n_layers, self.outputs, self.residual, self.w0)

    def tensors(self) -> list[tuple[tuple[int, ...], bool]]:
        """The shapes of matrices and biases, and which of them are clustered: hidden matrices."""
        linears = list(self.network().linears())
        found: list[tuple[tuple[int, ...], bool]] = []
        for number, linear in enumerate(linears):
            found.append((tuple(linear.weight.shape), 0 < number < len(linears) - 1))
            found.append((tuple(linear.bias.shape), False))
        return found


@dataclass(frozen=True)
class Fitted:
    """networks : of each time step, its tensors as they are stored"""

    about: Frame
    shape: Shape
    networks: list[list[Tensor]]
    device: str = "auto"

    def write(self, out: Out) -> None:
        out.whole(self.shape.width)
        out.byte(self.shape.n_layers)
        out.byte(int(self.shape.residual))
        out.float32(self.shape.w0)
        for tensors in self.networks:
            out.block(weights.pack(tensors))

    @classmethod
    def read(cls, stream: In, about: Frame, device: str) -> Fitted:
        t, *_, c = about.extents
        width, n_layers = stream.whole(WIDTH_MOST), stream.byte()
        if width < LEAST_WIDTH or not 1 <= n_layers <= LAYERS_MOST:
            raise FormatError(f"no network has {n_layers} layers of {width}")
        shape = Shape(width, n_layers, c, bool(stream.byte()), stream.float32())
        if parameters(width, n_layers, c, shape.residual) > PARAMETERS_MOST:
            raise FormatError("the network of the volume is too large")
        tensors = shape.tensors()
        networks = [weights.unpack(stream.block(), tensors) for _ in range(t)]
        return cls(about, shape, networks, device)

    def arrays(self) -> list[Array]:
        return [a for tensors in self.networks for tensor in tensors for a in tensor.arrays()]

    def part(self, box: Box, halvings: int) -> Array:
        """(t, z, y, x, c) samples of a box, of each axis of space every 2**halvings-th."""
        return compute(self.device, partial(self._part, box, 2**halvings))

    def _part(self, box: Box, scale: int, device: torch.device) -> Array:
        coordinates = axis_coordinates(self.about.extents[1:4])
        axes = [
            axis[-(-low // scale) * scale : high : scale].to(device)
            for axis, (low, high) in zip(coordinates, box, strict=True)
        ]
        networks = (self._network(tensors).to(device) for tensors in self.networks)
        found = np.stack([evaluate(network, axes) for network in networks])
        return (found.astype(np.float64) / 2 + 0.5) * self.about.spread + float(self.about.low)

    def _network(self, tensors: list[Tensor]) -> SineNetwork:
        network = self.shape.network()
        pairs = zip(tensors[::2], tensors[1::2], strict=True)
        with torch.no_grad():
            for linear, (matrix, bias) in zip(network.linears(), pairs, strict=True):
                linear.weight.copy_(torch.from_numpy(matrix.values()))
                linear.bias.copy_(torch.from_numpy(bias.values()))
        return network


@dataclass(frozen=True)
class Settings:
    """Those of the codec that belong to this profile, named and meant as there."""

    compression_ratio: float | None
    n_layers: int
    w0: float
    is_residual: bool
    cluster_bits: int | None
    seed: int
    device: str
    recipe: Recipe


def encode(
    about: Frame,
    samples: Array,
    chosen: Settings,
    most: int | None,
    progress: Progress,
    deadline: float | None,
) -> bytes:
    """The stream of networks for `samples` (t, z, y, x, c) float64, of at most `most` bytes."""
    scaled = 2 * ((samples - float(about.low)) / about.spread - 0.5)
    shape = _shape_for(about, chosen, most)
    t = about.extents[0]

    def fitted(device: torch.device) -> list[SineNetwork]:
        return [
            _fitted(
                scaled[n],
                shape,
                chosen.recipe,
                chosen.seed + n,
                device,
                partial(_told, progress, n, t),
                deadline,
            )
            for n in range(t)
        ]

    networks = compute(chosen.device, fitted)
    wanted = chosen.cluster_bits or (9 if most is None else _USUAL_BITS)
    for bits in range(wanted, 0, -1):
        out = Out()
        Fitted(about, shape, [_tensors(network, bits) for network in networks]).write(out)
        data = out.finish()
        if most is None or len(data) <= most:
            return data
    raise InputError(
        f"the network takes {len(data):,} bytes where {most:,} are allowed; ask for a smaller ratio"
    )


def _told(progress: Progress, number: int, count: int, done: float, psnr: float) -> None:
    progress((number + done) / count, f"{psnr:.2f} dB so far")


def _shape_for(about: Frame, chosen: Settings, most: int | None) -> Shape:
    """The widest network with fewer parameters than the ratio allows, or that `most` bytes hold."""
    t, z, y, x, c = about.extents
    if most is None:
        limit = z * y * x * c / (chosen.compression_ratio or USUAL_RATIO)
        width = width_for(limit, chosen.n_layers, c, chosen.is_residual)
    else:
        width = LEAST_WIDTH
        while _about_bytes(width + 1, chosen, c) * t <= most and width < WIDTH_MOST:
            width += 1
    return Shape(min(width, WIDTH_MOST), chosen.n_layers, c, chosen.is_residual, chosen.w0)


def _about_bytes(width: int, chosen: Settings, outputs: int) -> float:
    """What a network takes: indices, centres of clusters, and two bytes for each other number."""
    bits = chosen.cluster_bits or _USUAL_BITS
    matrices = (2 if chosen.is_residual else 1) * (chosen.n_layers - 1)
    all_else = parameters(width, chosen.n_layers, outputs, chosen.is_residual)
    all_else -= matrices * width * width
    each = width * width * bits / 8 + min(1 << bits, width * width) * _BYTES_OF_CENTRE
    return matrices * (each + 6) + 2 * all_else + 6 * 2 * (matrices + 2) + 16


def _fitted(
    samples: Array,
    shape: Shape,
    recipe: Recipe,
    seed: int,
    device: torch.device,
    watch: Watch,
    deadline: float | None,
) -> SineNetwork:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = shape.network().to(device)
    values = torch.from_numpy(samples.astype(np.float32)).to(device)
    fit(network, values, recipe, watch, seed, deadline)
    return network


def _tensors(network: SineNetwork, bits: int) -> list[Tensor]:
    linears = list(network.linears())
    found: list[Any] = []
    for number, linear in enumerate(linears):
        hidden = 0 < number < len(linears) - 1
        matrix, bias = (p.detach().cpu().numpy() for p in (linear.weight, linear.bias))
        found += [Tensor.of(matrix, bits if hidden else None), Tensor.of(bias, None)]
    return found
