"""The command line, case by case: tests/cli/<verb>/<case>.toml.

    argv = ["compress", "cube.ply"]
    models = "models"           the folder with models, PCC_MODELS
    stdin = "cube.ply"          a file to pipe in
    before = [["compress", ...]]  commands to run first
    exit = 0
    stdout, stderr              what is printed; * stands for anything, seconds are written 0.0 s
    stdout_is = "cube.ply"      what is printed is this very file
    any_order = true            the lines may come in another order
    made = ["cube.ply.dcz"]     the new files
    same = [["a.ply", "b.ply"]]   files with equal bytes afterwards

The folder that a case runs in is made by tests/cli/inputs.py. `pytest tests/test_cli.py --record`
writes what is printed now into the cases that fail.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from cli import inputs

tomllib = import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")

CASES = sorted((Path(__file__).parent / "cli").glob("*/*.toml"))
PACKAGE = Path(inputs.container.__file__).parent.parent
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(PACKAGE), "COLUMNS": "80", "OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The inputs, made once."""
    made = tmp_path_factory.mktemp("cli") / "inputs"
    made.mkdir()
    inputs.make(made)
    return made


def run(
    argv: list[str], folder: Path, stdin: bytes = b"", **environment: str
) -> subprocess.CompletedProcess[bytes]:
    """The command `pcc`, in `folder`."""
    return subprocess.run(
        [sys.executable, "-m", "pcc_cli", *argv],
        cwd=folder,
        env={**ENVIRONMENT, **environment},
        input=stdin,
        capture_output=True,
        check=False,
    )


def contents(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def matches(text: str, pattern: str) -> bool:
    parts = [re.escape(part) for part in pattern.split("*")]
    return re.fullmatch(".*".join(parts), text, re.DOTALL) is not None


def in_order(text: str) -> str:
    return "".join(sorted(text.splitlines(keepends=True)))


def steady(output: bytes) -> str:
    """The text without what differs between two runs."""
    text = re.sub(r"\b\d+\.\d s\b", "0.0 s", output.decode())
    return re.sub(r'"seconds": [\d.]+', '"seconds": 0.0', text)


@pytest.mark.parametrize("path", CASES, ids=[f"{path.parent.name}-{path.stem}" for path in CASES])
def test_case(path: Path, folder: Path, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    case = tomllib.loads(path.read_text("utf-8"))
    here = tmp_path / "here"
    shutil.copytree(folder, here)
    for argv in case.get("before", []):
        done = run(argv, here)
        assert done.returncode == 0, done.stderr.decode()
    before = contents(here)
    stdin = (here / case["stdin"]).read_bytes() if "stdin" in case else b""
    models = {"PCC_MODELS": str(here / case["models"])} if "models" in case else {}
    done = run(case["argv"], here, stdin, **models)
    seen = {"exit": done.returncode, "stderr": steady(done.stderr)}
    if "stdout_is" in case:
        assert done.stdout == (here / case["stdout_is"]).read_bytes()
    else:
        seen["stdout"] = steady(done.stdout)
    seen["made"] = sorted(contents(here) - before)
    assert before <= contents(here), "a source is gone"
    if request.config.getoption("--record"):
        record(path, case, seen)
    else:
        check(case, seen)
    for one, other in case.get("same", []):
        assert (here / one).read_bytes() == (here / other).read_bytes()


def check(case: dict[str, Any], seen: dict[str, Any]) -> None:
    assert "Traceback" not in seen["stderr"]
    assert (case["exit"], case.get("made", [])) == (seen["exit"], seen["made"]), seen["stderr"]
    for stream in {"stdout", "stderr"} & set(seen):
        assert fits(case, seen, stream), f"{seen[stream]!r} is not {case.get(stream, '')!r}"


def fits(case: dict[str, Any], seen: dict[str, Any], stream: str) -> bool:
    text, expected = seen[stream], case.get(stream, "")
    if case.get("any_order"):
        text, expected = in_order(text), in_order(expected)
    return matches(text, expected)


def record(path: Path, case: dict[str, Any], seen: dict[str, Any]) -> None:
    """Rewrites the case with what was seen, where that is not what it expects."""
    streams = {"stdout", "stderr"} & set(seen) & set(case)
    kept = {stream: case[stream] for stream in streams if fits(case, seen, stream)}
    changed = {**case, **seen, **kept}
    told = {name: value for name, value in changed.items() if value or name in ("argv", "exit")}
    lines = [f"{name} = {as_toml(value)}\n" for name, value in told.items()]
    path.write_text("".join(lines), "utf-8")


def as_toml(value: Any) -> str:
    """A literal string of several lines for text, and JSON, which is TOML, too, for all else."""
    return f"'''\n{value}'''" if isinstance(value, str) and "\n" in value else json.dumps(value)
