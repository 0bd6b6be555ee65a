"""Models small enough for tests: the right shape, random weights, the same on every machine.

What a network has learned is no part of the contract; that it codes exactly is.
"""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import save_file

from pcc_cli.codecs.deepcompress import model as deepcompress
from pcc_cli.codecs.deepcompress import network as deepcompress_network
from pcc_cli.codecs.deepcompress import priors
from pcc_cli.codecs.necgs import model as necgs
from pcc_cli.codecs.necgs import network as necgs_network
from pcc_cli.codecs.occupancy import model as occupancy
from pcc_cli.codecs.occupancy import network as occupancy_network
from pcc_cli.nn.layers import FloatLayers

OCCUPANCY = "occupancy-tiny"
DEEPCOMPRESS = "deepcompress-tiny"
NECGS = "necgs-tiny"


def write(folder: Path) -> None:
    """Put every tiny model into `folder`, as PCC_MODELS wants it."""
    _write(folder / OCCUPANCY, *_occupancy())
    write_deepcompress(folder / DEEPCOMPRESS)
    _write(folder / NECGS, *_necgs())


def write_deepcompress(target: Path, **changed) -> None:
    """That of deepcompress alone, with other members of its configuration."""
    _write(target, *_deepcompress(changed))


def _occupancy():
    config = occupancy_network.NetworkConfig(channels=8, hidden=16, blocks=1)
    return occupancy.export(config, _layers(config.layers()))


def _deepcompress(changed):
    """All six entropy models."""
    config = deepcompress_network.NetworkConfig(filters=(8, 8, 8), latents=8, hyper=8, **changed)
    layers = _layers(deepcompress.shapes_of(config, priors.PRIORS))
    gains = torch.linspace(0, 3, config.qualities)[:, None].expand(-1, 8)
    return deepcompress.export(config, list(priors.PRIORS), layers, gains, gains)


def _necgs():
    plan = necgs_network.Plan(32, (6, 5, 4))
    return necgs.export(plan, necgs_network.initial(plan, torch.Generator().manual_seed(7)))


def _layers(shapes):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        return FloatLayers(shapes, frozenset())


def _write(target: Path, about, tensors) -> None:
    target.mkdir(parents=True)
    (target / "config.json").write_text(json.dumps(about), "utf-8")
    save_file(tensors, target / "weights.safetensors")
