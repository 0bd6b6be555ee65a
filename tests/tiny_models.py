"""Models small enough for tests: the right shape, random weights, the same on every machine.

What a network has learned is no part of the contract; that it codes exactly is.
"""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import save_file

from pcc_cli.codecs.occupancy.model import export
from pcc_cli.codecs.occupancy.network import NetworkConfig
from pcc_cli.nn.layers import FloatLayers

OCCUPANCY = "occupancy-tiny"


def write(folder: Path) -> None:
    """Put every tiny model into `folder`, as PCC_MODELS wants it."""
    config = NetworkConfig(channels=8, hidden=16, blocks=1)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        layers = FloatLayers(config.layers(), frozenset())
    about, tensors = export(config, layers)
    target = folder / OCCUPANCY
    target.mkdir(parents=True)
    (target / "config.json").write_text(json.dumps(about), "utf-8")
    save_file(tensors, target / "weights.safetensors")
