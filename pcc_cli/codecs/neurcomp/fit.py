"""Fitting a sine network to a volume, as neurcomp does it: random samples, Adam, stepped rates."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pcc_cli.codecs.neurcomp.network import SineNetwork
from pcc_cli.geometry import Array

Watch = Callable[[float, float], None]  # part of the work that is done (0 to 1), PSNR so far in dB


@dataclass(frozen=True)
class Recipe:
    """Names and defaults of neurcomp's `train.py`.

    batch_size, oversample : their product is the number of random samples in a step
    lr, lr_decay, pass_decay : Adam's rate, multiplied by lr_decay after every pass_decay passes
    n_passes : samples drawn, in sizes of the volume, plus 1: neurcomp stops one pass early
    grad_lambda : weight of the error of gradients beside that of values
    """

    batch_size: int = 1024
    oversample: int = 16
    lr: float = 5e-5
    lr_decay: float = 0.2
    pass_decay: int = 20
    n_passes: int = 75
    grad_lambda: float = 0.0


def axis_coordinates(shape: tuple[int, ...]) -> list[Tensor]:
    """Of each axis: coordinates of its samples, so that the longest spans [-1, 1]."""
    longest = max(max(shape) - 1, 1)
    return [torch.linspace(-(n - 1) / longest, (n - 1) / longest, n) for n in shape]


def fit(
    network: SineNetwork,
    values: Tensor,
    recipe: Recipe,
    watch: Watch,
    seed: int = 0,
    deadline: float | None = None,
) -> None:
    """Trains `network` on `values` (z, y, x, outputs) float32 within [-1, 1]; NaN is left out.

    deadline : of time.monotonic(), when training stops early
    """
    device = values.device
    generator = torch.Generator().manual_seed(seed)
    sides = values.shape[:3]
    axes = [axis.to(device) for axis in axis_coordinates(sides)]
    flat = values.reshape(-1, values.shape[3])
    known = torch.isfinite(flat).all(1).nonzero().squeeze(1)
    batch = recipe.batch_size * recipe.oversample
    steps = -(-len(known) // batch)
    slopes = _slopes(values, axes) if recipe.grad_lambda else None
    optimizer = torch.optim.Adam(network.parameters(), lr=recipe.lr)
    recent = None
    for number in range(1, recipe.n_passes):
        for step in range(steps):
            drawn = torch.randint(len(known), (batch,), generator=generator).to(device)
            rows = known[drawn]
            loss, square = _loss(network, rows, sides, axes, flat, slopes, recipe.grad_lambda)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            found = float(square.detach())
            recent = found if recent is None else 0.95 * recent + 0.05 * found
            done = (number - 1 + (step + 1) / steps) / max(recipe.n_passes - 1, 1)
            watch(done, float(10 * np.log10(4 / max(recent, 1e-30))))
            if deadline is not None and time.monotonic() > deadline:
                return
        if number % recipe.pass_decay == 0:
            for group in optimizer.param_groups:
                group["lr"] *= recipe.lr_decay


def _loss(
    network: SineNetwork,
    rows: Tensor,
    sides: torch.Size,
    axes: list[Tensor],
    flat: Tensor,
    slopes: Tensor | None,
    weight: float,
) -> tuple[Tensor, Tensor]:
    """The loss at the samples `rows`, and the part of it that is the error of values."""
    places = torch.stack(
        [axis[at] for axis, at in zip(axes, _places(rows, sides), strict=True)], dim=1
    )
    if slopes is None:
        square = (network(places) - flat[rows]).square().mean()
        return square, square
    places.requires_grad_(True)
    found = network(places)
    square = (found - flat[rows]).square().mean()
    parts = [
        torch.autograd.grad(found[:, i].sum(), places, create_graph=True)[0]
        for i in range(found.shape[1])
    ]
    return square + weight * (torch.stack(parts, 1) - slopes[rows]).square().mean(), square


def _places(rows: Tensor, sides: torch.Size) -> tuple[Tensor, Tensor, Tensor]:
    """Index along each axis of samples that are numbered row by row."""
    across = sides[1] * sides[2]
    return rows // across, rows // sides[2] % sides[1], rows % sides[2]


def _slopes(values: Tensor, axes: list[Tensor]) -> Tensor:
    """(n, outputs, 3) central differences over one sample each way, clamped at the borders."""
    found = []
    for dim, axis in enumerate(axes):
        n = values.shape[dim]
        after = torch.arange(n, device=values.device).add(1).clamp(max=n - 1)
        before = torch.arange(n, device=values.device).sub(1).clamp(min=0)
        rise = values.index_select(dim, after) - values.index_select(dim, before)
        run = (axis[after] - axis[before]).clamp(min=1e-9)
        found.append(rise / run.view([-1 if i == dim else 1 for i in range(4)]))
    return torch.nan_to_num(torch.stack(found, dim=-1)).reshape(-1, values.shape[3], 3)


@torch.no_grad()
def evaluate(network: SineNetwork, axes: list[Tensor], rows: int = 1 << 15) -> Array:
    """(z, y, x, outputs) float32: what `network` gives at the crossings of `axes`, in tiles.

    rows : coordinates at a time, which bounds the memory
    """
    sides = torch.Size(len(axis) for axis in axes)
    found = np.empty((sides.numel(), list(network.linears())[-1].out_features), np.float32)
    for start in range(0, len(found), rows):
        numbers = torch.arange(start, min(start + rows, len(found)), device=axes[0].device)
        places = [axis[at] for axis, at in zip(axes, _places(numbers, sides), strict=True)]
        found[start : start + rows] = network(torch.stack(places, dim=1)).cpu().numpy()
    return found.reshape(*sides, -1)
