"""Integer layers as named tensors, for safetensors files."""

from __future__ import annotations

from torch import Tensor

from pcc_cli.errors import ModelError
from pcc_cli.exact.quantize import IntegerLayer

PARTS = ("weight", "bias", "multiplier", "shift")


def to_tensors(layers: dict[str, IntegerLayer]) -> dict[str, Tensor]:
    """ "<layer>/<part>" -> tensor."""
    return {
        f"{name}/{part}": getattr(layer, part).contiguous().cpu()
        for name, layer in layers.items()
        for part in PARTS
    }


def from_tensors(
    tensors: dict[str, Tensor], shapes: dict[str, tuple[int, int]]
) -> dict[str, IntegerLayer]:
    """The layers of `shapes`, name -> (inputs, outputs). ModelError when one does not fit."""
    layers = {}
    for name, shape in shapes.items():
        parts = {part: tensors.get(f"{name}/{part}") for part in PARTS}
        missing = [part for part, tensor in parts.items() if tensor is None]
        if missing:
            raise ModelError(f"the weights lack {name}/{missing[0]}")
        layer = IntegerLayer(**parts)  # type: ignore[arg-type]
        if tuple(layer.weight.shape) != shape or layer.bias.shape != shape[1:]:
            raise ModelError(f"{name} has shape {tuple(layer.weight.shape)}, expected {shape}")
        layers[name] = layer
    return layers
