"""The scan that an evaluation without inputs runs on: a generated one, part of the package."""

from __future__ import annotations

from pathlib import Path

from pcc_cli.errors import InputError

NAME = "scan.ply"


def path() -> Path:
    """Where the example is: in the installed package, or in a source checkout."""
    package = Path(__file__).resolve().parent.parent
    for folder in (package / "_examples", package.parent / "docs" / "examples"):
        if (folder / NAME).is_file():
            return folder / NAME
    raise InputError("the example scan is not installed; name a file")
