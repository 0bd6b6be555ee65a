"""Configuration files of the original DeepCompress, YAML, as settings of a run.

Its keys stand in sections `data`, `model` and `training`, or at the top; both are taken here. What
they mean in pcc is said in docs/training.md. A key that is not known, or that has a wrong value,
is an error.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pcc_cli.errors import InputError
from pcc_cli.training.run import Settings

CODEC = "deepcompress.1"
SECTIONS = ("data", "model", "training")


@dataclass(frozen=True)
class Original:
    """settings : sections for `Settings.updated`
    data, dev : folders; out : where the run lives, or None
    """

    settings: dict[str, Any]
    data: list[Path] = field(default_factory=list)
    dev: list[Path] = field(default_factory=list)
    out: Path | None = None


def load(path: Path) -> Original:
    """The configuration in `path`; InputError that names the key that is wrong."""
    import yaml

    try:
        values = yaml.safe_load(path.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f"{path}: is not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(values, dict):
        raise InputError(f"{path}: holds no keys with values")
    found = _flat(values, path)
    reader = _Reader(found, path)
    original = reader.original()
    left = sorted(set(found) - reader.used)
    if left:
        known = ", ".join(sorted(reader.used | reader.asked))
        raise InputError(f"{path}: unknown key '{left[0]}'; known: {known}")
    return original


def _flat(values: Mapping[Any, Any], path: Path) -> dict[str, Any]:
    """All keys in one mapping; a key may stand in one place only."""
    flat: dict[str, Any] = {}
    parts = [(key, values[key]) for key in values if key not in SECTIONS]
    for section in SECTIONS:
        inner = values.get(section) or {}
        if not isinstance(inner, dict):
            raise InputError(f"{path}: '{section}' must hold keys with values")
        parts += inner.items()
    for key, value in parts:
        if key in flat:
            raise InputError(f"{path}: '{key}' stands there twice")
        flat[str(key)] = value
    return flat


class _Reader:
    """Takes keys out of a configuration, checked."""

    def __init__(self, values: dict[str, Any], path: Path) -> None:
        self._values, self._path = values, path
        self.used: set[str] = set()
        self.asked: set[str] = set()

    def original(self) -> Original:
        samples = self._take("samples", _whole, 1) or Settings(CODEC).data.samples
        batch = self._take("batch_size", _whole, 1)
        epochs = self._take("epochs", _whole, 1)
        train = {"batch": batch, "patience": self._take("patience", _whole, 0)}
        if epochs:
            train["steps"] = epochs * math.ceil(samples / (batch or 1))
        rates = self._rates()
        train["rate"] = rates.pop("rate", None)
        resolution = self._take("resolution", _whole, 2)
        sections = {
            "data": {
                "samples": samples,
                "resolution": resolution,
                "block_size": self._block_size(resolution),
                "min_points": self._take("min_points", _whole, 0),
            },
            "network": {
                "filters": self._filters(),
                "activation": self._take("activation", _one_of("relu", "gdn", "cenic_gdn")),
                "conv_type": self._conv_type(),
            },
            "recipe": {
                "entropy_models": self._entropy_model(),
                "augment": self._take("augment", _switch),
                "mixed_precision": self._take("mixed_precision", _switch),
                **self._focal_loss(),
                **rates,
            },
            "train": train,
        }
        settings = {
            name: {key: value for key, value in section.items() if value is not None}
            for name, section in sections.items()
        }
        out = self._take("checkpoint_dir", _text)
        return Original(
            settings,
            self._folders("modelnet40_path", "training_path", "train_path"),
            self._folders("ivfb_path", "evaluation_path", "validation_path"),
            Path(out) if out else None,
        )

    def _take(self, key: str, check: Callable[..., Any], *limits: float) -> Any:
        self.asked.add(key)
        if key not in self._values:
            return None
        self.used.add(key)
        try:
            return check(self._values[key], *limits)
        except ValueError as error:
            raise self._wrong(key, str(error)) from None

    def _wrong(self, key: str, wanted: str) -> InputError:
        value = self._values[key]
        return InputError(f"{self._path}: '{key}' must be {wanted}, not {value!r}")

    def _folders(self, *keys: str) -> list[Path]:
        given = [self._take(key, _text) for key in keys]
        return [Path(text) for text in given if text]

    def _block_size(self, resolution: int | None) -> int | None:
        """Whole voxels, or a part of the frame from -1 to 1, as the original has it."""
        size = self._take("block_size", _number, 0)
        if size is None or size == int(size) > 2:
            return None if size is None else int(size)
        if not 0 < size <= 2:
            raise self._wrong("block_size", "whole voxels, or a part of the frame of length 2")
        return max(1, round(size / 2 * (resolution or 64)))

    def _filters(self) -> list[int] | None:
        filters = self._take("filters", _filters)
        return [filters, 2 * filters, 3 * filters] if isinstance(filters, int) else filters

    def _conv_type(self) -> str | None:
        kind = self._take("conv_type", _one_of("separable", "standard", "full"))
        return "full" if kind == "standard" else kind

    def _entropy_model(self) -> list[str] | None:
        from pcc_cli.codecs.deepcompress.priors import PRIORS

        name = self._take("entropy_model", _one_of(*PRIORS))
        return None if name is None else [name]

    def _focal_loss(self) -> dict[str, float]:
        inner = self._take("focal_loss", _mapping("alpha", "gamma")) or {}
        nested = _Reader({f"focal_loss.{k}": v for k, v in inner.items()}, self._path)
        parts = {"alpha": nested._take("focal_loss.alpha", _number, 0, 1),
                 "gamma": nested._take("focal_loss.gamma", _number, 0)}  # fmt: skip
        return {name: value for name, value in parts.items() if value is not None}

    def _rates(self) -> dict[str, float]:
        """The rate of Adam for the transforms, and what that of the entropy models is in it."""
        inner = self._take("learning_rates", _mapping("reconstruction", "entropy")) or {}
        nested = _Reader({f"learning_rates.{k}": v for k, v in inner.items()}, self._path)
        rate = nested._take("learning_rates.reconstruction", _number, 0)
        entropy = nested._take("learning_rates.entropy", _number, 0)
        found = {} if rate is None else {"rate": rate}
        if entropy is not None:
            found["entropy_rate"] = entropy / (rate or Settings(CODEC).train.rate)
        return found


def _whole(value: Any, least: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ValueError(f"a whole number, {least} or more")
    return value


def _number(value: Any, least: float, most: float = math.inf) -> float:
    if isinstance(value, str):  # YAML takes 1e-4, without a point, for text
        value = _parsed(value)
    if not isinstance(value, int | float) or isinstance(value, bool) or not least <= value <= most:
        span = f"from {least:g} to {most:g}" if math.isfinite(most) else f"{least:g} or more"
        raise ValueError(f"a number, {span}")
    return float(value)


def _parsed(text: str) -> Any:
    try:
        return float(text)
    except ValueError:
        return text


def _switch(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("true or false")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError("a path")
    return value


def _filters(value: Any) -> int | list[int]:
    values = value if isinstance(value, list) else [value]
    if len(values) not in (1, 3) or any(type(v) is not int or v < 8 or v % 8 for v in values):
        raise ValueError("a multiple of 8, or three of them")
    return value if isinstance(value, list) and len(value) == 3 else values[0]


def _one_of(*names: str) -> Callable[[Any], str]:
    def check(value: Any) -> str:
        if value not in names:
            raise ValueError(f"one of {', '.join(names)}")
        return str(value)

    return check


def _mapping(*keys: str) -> Callable[[Any], dict[str, Any]]:
    def check(value: Any) -> dict[str, Any]:
        if not isinstance(value, dict) or set(value) - set(keys):
            raise ValueError(f"keys {' and '.join(keys)} with values")
        return value

    return check
