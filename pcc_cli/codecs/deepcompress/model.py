"""The trained networks of the deepcompress codec: transforms, and one or more entropy models."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from pcc_cli import weights
from pcc_cli.codecs.deepcompress import priors
from pcc_cli.codecs.deepcompress.latents import LOG_GAIN_LIMIT, UNIT
from pcc_cli.codecs.deepcompress.network import NetworkConfig, Shapes, is_logit
from pcc_cli.codecs.deepcompress.priors.base import Prior
from pcc_cli.errors import ModelError
from pcc_cli.exact.layers import IntegerLayers
from pcc_cli.exact.normalization import quantize_normalization
from pcc_cli.exact.quantize import IntegerLayer, quantize_layer
from pcc_cli.exact.storage import from_tensors, to_tensors
from pcc_cli.nn.layers import NORMALIZATION, FloatLayers

ARCHITECTURE = "deepcompress-network.1"
GAINS = {"gains/latents": "latents", "gains/hyper": "hyper"}  # tensor -> channels in the config


@dataclass(frozen=True)
class DeepCompressModel:
    """Networks ready to code on one device.

    id, sha256 : which weights; both go into the file
    latent_gains, hyper_gains : (qualities, channels) int32, log2 in units of 1/256
    """

    id: str
    sha256: str
    config: NetworkConfig
    prior: type[Prior]
    layers: IntegerLayers
    latent_gains: Tensor
    hyper_gains: Tensor


def shapes_of(config: NetworkConfig, entropy_models: Iterable[str]) -> Shapes:
    """(inputs, outputs) of the layers of the transforms and of `entropy_models`."""
    shapes = config.layers()
    for name in entropy_models:
        shapes |= priors.get(name).shapes(config)
    return shapes


def integer_layers(
    shapes: Iterable[str], layers: FloatLayers, activation: str
) -> dict[str, IntegerLayer]:
    """The integer twin of trained float layers. Raises ModelError when a bound does not hold."""
    return {
        name: quantize_normalization(*layers.weight_and_bias(name), activation)
        if name.endswith(NORMALIZATION)
        else quantize_layer(*layers.weight_and_bias(name), is_logit=is_logit(name))
        for name in shapes
    }


def export(
    config: NetworkConfig,
    entropy_models: list[str],
    layers: FloatLayers,
    latent_gains: Tensor,
    hyper_gains: Tensor,
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """(config.json, tensors) of a model folder; gains as log2."""
    about: dict[str, Any] = {
        "architecture": ARCHITECTURE,
        "network": asdict(config),
        "entropy_models": entropy_models,
    }
    tensors = to_tensors(
        integer_layers(shapes_of(config, entropy_models), layers, config.activation)
    )
    for name, gains in zip(GAINS, (latent_gains, hyper_gains), strict=True):
        limited = (gains.detach() * UNIT).round().clamp(-LOG_GAIN_LIMIT, LOG_GAIN_LIMIT)
        tensors[name] = limited.to(torch.int32).cpu()
    return about, tensors


@lru_cache(maxsize=2)
def load_model(
    model_id: str,
    sha256: str | None,
    entropy_model: str | None,
    device: torch.device,
    backend: str | None = None,
) -> DeepCompressModel:
    """The installed model `model_id` with one of its entropy models. Raises ModelError.

    sha256 : the digest that it must have, None for any
    entropy_model : None: the last one of the model's list
    backend : of `exact.layers`, None for the fastest exact one
    """
    found, config = weights.load_network(model_id, sha256, ARCHITECTURE, NetworkConfig)
    names = found.config.get("entropy_models")
    if not isinstance(names, list) or not names:
        raise ModelError(f"model '{model_id}' lists no entropy models in its description")
    name = entropy_model or names[-1]
    if name not in names:
        raise ModelError(f"model '{model_id}' has no entropy model '{name}', only {names}")
    layers = from_tensors(found.tensors, shapes_of(config, [name]))
    gains = [_gains(found, tensor, config, channels) for tensor, channels in GAINS.items()]
    return DeepCompressModel(
        model_id, found.sha256, config, priors.get(name),
        IntegerLayers(layers, device, backend), *(table.to(device) for table in gains),
    )  # fmt: skip


def _gains(found: weights.Model, name: str, config: NetworkConfig, channels: str) -> Tensor:
    table, wanted = found.tensors.get(name), (config.qualities, getattr(config, channels))
    if table is None or tuple(table.shape) != wanted or table.dtype != torch.int32:
        raise ModelError(f"model '{found.id}' has no gains {name} of shape {wanted}")
    if int(table.abs().max()) > LOG_GAIN_LIMIT:
        raise ModelError(f"model '{found.id}' has gains beyond their limit")
    return table
