"""A mesh as the fit sees it: tables of its band, what the network is to say there, and the loss.

The loss is that of the paper, on the nodes of the band: the mean difference of the tensors, five
times that where distances are not cut off, ten times what is missing to a structural similarity of
1; and the coarse distances that say where the band is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pcc_cli.codecs.necgs import band as bands
from pcc_cli.codecs.necgs.field import TRUNCATION, Field
from pcc_cli.codecs.necgs.network import FEATURES, NODES, OUTPUTS, Decoder, Plan, Table
from pcc_cli.geometry import Array

NEAR, COARSE, SIMILAR = 5.0, 1.0, 10.0  # parts of the loss
WINDOWS = 500  # of 3^3 nodes, in which structures are compared, of a mesh in a step


@dataclass(frozen=True)
class Example:
    """A mesh as tensors.

    stages : side and table of each stage; last : table of the last nodes
    coarse : distances of the nodes of levels from DENSE on; values : (n, 4) of the last nodes
    """

    stages: list[tuple[int, Table]]
    last: Table
    coarse: list[Tensor]
    values: Tensor
    windows: Tensor

    @classmethod
    def of(cls, field: Field, values: Array, device: torch.device) -> Example:
        count, stages = NODES, []
        for level in field.band.levels:
            stages.append((level.side, Table.of(level.table, count, device)))
            count = len(level.nodes)
        last = Table.of(field.band.table, count, device)
        coarse = [torch.from_numpy(values).to(device) for values in field.coarse]
        whole = np.flatnonzero((field.band.table < count).all(axis=1))
        windows = torch.from_numpy(whole if len(whole) else np.arange(count)).to(device)
        return cls(stages, last, coarse, torch.from_numpy(values).to(device), windows)

    def loss(
        self, decoder: Decoder, features: Tensor, until: int, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """The loss, and the mean error of distances near the surface, in steps of the grid.

        until : side of the grid where the network ends, coarse or the last one
        """
        x, coarse = decoder.start(features), iter(self.coarse)
        loss = x.new_zeros(())
        for side, table in self.stages:
            if side >= bands.DENSE:
                found, wanted = decoder.near(x, side), next(coarse)
                loss = loss + COARSE * _weighted(found, wanted)
                if side == until:
                    return loss, _near_surface(found, wanted)
            x = decoder.stage(x, side, table)
        found = decoder.last(x, self.last)
        loss = loss + OUTPUTS * _weighted(found, self.values)
        if SIMILAR:
            rows = torch.randint(len(self.windows), (WINDOWS,), generator=generator)
            near = self.last.rows[self.windows[rows]].long()  # (WINDOWS, 27)
            near = near.clamp(max=len(found) - 1)  # where no window is whole
            loss = loss + SIMILAR * _dissimilar(found[near], self.values[near])
        return loss, _near_surface(found[:, 0], self.values[:, 0])

    def work(self, plan: Plan, until: int) -> int:
        """Products of numbers that the network takes as far as the grid of side `until`."""
        inputs, total = FEATURES, 0
        for (side, table), outputs in zip(self.stages, plan.channels, strict=True):
            if side < until:
                total += table.rows.numel() * inputs * 8 * outputs
            inputs = outputs
        return total + (self.last.rows.numel() * inputs * OUTPUTS if until == plan.side else 0)


def _weighted(found: Tensor, wanted: Tensor) -> Tensor:
    """Mean difference of distances, (n,) or first of (n, 4); more where they are not cut off."""
    error = (found - wanted).abs()
    inner = error[(wanted if wanted.dim() == 1 else wanted[:, 0]).abs() < 1]
    return error.mean() + NEAR * inner.sum() / max(inner.numel(), 1)


def _dissimilar(found: Tensor, wanted: Tensor) -> Tensor:
    """1 - structural similarity of distances, and the same of shifts; (w, 27, 4) in windows."""
    one, other = (found + 1) / 2, (wanted + 1) / 2
    means = one.mean(1), other.mean(1)
    spreads = one.var(1, unbiased=False), other.var(1, unbiased=False)
    both = ((one - means[0][:, None]) * (other - means[1][:, None])).mean(1)
    alike = (2 * means[0] * means[1] + 0.01**2) * (2 * both + 0.03**2)
    size = (means[0] ** 2 + means[1] ** 2 + 0.01**2) * (spreads[0] + spreads[1] + 0.03**2)
    missing = 1 - alike / size
    return missing[:, 0].mean() + missing[:, 1:].mean()


def _near_surface(found: Tensor, wanted: Tensor) -> Tensor:
    """Mean difference of distances (n,) within half a step of the surface, in steps."""
    near = wanted.abs() < 0.5 / TRUNCATION
    error = (found.detach() - wanted)[near].abs()
    return error.sum() * TRUNCATION / max(error.numel(), 1)
