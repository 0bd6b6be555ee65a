"""Integer layers as named tensors, for safetensors files."""

from __future__ import annotations

import torch
from torch import Tensor

from pcc_cli.errors import ModelError
from pcc_cli.exact.quantize import IntegerLayer

PARTS = {
    "weight": torch.int8,
    "bias": torch.int32,
    "multiplier": torch.int32,
    "shift": torch.int32,
}


def to_tensors(layers: dict[str, IntegerLayer]) -> dict[str, Tensor]:
    """The parts of all layers, each under `<layer>/<part>`."""
    return {
        f"{name}/{part}": getattr(layer, part).contiguous().cpu()
        for name, layer in layers.items()
        for part in PARTS
    }


def from_tensors(
    tensors: dict[str, Tensor], shapes: dict[str, tuple[int, int]]
) -> dict[str, IntegerLayer]:
    """The layers of `shapes`, name -> (inputs, outputs). ModelError when one does not fit."""
    return {
        name: IntegerLayer(**{part: _part(tensors, name, part, shape) for part in PARTS})
        for name, shape in shapes.items()
    }


def _part(tensors: dict[str, Tensor], layer: str, part: str, shape: tuple[int, int]) -> Tensor:
    name, wanted = f"{layer}/{part}", shape if part == "weight" else shape[1:]
    if name not in tensors:
        raise ModelError(f"the weights lack {name}")
    tensor = tensors[name]
    if tuple(tensor.shape) != wanted or tensor.dtype != PARTS[part]:
        found = f"{tuple(tensor.shape)} {tensor.dtype}"
        raise ModelError(f"{name} is {found}, expected {wanted} {PARTS[part]}")
    return tensor
