"""A search for hyper-parameters: many short runs, of which each is told how the others went.

The score of a trial is that of its last evaluation, or without clouds to score on the mean loss of
its last steps. Needs optuna, an extra.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pcc_cli.errors import UnsupportedError
from pcc_cli.training import loop
from pcc_cli.training.run import DEV_PACK, PACK, Settings

BEST = "best.toml"
_LAST = 50  # steps whose mean loss is the score where nothing is scored

Start = Callable[..., loop.Progress]  # as `run.start`, with data and devices given
Tried = Callable[[int, float, dict[str, Any]], None]


def tune(settings: Settings, out: Path, trials: int, start: Start, tried: Tried) -> Path:
    """The file with the best of `trials` settings; each trial is a run in a folder of `out`.

    UnsupportedError without optuna.
    """
    try:
        import optuna
    except ImportError as error:
        raise UnsupportedError("--tune needs optuna: pip install 'pcc-cli[tune]'") from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=settings.train.seed))

    def objective(trial: Any) -> float:
        sections = _suggested(trial, settings)
        folder = out / f"trial{trial.number:03d}"
        _share(out, folder)
        losses: list[float] = []
        start(
            settings.updated(sections, "trial"),
            out=folder,
            stepped=lambda progress, values: losses.append(values["loss"]),
        )
        _keep(folder, out)
        last = losses[-_LAST:]
        score = _scored(folder) or sum(last) / len(last)
        tried(trial.number + 1, score, trial.params)
        return score

    study.optimize(objective, n_trials=trials)
    best = settings.updated(_suggested(study.best_trial, settings), "trial")
    path = out / BEST
    path.write_text(_toml(asdict(best)))
    return path


def _suggested(trial: Any, settings: Settings) -> dict[str, dict[str, Any]]:
    """The sections of one trial."""
    rate = trial.suggest_float("rate", 1e-4, 5e-3, log=True)
    sections: dict[str, dict[str, Any]] = {"train": {"rate": rate}}
    if settings.codec == "deepcompress.1":
        width = trial.suggest_categorical("filters", [16, 24, 32, 48])
        sections["network"] = {
            "filters": [width, width * 3 // 16 * 8, 2 * width],
            "blocks": trial.suggest_int("blocks", 0, 2),
        }
        sections["recipe"] = {
            "gamma": trial.suggest_float("gamma", 0.0, 2.0),
            "alpha": trial.suggest_float("alpha", 0.4, 0.8),
        }
    else:
        sections["network"] = {
            "channels": trial.suggest_categorical("channels", [16, 32, 48, 64]),
            "hidden": trial.suggest_categorical("hidden", [32, 64, 96]),
            "blocks": trial.suggest_int("blocks", 0, 3),
        }
    return sections


def _share(out: Path, folder: Path) -> None:
    """Trials have one training set."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in (PACK, DEV_PACK):
        if (out / name).exists() and not (folder / name).exists():
            (folder / name).symlink_to((out / name).resolve())


def _keep(folder: Path, out: Path) -> None:
    for name in (PACK, DEV_PACK):
        if (folder / name).exists() and not (out / name).exists():
            (folder / name).rename(out / name)


def _scored(folder: Path) -> float | None:
    """The last score in the log of a run."""
    import csv

    with (folder / "log.csv").open(newline="") as file:
        scores = [float(row["value"]) for row in csv.DictReader(file) if row["name"] == "score"]
    return scores[-1] if scores else None


def _toml(sections: dict[str, Any]) -> str:
    """`sections` of numbers, texts, switches and lists, as TOML; JSON writes these alike."""
    lines = [f"codec = {json.dumps(sections.pop('codec'))}"]
    for name, values in sections.items():
        lines += ["", f"[{name}]", *(f"{k} = {json.dumps(v)}" for k, v in values.items())]
    return "\n".join(lines) + "\n"
