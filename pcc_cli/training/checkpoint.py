"""Training state as one safetensors file: weights, optimiser moments, counters. Never pickle."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from pcc_cli.errors import InputError


def save(
    path: Path, model: nn.Module, optimizer: torch.optim.Optimizer, state: dict[str, Any]
) -> None:
    """Writes model, optimiser and the JSON `state`, replacing `path` only when complete."""
    tensors: dict[str, Tensor] = {}
    for name, parameter in model.named_parameters():
        tensors[f"model/{name}"] = parameter.detach().contiguous().cpu()
        for key, value in optimizer.state.get(parameter, {}).items():
            tensors[f"optimizer/{name}/{key}"] = torch.as_tensor(value).contiguous().cpu()
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    save_file(tensors, temporary, metadata={"state": json.dumps(state)})
    os.replace(temporary, path)


def load_weights(path: Path, model: nn.Module) -> dict[str, Any]:
    """Fills `model` from a checkpoint and returns its JSON state. Raises InputError."""
    tensors, state = _read(path)
    _fill_weights(path, tensors, model)
    return state


def load(path: Path, model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """Fills `model` and `optimizer` from a checkpoint, returns its JSON state. InputError."""
    tensors, state = _read(path)
    _fill_weights(path, tensors, model)
    for name, parameter in model.named_parameters():
        prefix = f"optimizer/{name}/"
        moments = {
            key.removeprefix(prefix): tensor
            for key, tensor in tensors.items()
            if key.startswith(prefix)
        }
        for key, moment in moments.items():
            if key != "step":
                moments[key] = _fitting(path, prefix + key, moment, parameter).to(parameter.device)
        if moments:
            optimizer.state[parameter] = moments
    return state


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            state = json.loads(file.metadata()["state"])
    except Exception as error:
        raise InputError(f"{path} is not a checkpoint: {error}") from error
    if not isinstance(state, dict):
        raise InputError(f"{path} is not a checkpoint: its state is no object")
    return tensors, state


def _fill_weights(path: Path, tensors: dict[str, Tensor], model: nn.Module) -> None:
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            key = f"model/{name}"
            parameter.copy_(_fitting(path, key, tensors.get(key), parameter))


def _fitting(path: Path, name: str, tensor: Tensor | None, like: Tensor) -> Tensor:
    """`tensor` if it has the shape of `like`."""
    if tensor is None or tensor.shape != like.shape:
        raise InputError(f"{path} is not a checkpoint of this network: {name} does not fit")
    return tensor
