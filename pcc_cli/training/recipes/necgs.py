"""How the decoder that sets of meshes start from is trained: as an auto-decoder of many meshes.

The loss is that of a fit of a set, the features are rounded as in its files, weights are not: a
model has enough bits for them. Coarse grids come first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from pcc_cli.codecs.necgs import band as bands
from pcc_cli.codecs.necgs import fit, network
from pcc_cli.codecs.necgs.example import Example
from pcc_cli.codecs.necgs.fit import Fit
from pcc_cli.codecs.necgs.model import export
from pcc_cli.codecs.necgs.network import FEATURES, NODES, Decoder, Plan
from pcc_cli.datasets import tensors
from pcc_cli.nn.quantizers import round_through
from pcc_cli.training.recipes.base import Recipe

SCORE_STEPS = 100  # in which the features of a mesh that is scored are fitted


@dataclass(frozen=True)
class NecgsRecipe:
    """Settings of the data side."""

    tensor_steps: int = 100  # in which the tensor of a mesh is fitted
    coarse_steps: int = 600  # before which the last grid is not looked at
    feature_rate: float = 2.0  # times the rate of weights


@dataclass(frozen=True)
class NecgsNetwork:
    """As `network.Plan`."""

    side: int = 64
    channels: tuple[int, ...] = (24, 24, 18, 12)
    taps: int = 8

    def plan(self) -> Plan:
        return Plan(self.side, self.channels, self.taps)


class Layers(nn.Module):
    """The weights of the decoder, and the features of each mesh."""

    quantized = False

    def __init__(self, plan: Plan, meshes: int, feature_rate: float) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(torch.initial_seed())
        self.weights = nn.ParameterDict(
            {_key(name): nn.Parameter(w) for name, w in network.initial(plan, generator).items()}
        )
        spread = fit.FEATURE_START
        self.features = nn.ParameterList(
            nn.Parameter(torch.randn(NODES, FEATURES, generator=generator) * spread)
            for _ in range(meshes)
        )
        for parameter in self.features:
            parameter.rate_factor = feature_rate
        self.names = list(plan.shapes())

    def named(self) -> dict[str, Tensor]:
        """The weights by the names of the plan."""
        return {name: self.weights[_key(name)] for name in self.names}


def _key(name: str) -> str:
    return name.replace(".", "_")  # a module has no parameters with a dot in the name


class NecgsTask:
    """The parts that `training.loop` needs: draw, loss, evaluate."""

    def __init__(
        self,
        config: NecgsNetwork,
        recipe: NecgsRecipe,
        train: Sequence[tensors.Tensor],
        dev: Sequence[tensors.Tensor],
        device: torch.device,
    ) -> None:
        self.plan, self.recipe, self.dev, self.device = config.plan(), recipe, dev, device
        self.examples = [Example.of(one.field, one.values, device) for one in train]
        self.step = 0
        self.layers = Layers(self.plan, len(train), recipe.feature_rate).to(device)

    def loss(self, rng: np.random.Generator) -> tuple[Tensor, dict[str, float]]:
        """The loss of one random mesh."""
        row = int(rng.integers(len(self.examples)))
        generator = torch.Generator().manual_seed(int(rng.integers(1 << 31)))
        features = self.layers.features[row]
        rounded = round_through(features / fit.FEATURE_STEP) * fit.FEATURE_STEP
        decoder = Decoder(self.plan, self.layers.named(), fit.PRODUCTS)
        loss, error = self.examples[row].loss(decoder, rounded, self._until(), generator)
        return loss + fit.SPARSE * rounded.abs().mean(), {"error": float(error)}

    def _until(self) -> int:
        """The side of the grid where the network ends now."""
        done = self.step / max(self.recipe.coarse_steps, 1)
        sides = [side for side in bands.sides(self.plan.side) if side >= bands.DENSE]
        ends = ((fit.NARROWER ** (len(sides) - 1 - n), side) for n, side in enumerate(sides))
        return next((side for end, side in ends if done < end), self.plan.side)

    def export(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """(config.json, tensors) of the model as it is now."""
        return export(self.plan, self.layers.named())

    def evaluate(self) -> dict[str, float]:
        """Of each dev mesh, the error near the surface with features that are fitted to it."""
        weights = {name: weight.detach() for name, weight in self.layers.named().items()}
        return {one.name: self._score(one, weights) for one in self.dev}

    def _score(self, one: tensors.Tensor, weights: dict[str, Tensor]) -> float:
        example = Example.of(one.field, one.values, self.device)
        found = Fit(self.plan, [example], 1.0, 0, self.device, fixed=weights)
        errors = [0.0]
        found.run(0.0, 1.0, SCORE_STEPS, None, lambda done, error: errors.append(error))
        return errors[-1]


def _pack(dirs: list[Path], out: Path, settings: Any, progress: Any, whole: bool) -> None:
    """Of the settings of a run; `whole` takes all meshes."""
    samples = 1 << 30 if whole else settings.data.samples
    steps = settings.recipe.tensor_steps
    tensors.pack(
        dirs, out, settings.network.side, steps,
        samples=samples, seed=settings.data.seed, progress=progress,
    )  # fmt: skip


RECIPE = Recipe(NecgsRecipe, NecgsNetwork, NecgsTask, _pack, tensors.load_pack)
