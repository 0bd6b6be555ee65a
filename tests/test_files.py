"""cli/files.py: which files are meant, how results are named, what is refused, what is written."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer

from pcc_cli import formats
from pcc_cli.cli import files
from pcc_cli.cli.files import Pair
from pcc_cli.errors import InputError, OutputError


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("a.ply", "b.ply", "scans/c.ply", "scans/D.PLY", "scans/deep/e.ply", "scans/f.md"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def plan(*inputs: str, output: str | None = None, recursive: bool = False) -> list[Pair]:
    return files.plan(
        list(inputs),
        output,
        name=lambda path: Path(path).name + ".dcz",
        suffixes={".ply"},
        recursive=recursive,
    )


@pytest.mark.parametrize(
    ("inputs", "output", "expected"),
    [
        (["a.ply"], None, [("a.ply", "a.ply.dcz")]),
        (["scans/c.ply"], None, [("scans/c.ply", "scans/c.ply.dcz")]),
        (["a.ply"], "x.dcz", [("a.ply", "x.dcz")]),
        (["a.ply"], "scans", [("a.ply", "scans/a.ply.dcz")]),
        (["a.ply"], "new/", [("a.ply", "new/a.ply.dcz")]),
        (["./a.ply"], "x.dcz", [("a.ply", "x.dcz")]),
        (["-"], None, [("-", "-")]),
        (["-"], "x.dcz", [("-", "x.dcz")]),
        (["a.ply"], "-", [("a.ply", "-")]),
        (["[ab].ply"], "o", [("a.ply", "o/a.ply.dcz"), ("b.ply", "o/b.ply.dcz")]),
        (["missing.ply"], "x.dcz", [("missing.ply", "x.dcz")]),
    ],
)
def test_plan(
    here: Path, inputs: list[str], output: str | None, expected: list[tuple[str, str]]
) -> None:
    pairs = plan(*inputs, output=output)
    assert [(pair.source, pair.target) for pair in pairs] == expected


def test_a_folder_stands_for_its_files(here: Path) -> None:
    assert [pair.source for pair in plan("scans")] == ["scans/D.PLY", "scans/c.ply"]
    deep = [pair.target for pair in plan("scans", output="out", recursive=True)]
    assert deep == ["out/D.PLY.dcz", "out/c.ply.dcz", "out/deep/e.ply.dcz"]


@pytest.mark.parametrize(
    ("inputs", "output"),
    [
        (["-", "a.ply"], None),
        (["-"], "scans"),
        (["-"], "new/"),
        (["a.ply", "b.ply"], "-"),
        (["a.ply", "b.ply"], "x.dcz"),
        (["a.ply", "b.ply"], "a.ply"),
        (["scans"], "x.ply"),
        (["scans/c.ply", "scans/../scans/c.ply"], "out/"),
    ],
)
def test_what_cannot_be_meant(here: Path, inputs: list[str], output: str | None) -> None:
    with pytest.raises(typer.BadParameter):
        plan(*inputs, output=output)


@pytest.mark.parametrize(
    ("pair", "words"),
    [
        (Pair("a.ply", "b.ply"), "exists already"),
        (Pair("a.ply", "a.ply"), "is the input itself"),
        (Pair("a.ply", "scans"), "is a folder"),
        (Pair("a.ply", "nowhere/x.dcz"), "the folder nowhere does not exist"),
    ],
)
def test_targets_that_are_refused(here: Path, pair: Pair, words: str) -> None:
    with pytest.raises(OutputError, match=words):
        files.refuse(pair, force=False)


def test_force_spares_the_input_even_behind_a_link(here: Path) -> None:
    Path("link.dcz").symlink_to("a.ply")
    with pytest.raises(OutputError, match="is the input itself"):
        files.refuse(Pair("a.ply", "link.dcz"), force=True)
    files.refuse(Pair("a.ply", "b.ply"), force=True)


def test_sources_that_are_refused(here: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        files.refuse(Pair("missing.ply", "x.dcz"), force=False)
    with pytest.raises(InputError, match="is a folder"):
        files.refuse(Pair("scans", "x.dcz"), force=False)
    with pytest.raises(InputError, match="is a directory"):
        files.read("scans")


def test_a_target_appears_only_when_it_is_complete(here: Path) -> None:
    with files.writing(Pair("a.ply", "x.dcz"), force=False) as stream:
        stream.write(b"whole")
        assert not Path("x.dcz").exists()
    assert Path("x.dcz").read_bytes() == b"whole"


@pytest.mark.parametrize("error", [InputError, OSError, KeyboardInterrupt, SystemExit])
def test_a_failure_leaves_the_target_as_it_was(here: Path, error: type[BaseException]) -> None:
    before = sorted(path.name for path in here.iterdir())
    with (
        pytest.raises((error, OutputError)),
        files.writing(Pair("a.ply", "b.ply"), force=True) as stream,
    ):
        stream.write(b"half")
        raise error
    assert Path("b.ply").read_text() == "b.ply"
    assert sorted(path.name for path in here.iterdir()) == before


def test_a_target_that_somebody_else_makes_meanwhile_is_kept(here: Path) -> None:
    with (
        pytest.raises(OutputError, match="exists already"),
        files.writing(Pair("a.ply", "x.dcz"), force=False) as stream,
    ):
        stream.write(b"mine")
        Path("x.dcz").write_bytes(b"theirs")
    assert Path("x.dcz").read_bytes() == b"theirs"


def test_a_link_is_written_through(here: Path) -> None:
    Path("link.dcz").symlink_to("b.ply")
    with files.writing(Pair("a.ply", "link.dcz"), force=True) as stream:
        stream.write(b"new")
    assert Path("link.dcz").is_symlink()
    assert Path("b.ply").read_bytes() == b"new"


def test_a_folder_stands_for_files_with_two_suffixes_too(tmp_path: Path) -> None:
    for name in ("brain.nii.gz", "brain.nii", "notes.gz", "brain.nii.gz.dcz"):
        (tmp_path / name).write_bytes(b"")
    pairs = files.plan(
        [str(tmp_path)],
        None,
        name=lambda path: Path(path).name + ".dcz",
        suffixes=formats.FOLDER_SUFFIXES,
        recursive=False,
    )
    assert [Path(pair.source).name for pair in pairs] == ["brain.nii", "brain.nii.gz"]
