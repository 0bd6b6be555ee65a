"""The transforms of the deepcompress codec: what training, encoder and decoder all run.

The voxels of a cloud lie at level d of its octree. The cells of level d - 3, 8 voxels wide, carry
the latents; which of them are occupied is known to both sides. Convolutions run over occupied
cells only: the neighbours of a cell are found by the octree's tables (`tree.neighbours`), so
empty space costs neither bits nor time, and blocks have no seams.

    analysis                                     synthesis
    occupancy of children (8)   level d - 1      latents (C), quality
      | conv 3^3 (of 6^3 voxels)                   | conv 3^3, blocks           level d - 3
    f1 + blocks                                    | -> log odds of 8 children, kept or not
      | join 2^3, stride 2      level d - 2        | split 2^3, blocks          level d - 2
    f2 + blocks                                    | -> log odds of 8 children
      | join 2^3, stride 2      level d - 3        | split 2^3, blocks          level d - 1
    f3 + blocks -> latents (C)                     | -> log odds of 8 children, the voxels

The layers are handed in: float ones to train (`nn.layers`), integer ones to code
(`exact.layers`). Values between layers are whole numbers 0 .. 127 in units of 1/16 in both.

Kin: DeepCompress (Killea et al., 2021) for blocks, transforms and entropy models; PCGCv2 (Wang
et al., DCC 2021) for the pruned, sparse form of them.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pcc_cli.errors import InputError
from pcc_cli.nn.layers import NORMALIZATION, Layers
from pcc_cli.nn.neighbourhood import Neighbourhood
from pcc_cli.tree.neighbours import Level

STAGES = 3  # of the transforms, each with stride 2
EXTRA = 8  # inputs of the synthesis beside the latents: the quality, and seven zeros
LATENT_ZERO = 64  # the activation of a latent that is 0
_OCCUPIED = 32  # the activation of a child that is occupied
Shapes = dict[str, tuple[int, int]]


@dataclass(frozen=True)
class NetworkConfig:
    """The size of the transforms."""

    filters: tuple[int, int, int] = (32, 48, 64)  # channels after 1, 2, 3 stages of the analysis
    latents: int = 16  # C, channels of the latents; a multiple of 8
    hyper: int = 8  # channels of the hyper-latents; a multiple of 8
    blocks: int = 1  # residual blocks after each stage
    conv_type: str = "full"  # or "separable": 3 x 1 x 1, then 1 x 3 x 3
    activation: str = "relu"  # or "gdn", "cenic_gdn": then normalization after each stage, too
    qualities: int = 6  # trained gain vectors; those between are interpolated

    def __post_init__(self) -> None:
        object.__setattr__(self, "filters", tuple(self.filters))
        sizes = (*self.filters, self.latents, self.hyper)
        if len(self.filters) != STAGES or any(
            type(size) is not int or size < 8 or size % 8 for size in sizes
        ):
            raise InputError(f"channels must be multiples of 8, three of them filters: {sizes}")
        if self.conv_type not in CONVOLUTIONS:
            raise InputError(f"conv_type is one of {', '.join(CONVOLUTIONS)}: {self.conv_type}")
        if self.activation not in ACTIVATIONS:
            raise InputError(f"activation is one of {', '.join(ACTIVATIONS)}: {self.activation}")
        if self.blocks < 0 or self.qualities < 1:
            raise InputError("a network has 0 blocks or more and a quality or more")

    def layers(self) -> Shapes:
        """(inputs, outputs) of each layer of analysis, synthesis and hyper-analysis."""
        f1, f2, f3 = self.filters
        shapes: Shapes = {}
        shapes |= self._convolution("a1.conv", 8, f1) | self._blocks("a1", f1)
        shapes |= {"a2.join": (8 * f1, f2)} | self._blocks("a2", f2)
        shapes |= {"a3.join": (8 * f2, f3)} | self._blocks("a3", f3)
        shapes |= {"a.out": (f3 + 8 * 8 * 8 + 8 * 8, self.latents)}
        shapes |= {"h.join": (8 * f3, f3), "h.hidden": (f3, f3), "h.out": (f3, self.hyper)}
        shapes |= self._convolution("s3.conv", self.latents + EXTRA, f3) | self._blocks("s3", f3)
        shapes |= {"s2.split": (f3, 8 * f2)} | self._blocks("s2", f2)
        shapes |= {"s1.split": (f2, 8 * f1)} | self._blocks("s1", f1)
        for stage, width in ((3, f3), (2, f2), (1, f1)):
            shapes |= {f"s{stage}.hidden": (width, width), f"s{stage}.out": (width, 8)}
            if self.activation != "relu":
                shapes |= {f"{part}{stage}{NORMALIZATION}": (width, width) for part in "as"}
        return shapes

    def _convolution(self, name: str, inputs: int, outputs: int) -> Shapes:
        if self.conv_type == "full":
            return {name: (27 * inputs, outputs)}
        return {f"{name}.line": (3 * inputs, outputs), f"{name}.plane": (9 * outputs, outputs)}

    def _blocks(self, stage: str, width: int) -> Shapes:
        shapes: Shapes = {}
        for block in range(self.blocks):
            shapes |= self._convolution(f"{stage}.block{block}.first", width, width)
            shapes |= self._convolution(f"{stage}.block{block}.second", width, width)
        return shapes


CONVOLUTIONS = ("full", "separable")
ACTIVATIONS = ("relu", "gdn", "cenic_gdn")
_LINE, _PLANE = slice(4, 23, 9), slice(9, 18)  # of the 27 neighbours: along x; at the same x


def is_logit(name: str) -> bool:
    """Whether the values of layer `name` leave the network."""
    return name.endswith(".out")


def is_residual(name: str) -> bool:
    """Whether layer `name` is the last one of a residual block."""
    return ".second" in name and not name.endswith(".line")


class Transform:
    """The parts that analysis and synthesis have in common."""

    def __init__(self, config: NetworkConfig, layers: Layers) -> None:
        self.config, self.layers = config, layers

    def convolution(self, name: str, x: Tensor, level: Level, skip: Tensor | None = None) -> Tensor:
        """3 x 3 x 3 over the occupied cells of `level`."""
        if self.config.conv_type == "full":
            return self.layers.apply_layer(name, x, _near(level.table), skip)
        line, plane = level.table[:, _LINE], level.table[:, _PLANE]
        x = self.layers.apply_layer(f"{name}.line", x, _near(line))
        return self.layers.apply_layer(f"{name}.plane", x, _near(plane), skip)

    def blocks(self, stage: str, x: Tensor, level: Level) -> Tensor:
        """The rest of a stage: normalization, inverse in the synthesis, and residual blocks."""
        kind = self.config.activation
        if kind != "relu":
            inverse = stage.startswith("s")
            x = self.layers.normalize(stage + NORMALIZATION, x, kind, inverse)
        for block in range(self.config.blocks):
            inner = self.convolution(f"{stage}.block{block}.first", x, level)
            x = self.convolution(f"{stage}.block{block}.second", inner, level, skip=x)
        return x


def _near(table: Tensor) -> Neighbourhood:
    return Neighbourhood(table.contiguous(), None, features=True)


def joined(x: Tensor, level: Level, parents: int) -> Tensor:
    """(parents, 8 c): the features (n, c) of the cells of `level` side by side in their parents."""
    slots = x.new_zeros(parents * 8, x.shape[1])
    return slots.index_copy(0, level.parents * 8 + level.octants, x).view(parents, -1)


def split(x: Tensor, level: Level) -> Tensor:
    """(n, c): for each cell of `level` its part of the features (parents, 8 c)."""
    return x.view(len(x) * 8, -1).index_select(0, level.parents * 8 + level.octants)


def bits_of(codes: Tensor) -> Tensor:
    """(n, 8) 0 or 1: the bits of `codes` (n,) uint8."""
    return (codes[:, None] >> torch.arange(8, dtype=torch.uint8, device=codes.device)) & 1


def codes_of(bits: Tensor) -> Tensor:
    """(n,) uint8: the inverse of `bits_of`."""
    weights = 1 << torch.arange(8, device=bits.device)
    return (bits.to(torch.int64) * weights).sum(1).to(torch.uint8)


class Analysis(Transform):
    """From the occupancy of the finest level to latents and hyper-latents."""

    def latents(self, levels: list[Level], codes: Tensor) -> tuple[Tensor, Tensor]:
        """(latents (n, C), features (n, f3)) of the cells of levels[0].

        levels : of depth d - 3, d - 2, d - 1
        codes : (m,) uint8 occupancy of the cells of the last
        """
        coarse, middle, fine = levels
        bits = self.layers.constant(bits_of(codes).long() * _OCCUPIED)
        x = self.blocks("a1", self.convolution("a1.conv", bits, fine), fine)
        x = self.layers.apply_layer("a2.join", joined(x, fine, len(middle)))
        x = self.blocks("a2", x, middle)
        x = self.layers.apply_layer("a3.join", joined(x, middle, len(coarse)))
        x = self.blocks("a3", x, coarse)
        # Latents see the occupancy of their cell as it is, too: 512 voxels, 64 cells of 2^3.
        pattern = joined(bits, fine, len(middle))
        exists = pattern.view(len(middle), 8, 8).amax(2)
        direct = [joined(part, middle, len(coarse)) for part in (pattern, exists)]
        return self.layers.logits("a.out", torch.cat([x, *direct], dim=1)), x

    def hyper_latents(self, x: Tensor, level: Level, parents: int) -> Tensor:
        """(parents, hyper) from the features (n, f3) of `level`."""
        x = self.layers.apply_layer("h.join", joined(x, level, parents))
        return self.layers.logits("h.out", self.layers.apply_layer("h.hidden", x))


class Synthesis(Transform):
    """From latents to the occupancy of three levels, one after the other.

    `log_odds` of a level's children, then `descend` to those that are kept, and so on.
    """

    def __init__(self, config: NetworkConfig, layers: Layers) -> None:
        super().__init__(config, layers)
        self.stage = STAGES

    def enter(self, latents: Tensor, level: Level) -> None:
        """Begins with `latents` (n, C + EXTRA), activations, at `level`."""
        self.level = level
        x = self.convolution("s3.conv", latents, level)
        self.features = self.blocks("s3", x, level)

    def log_odds(self) -> Tensor:
        """(n, 8) that each child is occupied."""
        x = self.layers.apply_layer(f"s{self.stage}.hidden", self.features)
        return self.layers.logits(f"s{self.stage}.out", x)

    def descend(self, level: Level) -> None:
        """Goes on at the next `level`, whose cells are the children that were kept."""
        self.stage -= 1
        x = split(self.layers.apply_layer(f"s{self.stage}.split", self.features), level)
        self.level, self.features = level, self.blocks(f"s{self.stage}", x, level)
