"""The training loop: schedules, logs, checkpoints, and runs that go on as if never stopped."""

from __future__ import annotations

import csv
from dataclasses import replace

import pytest
import torch
from torch import nn

from pcc_cli.training import loop
from pcc_cli.training.loop import CHECKPOINT, Progress, TrainConfig, learning_rate, train


class Toy:
    """A task that learns to add up; its draws depend on the generator it is given alone."""

    def __init__(self, fail_at: int | None = None) -> None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(5)
            self.layers = nn.Linear(4, 1)
        self.layers.quantized = None
        self.calls, self.fail_at, self.quantized, self.evaluations = 0, fail_at, [], 0

    def loss(self, rng):
        self.calls += 1
        if self.calls == self.fail_at:
            raise KeyboardInterrupt
        self.quantized.append(self.layers.quantized)
        x = torch.from_numpy(rng.normal(size=(16, 4))).float()
        loss = (self.layers(x)[:, 0] - x.sum(1)).square().mean()
        return loss, {"mean": float(x.mean())}

    def evaluate(self):
        self.evaluations += 1
        return {"dev": 1.0}


CONFIG = TrainConfig(steps=12, rate=0.05, warmup=2, quantize_from=0.5, save_minutes=1e9)


def weights(task: Toy) -> list[float]:
    return torch.cat([p.detach().flatten() for p in task.layers.parameters()]).tolist()


def rows(out) -> list[tuple[int, str, float]]:
    with (out / "log.csv").open(newline="") as file:
        return [(int(r["step"]), r["name"], float(r["value"])) for r in csv.DictReader(file)]


def test_training_lowers_the_loss(tmp_path):
    task, losses = Toy(), []
    config = replace(CONFIG, steps=200)
    progress = train(task, config, tmp_path, report=lambda p, values: losses.append(values["loss"]))
    assert progress.step == 200 and progress.seconds > 0
    assert len(losses) == 200
    assert sum(losses[-20:]) < 0.05 * sum(losses[:20])


@pytest.mark.parametrize("stop", [1, 5, 7, 11])
def test_a_stopped_run_goes_on_with_the_same_numbers(tmp_path, stop):
    whole = Toy()
    train(whole, CONFIG, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        train(Toy(fail_at=stop + 1), CONFIG, tmp_path / "parts")
    rest = Toy()
    assert train(rest, CONFIG, tmp_path / "parts", resume=True).step == 12
    assert rest.calls == 12 - stop
    assert weights(rest) == weights(whole)
    assert rows(tmp_path / "parts") == rows(tmp_path / "whole")


def test_a_run_that_dies_goes_on_from_its_last_checkpoint(tmp_path, monkeypatch):
    """A kill leaves no time to save: with a checkpoint after each step nothing is lost."""
    whole = Toy()
    train(whole, CONFIG, tmp_path / "whole")
    config, died = replace(CONFIG, save_minutes=0.0), tmp_path / "died"
    with monkeypatch.context() as patch:
        patch.setattr(loop._Writer, "__exit__", lambda self, *_: self.log.file.close())
        with pytest.raises(KeyboardInterrupt):
            train(Toy(fail_at=6), config, died)
    rest = Toy()
    train(rest, config, died, resume=True)
    assert rest.calls == 7
    assert weights(rest) == weights(whole)


def test_without_resume_a_run_begins_anew(tmp_path):
    first, second = Toy(), Toy()
    train(first, CONFIG, tmp_path)
    train(second, CONFIG, tmp_path)
    assert second.calls == 12 and weights(second) == weights(first)


def test_resuming_what_is_finished_does_nothing(tmp_path):
    first, second = Toy(), Toy()
    train(first, CONFIG, tmp_path)
    assert train(second, CONFIG, tmp_path, resume=True).step == 12
    assert second.calls == 0 and weights(second) == weights(first)


def test_a_larger_budget_goes_on(tmp_path):
    train(Toy(), CONFIG, tmp_path)
    task = Toy()
    assert train(task, replace(CONFIG, steps=15), tmp_path, resume=True).step == 15
    assert task.calls == 3


def test_seeds_draw_different_clouds_and_equal_seeds_the_same(tmp_path):
    runs = []
    for number, seed in enumerate((3, 3, 4)):
        task = Toy()
        train(task, replace(CONFIG, seed=seed), tmp_path / str(number))
        runs.append(weights(task))
    assert runs[0] == runs[1] != runs[2]


def test_every_step_draws_anew(tmp_path):
    train(Toy(), replace(CONFIG, batch=2), tmp_path)
    means = [value for _, name, value in rows(tmp_path) if name == "mean"]
    assert len(set(means)) == 12


def test_a_batch_is_the_mean_of_its_clouds(tmp_path):
    """With plain gradients the order of draws within a step is all that matters."""
    task = Toy()
    train(task, replace(CONFIG, batch=3, steps=4), tmp_path)
    assert task.calls == 12
    norms = [value for _, name, value in rows(tmp_path) if name == "norm"]
    single = Toy()
    train(single, replace(CONFIG, steps=4), tmp_path / "single")
    assert norms[0] < 2 * next(v for _, name, v in rows(tmp_path / "single") if name == "norm")


def test_the_log_has_every_value_of_every_step(tmp_path):
    train(Toy(), CONFIG, tmp_path)
    found = rows(tmp_path)
    names = ["loss", "mean", "norm", "rate"]
    assert [row[:2] for row in found[:-1]] == [(s, n) for s in range(1, 13) for n in names]
    assert found[-1] == (12, "dev", 1.0)


def test_evaluation_now_and_then(tmp_path):
    task = Toy()
    train(task, replace(CONFIG, evaluate_minutes=0.0), tmp_path)
    assert task.evaluations == 13


def test_rounding_begins_late(tmp_path):
    task = Toy()
    train(task, CONFIG, tmp_path)
    assert task.quantized == [False] * 6 + [True] * 6


def test_the_rate_warms_up_stays_and_falls(tmp_path):
    config = TrainConfig(steps=100, rate=1.0, warmup=10, decay_from=0.6)
    rates = [learning_rate(config, Progress(step)) for step in range(100)]
    assert rates[:10] == pytest.approx([0.1 * k for k in range(1, 11)])
    assert rates[10:60] == [1.0] * 50
    assert rates[60:] == pytest.approx([(100 - step) / 40 for step in range(60, 100)])
    train(Toy(), replace(CONFIG, steps=5), tmp_path)
    logged = [value for _, name, value in rows(tmp_path) if name == "rate"]
    expected = [learning_rate(replace(CONFIG, steps=5), Progress(step)) for step in range(5)]
    assert logged == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(
    ("step", "seconds", "fraction"), [(0, 0, 0), (10, 30, 0.5), (50, 30, 0.5), (0, 90, 1)]
)
def test_the_budget_is_steps_or_minutes_whichever_is_nearer_its_end(step, seconds, fraction):
    config = TrainConfig(steps=100, minutes=1.0)
    assert Progress(step, seconds).fraction(config) == fraction
    assert Progress(step, 1e9).fraction(TrainConfig(steps=100)) == step / 100


def test_minutes_end_a_run(tmp_path):
    assert 0 < train(Toy(), replace(CONFIG, steps=10**9, minutes=0.002), tmp_path).step < 10**5


def test_gradients_are_clipped(tmp_path):
    """The logged norm is that before clipping; a step is as long as Adam makes it."""
    task = Toy()
    train(task, replace(CONFIG, steps=1, clip=1e-9), tmp_path)
    assert rows(tmp_path)[2][2] > 0.1
    before = Toy()
    moved = [abs(a - b) for a, b in zip(weights(task), weights(before), strict=True)]
    assert max(moved) < 0.9 * learning_rate(replace(CONFIG, steps=1), Progress(0))


def test_only_one_file_beside_the_log(tmp_path):
    train(Toy(), CONFIG, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([CHECKPOINT, "log.csv"])
