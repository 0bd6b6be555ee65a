"""From a training run to a model folder: integer weights, configuration, and a card to complete."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor

from pcc_cli import __version__
from pcc_cli.training.loop import Progress
from pcc_cli.training.recipes.base import Sample

MODEL = "model"  # the folder in a run


def export_model(
    folder: Path, config: dict[str, Any], tensors: dict[str, Tensor], card: str
) -> None:
    """Writes `config.json`, `weights.safetensors` and `README.md` into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    (folder / "weights.safetensors").write_bytes(save(tensors))
    (folder / "README.md").write_text(card)


def card(
    settings: dict[str, Any],
    progress: Progress,
    samples: Sequence[Sample],
    tensors: dict[str, Tensor],
) -> str:
    """The facts of a run, in Markdown; data licences, scores and limits are for a person to add."""
    domains = Counter(sample.domain for sample in samples)
    shares = ", ".join(f"{count} {domain}" for domain, count in sorted(domains.items()))
    size_bytes = sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())
    return "\n".join(
        [
            "# A trained model",
            "",
            f"- Made by pcc {__version__}, torch {torch.__version__}",
            f"- {progress.step:,} steps in {progress.seconds / 60:.0f} minutes",
            f"- Training clouds: {shares}",
            f"- Weights: {size_bytes:,} bytes",
            "",
            "Settings of the run:",
            "",
            "```json",
            json.dumps(settings, indent=2),
            "```",
            "",
        ]
    )
