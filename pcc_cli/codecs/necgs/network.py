"""The decoder that all meshes of a set share: features of a mesh to its TSDF-Def tensor.

    features (4^3, 16) + base (4^3, 16)
      -> [convolution to 8 x channels -> pixel shuffle: twice the side -> GELU]   4^3 .. K^3
      -> convolution 3^3 to 4: truncated signed distance, and a shift of the node, x, y, z

From side 16 on, one more output of each node, its distance, says which nodes have children: only
those near the surface. `base` is what the features of the set have in common.

A convolution has the 27 taps of the paper, or 8: each child sees the nodes next to it alone, which
are those of a transposed convolution of 4^3 with stride 2.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import embedding_bag, gelu

from pcc_cli.codecs.necgs import band as bands
from pcc_cli.codecs.necgs.band import AROUND
from pcc_cli.geometry import Array
from pcc_cli.levelset.marching import CORNERS

FEATURES = 16  # channels of the features
NODES = bands.FIRST**3
OUTPUTS = 4
TAPS = (8, 27)
BASE = 0.5  # deviation of the base at first
GAIN, OUT = 2.0, 0.3  # of stages, and of all other matrices: variance times inputs


@dataclass(frozen=True)
class Plan:
    """What is known of a network before its numbers.

    side : K, nodes along an axis of the last grid
    channels : behind each stage
    taps : of the convolutions of stages, 8 or 27
    """

    side: int
    channels: tuple[int, ...]
    taps: int = 8

    def shapes(self) -> dict[str, tuple[int, int]]:
        """Name -> (rows, columns) of all matrices; an offset has one row."""
        found = {"base": (NODES, FEATURES)}
        inputs = FEATURES
        for side, outputs in zip(bands.sides(self.side), self.channels, strict=True):
            if side >= bands.DENSE:
                found |= {f"near{side}": (inputs, 1), f"near{side}.offset": (1, 1)}
            found[f"stage{side}"] = (self.taps * inputs, 8 * outputs)
            found[f"stage{side}.offset"] = (1, 8 * outputs)
            inputs = outputs
        return found | {"last": (27 * inputs, OUTPUTS), "last.offset": (1, OUTPUTS)}

    @property
    def numbers(self) -> int:
        return sum(math.prod(shape) for shape in self.shapes().values())

    def inputs(self, name: str) -> int:
        """Of each output of the matrix `name`, that count in a stage."""
        return self.shapes()[name][0]


Weights = dict[str, Tensor]


def initial(plan: Plan, generator: torch.Generator) -> Weights:
    """Random weights; offsets are 0."""
    found = {}
    for name, shape in plan.shapes().items():
        if name == "base":
            spread = BASE
        elif name.endswith(".offset"):
            spread = 0.0
        else:
            spread = ((GAIN if name.startswith("stage") else OUT) / shape[0]) ** 0.5
        found[name] = torch.randn(shape, generator=generator) * spread
    return found


class Decoder:
    """The network with its weights ready to be used on any number of meshes.

    dtype : of the products of convolutions; decoders of files take float32
    """

    def __init__(self, plan: Plan, weights: Weights, dtype: torch.dtype = torch.float32) -> None:
        self._weights, self._dtype = weights, dtype
        self._stages = {
            side: _all_taps(weights[f"stage{side}"], plan.taps).to(dtype)
            for side in bands.sides(plan.side)
        }
        self._last = weights["last"].to(dtype)

    def start(self, features: Tensor) -> Tensor:
        """(NODES, FEATURES) inputs of the first stage."""
        return features + self._weights["base"]

    def near(self, x: Tensor, side: int) -> Tensor:
        """(n,) distances / TRUNCATION steps of nodes with the channels `x` (n, c)."""
        return (x @ self._weights[f"near{side}"] + self._weights[f"near{side}.offset"])[:, 0]

    def stage(self, x: Tensor, side: int, table: Table) -> Tensor:
        """(8 p, c) channels of the children of p parents with the neighbours `table` ."""
        offset = self._weights[f"stage{side}.offset"]
        found = gelu((table.gathered(x.to(self._dtype)) @ self._stages[side]).float() + offset)
        return found.view(len(found) * 8, -1)

    def last(self, x: Tensor, table: Table) -> Tensor:
        """(n, OUTPUTS) of nodes with the channels `x` (n, c)."""
        found = table.gathered(x.to(self._dtype)) @ self._last
        return found.float() + self._weights["last.offset"]


class _Gathered(torch.autograd.Function):
    """(p, 27 c): the rows of x (n, c) that `table` (p, 27) names, zeros where that is n.

    The way back is a gather, too: of each row, by the same table the other way round. What torch
    would do instead, adding rows where they belong, takes four times as long.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, table: Tensor, back: Tensor) -> Tensor:
        ctx.save_for_backward(back)
        ctx.channels = x.shape[1]
        padded = torch.cat([x, x.new_zeros(1, x.shape[1])])
        return padded.index_select(0, table.reshape(-1)).view(len(table), -1)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (back,) = ctx.saved_tensors
        rows = gradients[0].reshape(-1, ctx.channels)
        padded = torch.cat([rows, rows.new_zeros(1, ctx.channels)])
        return embedding_bag(back, padded, mode="sum"), None, None


@dataclass(frozen=True)
class Table:
    """rows : (p, 27) of neighbours; back : (n, 27) places in it, flat, of each row; 27 p: none"""

    rows: Tensor
    back: Tensor

    @classmethod
    def of(cls, rows: Array, count: int, device: torch.device) -> Table:
        """count : rows that may be named; as many, or more, stand for none"""
        back = np.full((count + 1, 27), rows.size, np.int32)
        back[rows, np.arange(27)] = np.arange(rows.size, dtype=np.int32).reshape(rows.shape)
        return cls(torch.from_numpy(rows).to(device), torch.from_numpy(back[:-1]).to(device))

    def gathered(self, x: Tensor) -> Tensor:
        """(p, 27 c)"""
        found: Tensor = _Gathered.apply(x, self.rows, self.back)
        return found


def _all_taps(weight: Tensor, taps: int) -> Tensor:
    """(27 inputs, 8 outputs) of a stage; zeros where a child does not look."""
    if taps == 27:
        return weight
    inputs, outputs = weight.shape[0] // 8, weight.shape[1] // 8
    split = weight.view(8, inputs, 8, outputs).permute(0, 2, 1, 3)
    padded = torch.cat([split, split.new_zeros(1, 8, inputs, outputs)])
    tap, child = _taps_of_children().to(weight.device), torch.arange(8, device=weight.device)
    chosen = padded[tap, child]  # (27, 8, inputs, outputs)
    return chosen.permute(0, 2, 1, 3).reshape(27 * inputs, 8 * outputs)


@lru_cache(maxsize=1)
def _taps_of_children() -> Tensor:
    """(27, 8): which of its eight taps a child has for each node AROUND its parent; 8: none."""
    found = torch.full((27, 8), 8)
    for child, corner in enumerate(CORNERS):
        for node, way in enumerate(AROUND):
            steps = way - corner + 1  # 0 and 1 are the nodes on the sides of the child
            if ((steps == 0) | (steps == 1)).all():
                found[node, child] = int(steps @ [1, 2, 4])
    return found
