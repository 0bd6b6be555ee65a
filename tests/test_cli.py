"""The command line, case by case: tests/cli/<verb>/<case>.toml.

    argv = ["compress", "cube.ply"]
    models = "models"           the folder for PCC_MODELS
    process = true              in a process of its own, as with models
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

import functools
import io
import json
import os
import re
import shutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from cli import inputs

from pcc_cli.cli.app import app

tomllib = import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")

CASES = sorted((Path(__file__).parent / "cli").glob("*/*.toml"))
PACKAGE = Path(inputs.container.__file__).parent.parent
SETTINGS = {"COLUMNS": "80", "OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The inputs, made once."""
    made = tmp_path_factory.mktemp("cli") / "inputs"
    made.mkdir()
    inputs.make(made)
    return made


class Done(NamedTuple):
    """How a command ended, and what it printed."""

    code: int
    stdout: bytes
    stderr: bytes


class Stream(io.TextIOWrapper):
    """A standard stream in memory."""

    def __init__(self, data: bytes = b"") -> None:
        self.bytes = io.BytesIO(data)
        super().__init__(self.bytes, encoding="utf-8", write_through=True)


def run(argv: list[str], folder: Path, stdin: bytes = b"") -> Done:
    """The command line in this process, which takes a tenth of the time of a new one."""
    streams = {"stdin": Stream(stdin), "stdout": Stream(), "stderr": Stream()}
    with pytest.MonkeyPatch.context() as patch:
        for name, stream in streams.items():
            patch.setattr(sys, name, stream)
        for name, value in SETTINGS.items():
            patch.setenv(name, value)
        patch.chdir(folder)
        with pytest.raises(SystemExit) as ended:
            app(argv, prog_name="pcc")
    code = ended.value.code
    assert isinstance(code, int)
    return Done(code, streams["stdout"].bytes.getvalue(), streams["stderr"].bytes.getvalue())


def run_process(argv: list[str], folder: Path, stdin: bytes = b"", **environment: str) -> Done:
    """The command in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "pcc_cli", *argv],
        cwd=folder,
        env={**os.environ, **SETTINGS, "PYTHONPATH": str(PACKAGE), **environment},
        input=stdin,
        capture_output=True,
        check=False,
    )
    return Done(done.returncode, done.stdout, done.stderr)


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
    runner = run
    if "models" in case or case.get("process"):
        runner = functools.partial(
            run_process, PCC_MODELS=str(here / case.get("models", "nothing"))
        )
    for argv in case.get("before", []):
        done = runner(argv, here)
        assert done.code == 0, done.stderr.decode()
    before = contents(here)
    stdin = (here / case["stdin"]).read_bytes() if "stdin" in case else b""
    done = runner(case["argv"], here, stdin)
    seen = {"exit": done.code, "stderr": steady(done.stderr)}
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
