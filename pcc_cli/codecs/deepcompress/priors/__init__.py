"""The table of all entropy models."""

from __future__ import annotations

from importlib import import_module

from pcc_cli.codecs.deepcompress.priors.base import Prior
from pcc_cli.errors import UnsupportedError

_BASE = "pcc_cli.codecs.deepcompress.priors."
PRIORS = {
    "gaussian": "gaussian:Gaussian",
    "hyperprior": "hyperprior:Hyperprior",
    "channel": "channel:Channel",
    "context": "context:Context",
    "attention": "attention:Attention",
    "hybrid": "hybrid:Hybrid",
}


def get(name: str) -> type[Prior]:
    """The entropy model `name`; UnsupportedError when there is none."""
    if name not in PRIORS:
        raise UnsupportedError(f"unknown entropy model '{name}'; choose {', '.join(PRIORS)}")
    module, _, cls = PRIORS[name].partition(":")
    found: type[Prior] = getattr(import_module(_BASE + module), cls)
    return found
