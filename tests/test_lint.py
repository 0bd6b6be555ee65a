"""The tools that check the code have nothing to say; `pyproject.toml` sets how strict they are."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.parametrize(
    "arguments",
    [["ruff", "check", "."], ["ruff", "format", "--check", "."], ["mypy"]],
    ids=" ".join,
)
def test_silence(arguments: list[str], tmp_path: Path) -> None:
    if arguments == ["mypy"]:
        arguments = [*arguments, "--cache-dir", str(tmp_path)]
    command = [sys.executable, "-m", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
