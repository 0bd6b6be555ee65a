"""What an entropy model is: it predicts mean and scale of latents, group after group.

Latents are coded in steps. Each step names cells (by their place in their parent, so no two of
them are neighbours across a face) and channels; before it, everything of the steps before is
known. So every model is causal by construction: it sees `known`, in which the rest is 0.

A prediction has a mean in units of the latents and a scale as log2; training takes them as
floats, the coder as integers in units of 1/256. `codecs.deepcompress.scales` makes tables of them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from pcc_cli.codecs.deepcompress.network import EXTRA, NetworkConfig, Shapes, split
from pcc_cli.nn.layers import Layers
from pcc_cli.nn.neighbourhood import Neighbourhood
from pcc_cli.tree.neighbours import Level


@dataclass(frozen=True)
class Step:
    """octants : which cells, as places in their parents; channels : which latents."""

    octants: tuple[int, ...]
    channels: slice

    def rows(self, level: Level) -> Tensor:
        """(m,) int64, the cells of this step."""
        if len(self.octants) == 8:
            return torch.arange(len(level), device=level.octants.device)
        chosen = torch.zeros(8, dtype=torch.bool, device=level.octants.device)
        chosen[list(self.octants)] = True
        return chosen[level.octants].nonzero().squeeze(1)


ALL_CELLS = (tuple(range(8)),)
# Octants in an order in which later ones have as many known neighbours as can be: opposite
# corners first, then the rest.
ONE_BY_ONE = ((0,), (7,), (3,), (4,), (5,), (2,), (6,), (1,))


class Prior(ABC):
    """An entropy model with its inputs: the hyper-latents, and what is known of the latents.

    Subclasses say which phases of cells and how many groups of channels there are, whether there
    are hyper-latents, and how they predict.
    """

    name: ClassVar[str]
    has_hyper: ClassVar[bool] = True
    phases: ClassVar[tuple[tuple[int, ...], ...]] = ALL_CELLS
    channel_groups: ClassVar[int] = 1

    def __init__(self, config: NetworkConfig, layers: Layers, level: Level, about: Tensor) -> None:
        """about : (EXTRA,) activations, the quality"""
        self.config, self.layers, self.level = config, layers, level
        self.about = about.repeat(len(level), 1)

    @classmethod
    @abstractmethod
    def own_shapes(cls, config: NetworkConfig) -> Shapes:
        """(inputs, outputs) of the layers behind the hyper-synthesis."""

    @classmethod
    def shapes(cls, config: NetworkConfig) -> Shapes:
        """(inputs, outputs) of all layers of this model, whose names begin with its own."""
        width = config.filters[2]
        shapes = cls.own_shapes(config)
        if cls.has_hyper:
            shapes |= {
                "hyper.out": (EXTRA, 2 * config.hyper),
                "enter": (27 * (config.hyper + EXTRA), width),
                "split": (width, 8 * width),
                "side": (27 * width, width),
            }
        return {f"{cls.name}.{layer}": shape for layer, shape in shapes.items()}

    def hyper_prediction(self) -> Tensor:
        """(1, 2 h) means and scales of the hyper-latents, the same for all cells."""
        return self.logits("hyper.out", self.about[:1])

    def enter(self, hyper: Tensor, parents: Level) -> None:
        """Takes `hyper` (p, h), activations, of the cells of `parents`: the hyper-synthesis."""
        x = torch.cat([hyper, self.about[:1].expand(len(parents), EXTRA)], dim=1)
        x = self.apply("enter", x, near(parents))
        x = split(self.apply("split", x), self.level)
        self.side = self.apply("side", x, near(self.level))

    def steps(self) -> list[Step]:
        """All steps, in order."""
        width = self.config.latents // self.channel_groups
        return [
            Step(phase, slice(group * width, (group + 1) * width))
            for group in range(self.channel_groups)
            for phase in self.phases
        ]

    @abstractmethod
    def predict(self, step: int, known: Tensor) -> Tensor:
        """(n, 2 c) means and scales of the channels of `step`, for all cells.

        known : (n, C) activations; 0 where a latent is not known yet
        """

    def apply(self, layer: str, x: Tensor, near: Neighbourhood | None = None) -> Tensor:
        return self.layers.apply_layer(f"{self.name}.{layer}", x, near)

    def logits(self, layer: str, x: Tensor) -> Tensor:
        return self.layers.logits(f"{self.name}.{layer}", x)


def near(level: Level) -> Neighbourhood:
    """The cells of `level` and their 26 neighbours as inputs."""
    return Neighbourhood(level.table, None, features=True)
