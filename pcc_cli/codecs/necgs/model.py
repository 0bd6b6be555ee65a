"""A trained decoder, from which the network of a set starts and to which it is coded.

A set on another grid shares with it what has the same name and shape: the stages of the coarse
grids.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pcc_cli import weights
from pcc_cli.codecs.necgs.network import Plan
from pcc_cli.entropy.bells import REACH
from pcc_cli.entropy.steps import code_of, step_of
from pcc_cli.errors import ModelError
from pcc_cli.geometry import Array

ARCHITECTURE = "necgs-decoder.1"
CODES = "codes"  # tensor with the codes of the steps of all others, in the order of the plan


@dataclass(frozen=True)
class NecgsModel:
    """id, sha256 : which weights; both go into the file
    values : name -> (rows, columns) float64
    """

    id: str
    sha256: str
    plan: Plan
    values: dict[str, Array]

    def known(self, plan: Plan) -> dict[str, Array]:
        """What a network of `plan` has in common with this one."""
        shapes = plan.shapes()
        return {
            name: values for name, values in self.values.items() if shapes.get(name) == values.shape
        }


def export(plan: Plan, found: dict[str, Tensor]) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """(config.json, tensors) of a model folder; found : name -> (rows, columns) of `plan`"""
    codes, tensors = [], {}
    for name in plan.shapes():
        values = found[name].detach().double().cpu().numpy()
        code = code_of(max(float(np.abs(values).max()), 1e-6) / (0.95 * REACH))
        whole = np.clip(np.rint(values / step_of(code)), -REACH, REACH).astype(np.int8)
        codes.append(code)
        tensors[name] = torch.from_numpy(whole)
    tensors[CODES] = torch.tensor(codes, dtype=torch.uint8)
    return {"architecture": ARCHITECTURE, "network": asdict(plan)}, tensors


@lru_cache(maxsize=4)
def load_model(model_id: str, sha256: str | None) -> NecgsModel:
    """The installed model `model_id`. Raises ModelError.

    sha256 : the digest that it must have, None for any
    """
    found, plan = weights.load_network(model_id, sha256, ARCHITECTURE, _plan)
    shapes, tensors = plan.shapes(), found.tensors
    fits = {name: tuple(tensor.shape) for name, tensor in tensors.items()} == {
        **shapes, CODES: (len(shapes),),
    }  # fmt: skip
    if not fits or any(tensors[name].dtype != torch.int8 for name in shapes):
        raise ModelError(f"model '{model_id}' lacks weights, or has too many")
    steps = {name: step_of(int(code)) for name, code in zip(shapes, tensors[CODES], strict=True)}
    values = {name: tensors[name].numpy().astype(np.float64) * steps[name] for name in shapes}
    return NecgsModel(model_id, found.sha256, plan, values)


def _plan(side: int, channels: list[int], taps: int) -> Plan:
    return Plan(side, tuple(channels), taps)
