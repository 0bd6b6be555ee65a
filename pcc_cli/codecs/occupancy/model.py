"""The trained network of the occupancy codec: written by training, loaded by the codec."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from pcc_cli import weights
from pcc_cli.codecs.occupancy.network import NetworkConfig
from pcc_cli.exact.layers import IntegerLayers
from pcc_cli.exact.quantize import IntegerLayer, quantize_layer
from pcc_cli.exact.storage import from_tensors, to_tensors
from pcc_cli.nn.layers import FloatLayers

ARCHITECTURE = "occupancy-network.1"


@dataclass(frozen=True)
class OccupancyModel:
    """A network ready to code on one device.

    id, sha256 : which weights; both go into the file
    """

    id: str
    sha256: str
    config: NetworkConfig
    layers: IntegerLayers


def integer_layers(config: NetworkConfig, layers: FloatLayers) -> dict[str, IntegerLayer]:
    """The integer twin of trained float layers. Raises ModelError when a bound does not hold."""
    return {
        name: quantize_layer(*layers.weight_and_bias(name), is_logit=name.endswith(".out"))
        for name in config.layers()
    }


def export(config: NetworkConfig, layers: FloatLayers) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """(config.json, tensors) of a model folder."""
    about: dict[str, Any] = {"architecture": ARCHITECTURE, "network": asdict(config)}
    return about, to_tensors(integer_layers(config, layers))


@lru_cache(maxsize=4)
def load_model(
    model_id: str, sha256: str | None, device: torch.device, backend: str | None = None
) -> OccupancyModel:
    """The installed model `model_id` on `device`. Raises ModelError.

    sha256 : the digest that it must have, None for any
    backend : of `exact.layers`, None for the fastest exact one
    """
    found, config = weights.load_network(model_id, sha256, ARCHITECTURE, NetworkConfig)
    layers = from_tensors(found.tensors, config.layers())
    return OccupancyModel(model_id, found.sha256, config, IntegerLayers(layers, device, backend))
