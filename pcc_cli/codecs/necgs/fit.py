"""Fitting the shared decoder and the features of all meshes, rounded as in the file from the start.

The loss is that of the paper, on the nodes of the band: the mean difference of the tensors, five
times that where distances are not cut off, ten times what is missing to a structural similarity of
1, and a little of the features' size; and the coarse distances that say where the band is.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from torch import Tensor

from pcc_cli import locations
from pcc_cli.codecs.necgs import band as bands
from pcc_cli.codecs.necgs import network
from pcc_cli.codecs.necgs.field import TRUNCATION, Field
from pcc_cli.codecs.necgs.network import FEATURES, NODES, OUTPUTS, Decoder, Plan, Table, Weights
from pcc_cli.entropy.bells import REACH
from pcc_cli.entropy.steps import code_of, step_of
from pcc_cli.errors import InputError
from pcc_cli.geometry import Array
from pcc_cli.nn.quantizers import round_through

NEAR, COARSE, SIMILAR, SPARSE = 5.0, 1.0, 10.0, 0.1  # parts of the loss
WINDOWS = 2000  # of the structural similarity, in a step of a mesh
WINDOWS = 500  # of 3^3 nodes, in which structures are compared, of a mesh in a step
BATCH = 4  # meshes in a step
PRODUCTS = torch.bfloat16  # twice to five times as fast as float32
RATE, FEATURE_RATE = 0.02, 0.02
WARM_UP = 20  # steps
FINE_FROM = 0.25  # part of the work before which the last grid is not looked at
NARROWER = 0.35  # of this part, for each grid that is coarser
BETAS = 0.9, 0.98  # of running means of gradients and of their squares
FEATURE_STEP = 1 / 16
LAST_CODE = 200  # of a step, where nothing but zeros is left
FEATURE_START = 0.15  # deviation of features at first
WEIGHTS_FIXED = 0.6  # part of the work after which the steps of weights stay
WEIGHTS_EVERY = 100  # steps between two looks at them before
Watch = Callable[[float, float], None]  # part that is done, error in steps of the grid


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


class Fit:
    """A network and features on their way to a set of meshes.

    fixed : weights that stay as they are, for meshes that are added; None: they are fitted, too
    fineness : steps of a weight in the deviation of its matrix
    """

    def __init__(
        self,
        plan: Plan,
        examples: Sequence[Example],
        fineness: float,
        seed: int,
        device: torch.device,
        fixed: Weights | None = None,
    ) -> None:
        self._plan, self._examples, self._fineness = plan, examples, fineness
        self._generator = torch.Generator().manual_seed(seed)
        start = network.initial(plan, self._generator) if fixed is None else fixed
        self.weights = {name: weight.to(device) for name, weight in start.items()}
        self._learns = fixed is None
        shape = (len(examples), NODES, FEATURES)
        spread = FEATURE_START if self._learns else 0.0
        self.features = (torch.randn(shape, generator=self._generator) * spread).to(device)
        self.codes = self._codes() if self._learns else {}
        self.feature_code = code_of(FEATURE_STEP)
        self._order: list[int] = []
        self._steps, self._done = 0, 0.0  # taken, and in work of a step on the last grid
        sides = [side for side in bands.sides(plan.side) if side >= bands.DENSE] + [plan.side]
        work = [sum(example.work(plan, side) for example in examples) for side in sides]
        self._ladder = [
            (FINE_FROM * NARROWER ** (len(sides) - 2 - n), side, work[n] / work[-1])
            for n, side in enumerate(sides[:-1])
        ]
        self._steppers = {name: _Adam(weight) for name, weight in self.weights.items()}
        self._steppers["features"] = _Adam(self.features)

    def run(
        self, begin: float, end: float, steps: int, seconds: float | None, watch: Watch
    ) -> None:
        """Fits from the part `begin` of all work to the part `end`.

        steps : of all work; seconds : that all of it may take at most
        """
        started, first = time.monotonic(), self._done
        share = end - begin
        if share <= 0:
            return
        recent = 0.0
        while True:
            done = (self._done - first) / max(steps * share, 1)
            if seconds is not None:
                done = max(done, (time.monotonic() - started) / max(seconds * share, 1e-9))
            if done >= 1:
                return
            error = self._step(begin + done * share)
            recent = error if not recent else 0.95 * recent + 0.05 * error
            watch(begin + done * share, recent)

    def rounded(self) -> dict[str, Array]:
        """Name -> (rows, columns) int64 of all weights, in their steps."""
        return {name: _whole(weight, self.codes[name]) for name, weight in self.weights.items()}

    def rounded_features(self) -> Array:
        """(meshes, NODES, FEATURES) int64"""
        return _whole(self.features, self.feature_code)

    def coarsen(self) -> bool:
        """Makes all steps an eighth of an octave wider; False where nothing would be left."""
        if self.feature_code >= LAST_CODE:
            return False
        self.feature_code += 1
        self.codes = {name: min(code + 1, LAST_CODE) for name, code in self.codes.items()}
        return True

    def save(self, path: Path, done: float) -> None:
        """Keeps all that `restore` needs in a file, replaced in one step."""
        counters = torch.tensor([self._steps, self.feature_code, *self.codes.values()])
        tensors = {
            **self._tensors(),
            "counters": counters,
            "order": torch.tensor(self._order, dtype=torch.int64),
            "generator": self._generator.get_state(),
            "done": torch.tensor([done, self._done], dtype=torch.float64),
        }
        whole = {name: tensor.cpu().clone().contiguous() for name, tensor in tensors.items()}
        with locations.writing(str(path)) as stream:
            stream.write(safetensors.torch.save(whole, {"fit": self._digest()}))

    def restore(self, path: Path) -> float:
        """Goes on where `save` was called; returns the part that is done.

        InputError for the fit of another set, or with other settings.
        """
        with safetensors.safe_open(path, "pt") as file:
            if (file.metadata() or {}).get("fit") != self._digest():
                raise InputError(f"{path}: is a checkpoint of another set or of other settings")
            found = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        for name, tensor in self._tensors().items():
            tensor.copy_(found[name])
        self._generator.set_state(found["generator"])
        self._order = found["order"].tolist()
        self._steps, self.feature_code, *codes = found["counters"].tolist()
        self.codes = dict(zip(self.weights, codes, strict=True))
        done, self._done = found["done"].tolist()
        return float(done)

    def _tensors(self) -> dict[str, Tensor]:
        """All that is fitted, and what is remembered of its gradients."""
        named = {f"weights.{name}": weight.detach() for name, weight in self.weights.items()}
        for name, stepper in self._steppers.items():
            means = {"mean": stepper.mean, "square": stepper.square, "counts": stepper.counts}
            named |= {f"{part} of {name}": tensor for part, tensor in means.items()}
        return {**named, "features": self.features}

    def _digest(self) -> str:
        """Of the network and of all tensors that are fitted."""
        digest = hashlib.blake2b(repr((self._plan, self._fineness)).encode(), digest_size=16)
        for example in self._examples:
            digest.update(example.values.cpu().numpy().tobytes())
        return digest.hexdigest()

    def _codes(self) -> dict[str, int]:
        """Of the steps of all weights as they are now."""
        codes = {}
        for name, weight in self.weights.items():
            size = weight.detach().abs()
            spread = max(float(size.square().mean().sqrt()), 0.02)
            most = float(size.max()) / (0.95 * REACH) + 1e-9
            codes[name] = code_of(max(spread / self._fineness, most))
        return codes

    def _step(self, done: float) -> float:
        self._steps += 1
        slope = (0.5 + 0.5 * math.cos(math.pi * done)) * min(1.0, self._steps / WARM_UP)
        if self._learns and done < WEIGHTS_FIXED and self._steps % WEIGHTS_EVERY == 0:
            self.codes = self._codes()
        until, work = next(
            ((side, work) for end, side, work in self._ladder if done < end and self._learns),
            (self._plan.side, 1.0),
        )
        rows = self._rows()
        for weight in self.weights.values():
            weight.requires_grad_(self._learns)
        chosen = self.features[rows].requires_grad_()
        loss, error = self._loss(rows, chosen, until)
        loss.backward()
        if self._learns:
            for name, weight in self.weights.items():
                if weight.grad is not None:  # not so of what lies behind `until`
                    self._steppers[name].step(weight.grad, RATE * slope)
                    weight.grad = None
        assert chosen.grad is not None
        # The loss is a mean over the meshes of the batch.
        gradient = chosen.grad * len(rows)
        self._steppers["features"].step(gradient, FEATURE_RATE * slope, rows)
        self._done += work
        return error

    def _rows(self) -> list[int]:
        if not self._order:
            self._order = torch.randperm(len(self._examples), generator=self._generator).tolist()
        rows, self._order = self._order[:BATCH], self._order[BATCH:]
        return rows

    def _loss(self, rows: list[int], chosen: Tensor, until: int) -> tuple[Tensor, float]:
        weights = self.weights
        if self._learns:
            weights = {name: _through(w, self.codes[name]) for name, w in weights.items()}
        decoder = Decoder(self._plan, weights, PRODUCTS)
        features = _through(chosen, self.feature_code)
        parts = [
            self._examples[row].loss(decoder, one, until, self._generator)
            for row, one in zip(rows, features, strict=True)
        ]
        loss = torch.stack([part[0] for part in parts]).mean() + SPARSE * features.abs().mean()
        return loss, float(torch.stack([part[1] for part in parts]).mean())


class _Adam:
    """Steps of `values`, of some rows at a time, each with a count of its own."""

    def __init__(self, values: Tensor) -> None:
        self._values = values
        self.mean, self.square = torch.zeros_like(values), torch.zeros_like(values)
        self.counts = torch.zeros(len(values), *[1] * (values.dim() - 1), device=values.device)

    @torch.no_grad()
    def step(self, gradient: Tensor, rate: float, rows: Any = slice(None)) -> None:
        self.counts[rows] += 1
        self.mean[rows] = self.mean[rows].lerp(gradient, 1 - BETAS[0])
        self.square[rows] = self.square[rows].lerp(gradient.square(), 1 - BETAS[1])
        mean = self.mean[rows] / (1 - BETAS[0] ** self.counts[rows])
        size = (self.square[rows] / (1 - BETAS[1] ** self.counts[rows])).sqrt()
        self._values[rows] -= rate * mean / (size + 1e-8)


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


def _through(values: Tensor, code: int) -> Tensor:
    step = step_of(code)
    return round_through(values / step).clamp(-REACH, REACH) * step


def _whole(values: Tensor, code: int) -> Array:
    whole = np.rint(values.detach().double().cpu().numpy() / step_of(code))
    return np.clip(whole, -REACH, REACH).astype(np.int64)
