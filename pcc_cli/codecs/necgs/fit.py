"""Fitting the shared decoder and the features of all meshes, rounded as in the file from the start.

A step takes some meshes; coarse grids come first, which cost little. To the loss of the meshes a
little of the size of their features is added.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from torch import Tensor

from pcc_cli import locations
from pcc_cli.codecs.necgs import band as bands
from pcc_cli.codecs.necgs import network
from pcc_cli.codecs.necgs.example import Example
from pcc_cli.codecs.necgs.model import NecgsModel
from pcc_cli.codecs.necgs.network import FEATURES, NODES, Decoder, Plan, Weights
from pcc_cli.codecs.necgs.stream import ModelName, Network, bells_of
from pcc_cli.entropy.bells import REACH
from pcc_cli.entropy.steps import code_of, step_of
from pcc_cli.errors import InputError
from pcc_cli.geometry import Array
from pcc_cli.nn.quantizers import round_through

SPARSE = 0.1  # of the loss, the mean size of features
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


class Fit:
    """A network and features on their way to a set of meshes.

    fixed : weights that stay as they are, for meshes that are added; None: they are fitted, too
    model : that the network starts from, and to which it is coded; None: it starts at random
    pull : part of their rate at which weights go back to those of the model: the more, the fewer of
        them differ from it in the end
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
        model: NecgsModel | None = None,
        pull: float = 0.0,
    ) -> None:
        self._plan, self._examples, self._fineness = plan, examples, fineness
        self._generator = torch.Generator().manual_seed(seed)
        start = network.initial(plan, self._generator) if fixed is None else fixed
        self._model, self._pull = model, pull
        known = {} if model is None else model.known(plan)
        self._base = {name: torch.from_numpy(w).float().to(device) for name, w in known.items()}
        start = {**start, **self._base}
        self.weights = {name: weight.clone().to(device) for name, weight in start.items()}
        self._learns = fixed is None
        shape = (len(examples), NODES, FEATURES)
        spread = FEATURE_START if self._learns and model is None else 0.0
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
            if self._learns
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
        return {name: _whole(self._moved(name), code) for name, code in self.codes.items()}

    def network(self) -> Network:
        """As it goes into the file."""
        model = None if self._model is None else ModelName(self._model.id, self._model.sha256)
        bells = bells_of(self.rounded_features())
        return Network(self._plan, self.rounded(), self.codes, self.feature_code, bells, model)

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
        digest = hashlib.blake2b(
            repr((self._plan, self._fineness, self._pull)).encode(), digest_size=16
        )
        for base in self._base.values():
            digest.update(base.cpu().numpy().tobytes())
        for example in self._examples:
            digest.update(example.values.cpu().numpy().tobytes())
        return digest.hexdigest()

    def _codes(self) -> dict[str, int]:
        """Of the steps of all weights as they are now."""
        codes = {}
        for name, weight in self.weights.items():
            spread = max(float(weight.detach().square().mean().sqrt()), 0.02)
            most = float(self._moved(name).detach().abs().max()) / (0.95 * REACH) + 1e-9
            codes[name] = code_of(max(spread / self._fineness, most))
        return codes

    def _moved(self, name: str) -> Tensor:
        """The weight `name` as it is stored: by how much it differs from the base."""
        weight = self.weights[name]
        return weight - self._base[name] if name in self._base else weight

    def _stored(self, name: str) -> Tensor:
        """The weight `name` as a decoder has it, with a gradient."""
        found = _through(self._moved(name), self.codes[name])
        return self._base[name] + found if name in self._base else found

    def _step(self, done: float) -> float:
        self._steps += 1
        slope = (0.5 + 0.5 * math.cos(math.pi * done)) * min(1.0, self._steps / WARM_UP)
        if self._learns and done < WEIGHTS_FIXED and self._steps % WEIGHTS_EVERY == 0:
            self.codes = self._codes()
        until, work = next(
            ((side, work) for end, side, work in self._ladder if done < end),
            (self._plan.side, 1.0),
        )
        rows = self._rows()
        for weight in self.weights.values():
            weight.requires_grad_(self._learns)
        chosen = self.features[rows].requires_grad_()
        loss, error = self._loss(rows, chosen, until)
        loss.backward()
        for name, weight in self.weights.items():
            if weight.grad is not None:  # not so of what lies behind `until`
                self._steppers[name].step(weight.grad, RATE * slope)
                weight.grad = None
                if name in self._base:
                    self._draw(name, RATE * slope * self._pull)
        assert chosen.grad is not None
        # The loss is a mean over the meshes of the batch.
        gradient = chosen.grad * len(rows)
        self._steppers["features"].step(gradient, FEATURE_RATE * slope, rows)
        self._done += work
        return error

    @torch.no_grad()
    def _draw(self, name: str, by: float) -> None:
        """Brings a weight nearer to its base: those stay there that no gradient keeps away."""
        moved = self._moved(name)
        self.weights[name].copy_(self._base[name] + moved.sign() * (moved.abs() - by).clamp(min=0))

    def _rows(self) -> list[int]:
        if not self._order:
            self._order = torch.randperm(len(self._examples), generator=self._generator).tolist()
        rows, self._order = self._order[:BATCH], self._order[BATCH:]
        return rows

    def _loss(self, rows: list[int], chosen: Tensor, until: int) -> tuple[Tensor, float]:
        weights = self.weights
        if self._learns:
            weights = {name: self._stored(name) for name in weights}
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


def _through(values: Tensor, code: int) -> Tensor:
    step = step_of(code)
    return round_through(values / step).clamp(-REACH, REACH) * step


def _whole(values: Tensor, code: int) -> Array:
    whole = np.rint(values.detach().double().cpu().numpy() / step_of(code))
    return np.clip(whole, -REACH, REACH).astype(np.int64)
