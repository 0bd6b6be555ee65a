"""Trained models: found by id, verified, loaded. Never from the network, never pickle.

A model is a folder `<id>/` with `config.json`, `weights.safetensors` and a card `README.md`. It is
looked for in the folder named by PCC_MODELS, then in the installed package, then in the `models/`
of a source checkout. Its digest is the SHA-256 of config and weights together; files name it.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

from torch import Tensor

from pcc_cli.errors import InputError, ModelError

Config = TypeVar("Config")

_ID = re.compile(r"[a-z0-9][a-z0-9.-]{0,63}")


@dataclass(frozen=True)
class Model:
    """config : JSON; tensors : name -> Tensor; sha256 : hex digest of both."""

    id: str
    config: dict[str, Any]
    tensors: dict[str, Tensor]
    sha256: str


def folders() -> Iterator[Path]:
    """The folders that may hold models, in the order of search."""
    if custom := os.environ.get("PCC_MODELS"):
        yield Path(custom)
    package = Path(__file__).resolve().parent
    yield package / "_models"
    yield package.parent / "models"


def digest(config: bytes, weights: bytes) -> str:
    """The SHA-256 (hex) that names a model."""
    return hashlib.sha256(len(config).to_bytes(8, "little") + config + weights).hexdigest()


@lru_cache(maxsize=4)
def load(model_id: str) -> Model:
    """The model `model_id`. Raises ModelError when there is none or it is damaged."""
    from safetensors.torch import load as parse

    if not _ID.fullmatch(model_id):
        raise ModelError(f"'{model_id}' is not a model id")
    for folder in folders():
        path = folder / model_id
        if (path / "weights.safetensors").is_file():
            break
    else:
        raise ModelError(
            f"model '{model_id}' is not installed; set PCC_MODELS to the folder that holds it"
        )
    try:
        config = (path / "config.json").read_bytes()
        weights = (path / "weights.safetensors").read_bytes()
        settings = json.loads(config)
        if not isinstance(settings, dict):
            raise ValueError("config.json holds no object")
        return Model(model_id, settings, parse(weights), digest(config, weights))
    except Exception as error:
        raise ModelError(f"model '{model_id}' in {path} cannot be read: {error}") from error


def require(model_id: str, sha256: str) -> Model:
    """The model `model_id` with exactly this digest. Raises ModelError."""
    model = load(model_id)
    if model.sha256 != sha256:
        raise ModelError(
            f"the file needs model '{model_id}' with sha256 {sha256[:12]}..., "
            f"but the installed one has {model.sha256[:12]}..."
        )
    return model


def load_network(
    model_id: str, sha256: str | None, architecture: str, kind: Callable[..., Config]
) -> tuple[Model, Config]:
    """The model `model_id` and the `kind` of config that describes its network.

    sha256 : the digest that it must have, None for any
    architecture : that the network must have

    Raises ModelError.
    """
    model = load(model_id) if sha256 is None else require(model_id, sha256)
    found = model.config.get("architecture")
    if found != architecture:
        raise ModelError(
            f"model '{model_id}' is of the architecture '{found}', the codec needs "
            f"'{architecture}'; choose another model"
        )
    try:
        return model, kind(**model.config["network"])
    except (KeyError, TypeError, InputError) as error:
        raise ModelError(f"model '{model_id}' has no valid description: {error}") from error
