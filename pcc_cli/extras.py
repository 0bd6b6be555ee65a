"""Packages that come with an extra: imported when asked for, with a message without them."""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import version
from typing import Any

from pcc_cli.errors import UnsupportedError

PEERS, CLASSICAL = "peers", "classical"


def load(module: str, package: str, extra: str = PEERS) -> Any:
    """The module. UnsupportedError, with the command that installs it, when it is missing."""
    try:
        return import_module(module)
    except ImportError as error:
        raise UnsupportedError(
            f"the package {package} is not installed: pip install 'pcc-cli[{extra}]'"
        ) from error


def version_of(module: str, package: str) -> str:
    """Name and version of the package, loaded; errors as in `load`."""
    load(module, package)
    return f"{package} {version(package)}"
