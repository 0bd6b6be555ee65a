"""One training loop for all learned codecs: draw, step, log, evaluate, checkpoint, resume.

The schedule runs over a budget, in steps or in minutes, whichever is nearer its end: a short
warm-up, a constant rate, and a linear decay to zero over the last part. Quantization-aware
rounding begins with `quantize_from`. A run that is resumed with a larger budget goes on from its
constant phase. Under torchrun every process draws its own clouds and the gradients are averaged.
"""

from __future__ import annotations

import csv
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from pcc_cli.parallel.distributed import ALONE, Workers
from pcc_cli.training import checkpoint

CHECKPOINT, BEST = "checkpoint.safetensors", "best.safetensors"


@dataclass(frozen=True)
class TrainConfig:
    """How long and how fast to train."""

    steps: int = 20_000
    minutes: float = 0.0  # 0: no limit in time
    batch: int = 1  # clouds per step
    rate: float = 2e-3  # Adam
    warmup: int = 200  # steps
    decay_from: float = 0.6  # part of the budget after which the rate falls to zero
    quantize_from: float = 0.8  # part of the budget after which weights and activations are rounded
    clip: float = 1.0  # norm of the gradient
    save_minutes: float = 3.0
    evaluate_minutes: float = 15.0
    patience: int = 0  # evaluations without a better score that end the run; 0: none do
    seed: int = 0


class Task(Protocol):
    """What is trained.

    A parameter with an attribute `rate_factor` learns at so many times the rate. The score of an
    evaluation is its entry "score", or the mean of all; less is better.
    """

    layers: Any  # a module with the switch `quantized`
    step: int  # number of the step, set before each

    def loss(self, rng: np.random.Generator) -> tuple[Tensor, dict[str, float]]: ...

    def evaluate(self) -> dict[str, float]: ...

    def export(self) -> tuple[dict[str, Any], dict[str, Tensor]]: ...


@dataclass
class Progress:
    """Where a run is; goes into the checkpoint."""

    step: int = 0
    seconds: float = 0.0
    ended: bool = False  # early, because scores grew no better

    def fraction(self, config: TrainConfig) -> float:
        """The part of the budget that is spent."""
        by_time = self.seconds / (60 * config.minutes) if config.minutes else 0.0
        return min(1.0, max(self.step / config.steps, by_time))


Report = Callable[[Progress, dict[str, float]], None]


def learning_rate(config: TrainConfig, progress: Progress) -> float:
    """The rate of the next step."""
    warm = min(1.0, (progress.step + 1) / max(config.warmup, 1))
    left = (1 - progress.fraction(config)) / max(1 - config.decay_from, 1e-9)
    return config.rate * warm * min(1.0, left)


def train(
    task: Task,
    config: TrainConfig,
    out: Path,
    *,
    resume: bool = False,
    workers: Workers = ALONE,
    report: Report = lambda progress, values: None,
) -> Progress:
    """Trains until the budget is spent; `out` holds the checkpoint and `log.csv`.

    Whatever ends a run early, Ctrl-C included, leaves a checkpoint of its last step.
    """
    optimizer = _optimizer(task, config)
    progress = Progress()
    path = out / CHECKPOINT
    if resume and path.exists():
        state = checkpoint.load(path, task.layers, optimizer)
        progress = Progress(state["step"], state["seconds"])
    workers.share(task.layers.parameters())
    if not workers.is_first:
        for _ in _steps(task, config, workers, optimizer, progress):
            pass
        return progress
    with _Writer(path, task, optimizer, progress) as writer:
        for values in _steps(task, config, workers, optimizer, progress):
            writer.stepped(config, values)
            report(progress, values)
        writer.evaluate(config)
        writer.keep_best(config)
    return progress


def _optimizer(task: Task, config: TrainConfig) -> torch.optim.Optimizer:
    """Adam, in a group of its own for each factor of the rate."""
    groups: dict[float, list[torch.nn.Parameter]] = {}
    for parameter in task.layers.parameters():
        groups.setdefault(getattr(parameter, "rate_factor", 1.0), []).append(parameter)
    listed = [{"params": part, "factor": factor} for factor, part in groups.items()]
    return torch.optim.Adam(listed, lr=config.rate, betas=(0.9, 0.99))


def _steps(
    task: Task,
    config: TrainConfig,
    workers: Workers,
    optimizer: torch.optim.Optimizer,
    progress: Progress,
) -> Iterator[dict[str, float]]:
    """Steps until the budget is spent, each with its values for the log."""
    while progress.fraction(config) < 1 and not workers.agree(float(progress.ended)):
        began = time.monotonic()
        values = _step(task, optimizer, config, workers, progress)
        progress.step += 1
        # One clock for all: rates and rounding follow it, and would differ between processes.
        progress.seconds = workers.agree(progress.seconds + time.monotonic() - began)
        yield values


def _step(
    task: Task,
    optimizer: torch.optim.Optimizer,
    config: TrainConfig,
    workers: Workers,
    progress: Progress,
) -> dict[str, float]:
    # A generator for each step, so that a resumed run draws what an uninterrupted one would.
    rng = np.random.default_rng([config.seed, workers.rank, progress.step])
    parameters = list(task.layers.parameters())
    task.step = progress.step
    task.layers.quantized = progress.fraction(config) >= config.quantize_from
    optimizer.zero_grad(set_to_none=True)
    values: dict[str, float] = {}
    for _ in range(config.batch):
        loss, values = task.loss(rng)
        (loss / config.batch).backward()
    workers.average_gradients(parameters)
    norm = torch.nn.utils.clip_grad_norm_(parameters, config.clip)
    rate = learning_rate(config, progress)
    for group in optimizer.param_groups:
        group["lr"] = rate * group["factor"]
    optimizer.step()
    return {"loss": float(loss.detach()), **values, "norm": float(norm), "rate": rate}


class _Writer:
    """What the first process keeps of a run: checkpoint and log, complete whatever happens."""

    def __init__(
        self, path: Path, task: Task, optimizer: torch.optim.Optimizer, progress: Progress
    ) -> None:
        self.path, self.task, self.optimizer, self.progress = path, task, optimizer, progress
        self.log = _Log(path.with_name("log.csv"))
        self._saved = self._evaluated = time.monotonic()
        self._best, self._worse = math.inf, 0

    def __enter__(self) -> _Writer:
        return self

    def __exit__(self, *error: object) -> None:
        self.save()
        self.log.file.close()

    def stepped(self, config: TrainConfig, values: dict[str, float]) -> None:
        """Logs a step; saves and evaluates when it is time."""
        self.log.write(self.progress, values)
        now = time.monotonic()
        if now - self._saved > 60 * config.save_minutes:
            self._saved = now
            self.save()
        if now - self._evaluated > 60 * config.evaluate_minutes:
            self.evaluate(config)
            self._evaluated = time.monotonic()

    def evaluate(self, config: TrainConfig) -> None:
        """Logs the scores; with patience, keeps the best weights and ends what grows no better."""
        scores = self.task.evaluate()
        self.log.write(self.progress, scores)
        if not config.patience or not scores:
            return
        score = scores.get("score", sum(scores.values()) / len(scores))
        self._worse = 0 if score < self._best else self._worse + 1
        if not self._worse:
            self._best = score
            self.save(self.path.with_name(BEST))
        self.progress.ended = self._worse >= config.patience

    def keep_best(self, config: TrainConfig) -> None:
        """Goes back to the best weights, when the last ones are others."""
        best = self.path.with_name(BEST)
        if config.patience and self._worse and best.exists():
            checkpoint.load_weights(best, self.task.layers)

    def save(self, path: Path | None = None) -> None:
        """Writes the checkpoint, or another one."""
        state = {"step": self.progress.step, "seconds": self.progress.seconds}
        checkpoint.save(path or self.path, self.task.layers, self.optimizer, state)


class _Log:
    """Appends long-format rows (step, seconds, name, value) to a CSV file."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        new = not path.exists()
        self.file = path.open("a", newline="", buffering=1)
        self.rows = csv.writer(self.file)
        if new:
            self.rows.writerow(["step", "seconds", "name", "value"])

    def write(self, progress: Progress, values: dict[str, float]) -> None:
        """One row for each value."""
        for name, value in values.items():
            self.rows.writerow([progress.step, f"{progress.seconds:.1f}", name, f"{value:.5g}"])
