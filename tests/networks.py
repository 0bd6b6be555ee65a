"""Small untrained occupancy networks for tests, and their run over a whole tree."""

from __future__ import annotations

from collections.abc import Iterator

import torch
import trees
from torch import Tensor

from pcc_cli.codecs.occupancy.model import integer_layers
from pcc_cli.codecs.occupancy.network import STAGES, LevelStep, NetworkConfig
from pcc_cli.exact.layers import IntegerLayers
from pcc_cli.exact.quantize import IntegerLayer
from pcc_cli.nn.layers import FloatLayers
from pcc_cli.training.recipes.occupancy import residual_layers
from pcc_cli.tree.octree import Octree

CONFIG = NetworkConfig(channels=16, hidden=24, blocks=1)


def floats(seed: int = 12, config: NetworkConfig = CONFIG) -> FloatLayers:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        layers = FloatLayers(config.layers(), residual_layers(config))
        with torch.no_grad():
            for bias in layers.biases.values():
                bias.uniform_(-0.5, 0.5)
    return layers


def twins(seed: int = 12, config: NetworkConfig = CONFIG) -> dict[str, IntegerLayer]:
    return integer_layers(config, floats(seed, config))


def steps(
    layers: FloatLayers | IntegerLayers,
    tree: Octree,
    config: NetworkConfig = CONFIG,
    device: str = "cpu",
) -> Iterator[tuple[list[Tensor], Tensor]]:
    """(logits of each stage, state for the children) of every level of `tree`."""
    kind = torch.uint8 if isinstance(layers, IntegerLayers) else torch.bfloat16
    state = torch.zeros(1, config.channels, dtype=kind, device=device)
    for level, codes, parent_codes in trees.levels_of(tree, device):
        with torch.no_grad():  # not around the yield: that would switch gradients off for others
            step = LevelStep(config, layers, level, state, parent_codes)
            logits = [step.predict(stage, codes) for stage in range(STAGES)]
            state = step.state(codes)
        yield logits, state
