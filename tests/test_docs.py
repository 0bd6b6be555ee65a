"""The documents say what the program does: options, commands, links."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import typer.main

from pcc_cli.cli.app import VERBS, app

ROOT = Path(__file__).parent.parent
CLI = ROOT / "docs" / "cli.md"
DOCUMENTS = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]


def help_of(*argv: str) -> str:
    """What `pcc ... --help` prints on a terminal of 100 columns."""
    return subprocess.run(
        [sys.executable, "-m", "pcc_cli", *argv, "--help"],
        env={**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "100"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout


def reference() -> str:
    """docs/cli.md as it should be."""
    pages = ["# The command line\n\nMade by `pytest tests/test_docs.py --record` from `--help`.\n"]
    for argv in ([], *([verb] for verb in VERBS)):
        command = " ".join(["pcc", *argv])
        pages.append(f"## {command}\n\n```\n{help_of(*argv)}```\n")
    return "\n".join(pages)


def plain(text: str) -> str:
    """The text without what versions of typer do differently: blanks, types, braces."""
    return re.sub(r"<[^>\n]*>|[{}\s]", "", text)


def test_reference_equals_help(request: pytest.FixtureRequest) -> None:
    expected = reference()
    if request.config.getoption("--record"):
        CLI.write_text(expected, "utf-8")
    assert plain(CLI.read_text("utf-8")) == plain(expected)


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_and_option_has_help(verb: str) -> None:
    command = typer.main.get_command(app).commands[verb]  # type: ignore[attr-defined]
    assert command.help
    for parameter in command.params:
        assert parameter.help, f"pcc {verb}: {parameter.name}"


def shell_commands(document: Path) -> list[str]:
    """Every call of pcc in the ```sh blocks of a document."""
    blocks = re.findall(r"```sh\n(.*?)```", document.read_text("utf-8"), re.DOTALL)
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    parts = [part.strip() for line in lines for part in re.split(r"&&|\|", line.split(" #")[0])]
    return [part for part in parts if part.startswith("pcc ")]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_commands_in_documents_are_understood(document: Path) -> None:
    root = typer.main.get_command(app)
    for line in shell_commands(document):
        words = shlex.split(re.sub(r"[<>] *\S+", "", line))[1:]
        context = root.make_context("pcc", list(words))
        if words[0] in VERBS:
            verb = root.commands[words[0]]  # type: ignore[attr-defined]
            verb.make_context(words[0], words[1:], parent=context)


def test_readme_shows_every_verb_and_both_commands() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    for verb in ("compress", "decompress", "info", "eval"):
        assert f"pcc {verb} " in readme
    assert "pip install . && pcc compress docs/examples/scan.ply -o scan.dcz" in readme
    assert (ROOT / "docs" / "examples" / "scan.ply").is_file()


def test_ci_runs_the_test_command_of_the_readme() -> None:
    (command,) = re.findall(r"^.*&& pytest$", (ROOT / "README.md").read_text("utf-8"), re.MULTILINE)
    script = (ROOT / ".ci" / "run").read_text("utf-8")
    for step in command.replace("pip install", "pip install --quiet").split(" && ")[2:]:
        assert f"\n{step}\n" in script


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", document.read_text("utf-8")):
        if not target.startswith(("http://", "https://")):
            assert (document.parent / target).exists(), target
