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
    try:
        with safe_open(path, framework="pt") as file:
            with torch.no_grad():
                for name, parameter in model.named_parameters():
                    parameter.copy_(file.get_tensor(f"model/{name}"))
            state: dict[str, Any] = json.loads(file.metadata()["state"])
    except Exception as error:
        raise InputError(f"{path} is not a checkpoint of this network: {error}") from error
    return state


def load(path: Path, model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """Fills `model` and `optimizer` from a checkpoint and returns its JSON state."""
    state = load_weights(path, model)
    with safe_open(path, framework="pt") as file:
        names = set(file.keys())
        for name, parameter in model.named_parameters():
            prefix = f"optimizer/{name}/"
            moments = {
                key.removeprefix(prefix): file.get_tensor(key)
                for key in names
                if key.startswith(prefix)
            }
            if moments:
                optimizer.state[parameter] = {
                    key: value if key == "step" else value.to(parameter.device)
                    for key, value in moments.items()
                }
    return state
