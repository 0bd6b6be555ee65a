"""How the occupancy network is trained: the mean bits per coded bit decision over whole trees."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from pcc_cli.codecs.occupancy.model import export
from pcc_cli.codecs.occupancy.network import STAGES, LevelStep, NetworkConfig
from pcc_cli.geometry import Array
from pcc_cli.nn.layers import FloatLayers
from pcc_cli.training.recipes.augment import augmented
from pcc_cli.training.recipes.base import Cloud, Recipe
from pcc_cli.tree import neighbours, octree
from pcc_cli.tree.morton import depth_of, morton_order

# How often each kind of cloud is drawn. Dense surfaces count most: there the network decides,
# while on sparse scans much is noise that no network predicts.
SHARES = {"mesh": 0.42, "capture": 0.15, "lidar": 0.25, "scan": 0.18}


@dataclass(frozen=True)
class OccupancyRecipe:
    """Settings of the data side."""

    nodes: int = 32_000  # tree nodes of one training cloud; larger clouds are cropped
    shift_bits: int = 4  # clouds are moved by up to 2**shift_bits - 1 voxels on each axis


def residual_layers(config: NetworkConfig) -> frozenset[str]:
    """Names of the layers that add to their skip input."""
    names = [f"block{block}.second" for block in range(config.blocks)]
    return frozenset(names + [name for name in config.layers() if name.startswith("refresh")])


def make_layers(config: NetworkConfig) -> FloatLayers:
    """Untrained float layers of the network of `config`."""
    return FloatLayers(config.layers(), residual_layers(config))


def tree_bits(
    config: NetworkConfig, layers: FloatLayers, tree: octree.Octree, device: torch.device
) -> list[tuple[Tensor, int]]:
    """Per level: (bits, a scalar with gradient; number of nodes)."""
    level = neighbours.root(device)
    state = torch.zeros(1, config.channels, dtype=layers.dtype, device=device)
    parent_codes = torch.tensor([255], dtype=torch.uint8, device=device)
    bits = []
    for depth, level_codes in enumerate(tree.codes):
        codes = torch.from_numpy(level_codes).to(device)
        step = LevelStep(config, layers, level, state, parent_codes)
        bits.append((_level_bits(step, codes), len(codes)))
        if depth + 1 < tree.depth:
            state = step.state(codes)
            level, parent_codes = neighbours.children(level, codes), codes
    return bits


def _level_bits(step: LevelStep, codes: Tensor) -> Tensor:
    total = torch.zeros((), device=codes.device)
    for stage in range(STAGES):
        target = ((codes >> stage) & 1).float()
        loss = functional.binary_cross_entropy_with_logits(
            step.predict(stage, codes), target, reduction="none"
        )
        if stage == STAGES - 1:
            # A node has a child: the last bit is known when all others are 0, and is not coded.
            loss = loss * ((codes & 127) != 0)
        total = total + loss.sum()
    return total / float(np.log(2))


def _chances(samples: Sequence[Cloud]) -> Array:
    """(len(samples),) how often each is drawn, so that the domains have their SHARES."""
    domains = [sample.domain for sample in samples]
    weights = np.array([SHARES.get(domain, 0.1) / domains.count(domain) for domain in domains])
    chances: Array = weights / weights.sum()
    return chances


class OccupancyTask:
    """The parts that `training.loop` needs: draw, loss, evaluate."""

    def __init__(
        self,
        config: NetworkConfig,
        recipe: OccupancyRecipe,
        train: Sequence[Cloud],
        dev: Sequence[Cloud],
        device: torch.device,
    ) -> None:
        self.config, self.recipe, self.device = config, recipe, device
        self.train, self.dev = train, dev
        self.chances = _chances(train)
        self.step = 0
        self.layers = make_layers(config).to(device)

    def loss(self, rng: np.random.Generator) -> tuple[Tensor, dict[str, float]]:
        """Bits per tree node of one random training cloud."""
        sample = self.train[int(rng.choice(len(self.train), p=self.chances))]
        voxels = augmented(sample.voxels(), self.recipe.nodes, self.recipe.shift_bits, rng)
        tree = octree.build(voxels, max(depth_of(voxels), 1))
        bits = tree_bits(self.config, self.layers, tree, self.device)
        total = torch.stack([level for level, _ in bits]).sum()
        nodes = sum(count for _, count in bits)
        return total / nodes, {"bpp": float(total.detach()) / len(voxels), "nodes": nodes}

    def export(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """(config.json, tensors) of the model as it is now."""
        return export(self.config, self.layers)

    @torch.no_grad()
    def evaluate(self) -> dict[str, float]:
        """Bits per voxel of every dev cloud, by the float network, before calibration."""
        scores = {}
        for sample in self.dev:
            voxels = sample.voxels()
            voxels = voxels[morton_order(voxels)]
            tree = octree.build(voxels, max(depth_of(voxels), 1))
            bits = tree_bits(self.config, self.layers, tree, self.device)
            scores[sample.name] = sum(float(b) for b, _ in bits) / len(voxels)
        return scores


RECIPE = Recipe(OccupancyRecipe, NetworkConfig, OccupancyTask)
