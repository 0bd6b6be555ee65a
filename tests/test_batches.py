"""Many files in one call: three bad ones among them, runs that are stopped, and runs that go on."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from pcc_cli import api
from pcc_cli.formats import ply
from pcc_cli.geometry import PointCloud

ROOT = Path(__file__).parent.parent
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "100"}
BROKEN = ("cut", "text", "empty")


def command(*argv: str) -> list[str]:
    return [sys.executable, "-m", "pcc_cli", "compress", "scans", "-o", "packed", "-r", *argv]


def make(folder: Path, files: int, points: int) -> None:
    """`files` scans in two folders, three of them broken: as many as the files that are not."""
    rng = np.random.default_rng(0)
    for number in range(files - len(BROKEN)):
        cloud = PointCloud(
            rng.integers(0, 500, (points, 3)).astype(np.float32),
            {"intensity": rng.integers(0, 256, points).astype(np.uint8)},
        )
        path = folder / "scans" / ("deep" if number % 2 else "") / f"{number:03}.ply"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(ply.write(cloud))
    whole = (folder / "scans" / "000.ply").read_bytes()
    for name, data in zip(BROKEN, (whole[:-9], b"no scan\n", b""), strict=True):
        (folder / "scans" / f"{name}.ply").write_bytes(data)


def packed(folder: Path) -> list[Path]:
    return sorted((folder / "packed").rglob("*.dcz"))


def check_all(folder: Path) -> None:
    """Every scan that is not broken has its file, which decodes, and there is nothing else."""
    sources = [p for p in (folder / "scans").rglob("*.ply") if p.stem not in BROKEN]
    expected = {f"{p.relative_to(folder / 'scans')}.dcz" for p in sources}
    found = {p for p in (folder / "packed").rglob("*") if p.is_file()}
    assert {str(p.relative_to(folder / "packed")) for p in found} == expected
    for path in found:
        assert len(api.decompress(path.read_bytes())) > 0


def check_failures(stderr: str, files: int) -> None:
    *_, titles, sums, headline, cut, empty, text = stderr.splitlines()
    assert titles.split()[:3] == ["files", "failed", "skipped"]
    assert sums.split()[1] == "3"
    assert headline == f"pcc: 3 of {files} files failed:"
    assert {cut, empty, text} == {
        "pcc: scans/cut.ply: truncated: the data end within the element 'vertex'",
        "pcc: scans/empty.ply: the file is empty",
        text,
    }
    assert any("scans/text.ply" in line for line in (cut, empty, text))


def run_with_broken_files(folder: Path, files: int, points: int, *argv: str) -> None:
    make(folder, files, points)
    argv = ("--jobs", "2", "--json", *argv)
    done = subprocess.run(
        command(*argv), cwd=folder, env=ENVIRONMENT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    records = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(records) == files
    assert {r["input"] for r in records if "error" in r} == {f"scans/{n}.ply" for n in BROKEN}
    check_failures(in_order(done.stderr), files)
    check_all(folder)


def in_order(stderr: str) -> str:
    """The failures, which come as the files are finished, by name."""
    *lines, first, second, third = stderr.splitlines(keepends=True)
    return "".join([*lines, *sorted((first, second, third))])


def run_stopped_and_again(
    folder: Path, files: int, points: int, number: signal.Signals, *argv: str
) -> None:
    make(folder, files, points)
    process = subprocess.Popen(
        command("--jobs", "2", *argv),
        cwd=folder,
        env=ENVIRONMENT,
        stderr=subprocess.PIPE,
        text=True,
    )
    while len(packed(folder)) < files // 3 and process.poll() is None:
        time.sleep(0.01)
    os.kill(process.pid, number)
    _, talk = process.communicate(timeout=60)
    assert 0 < len(packed(folder)) < files - len(BROKEN), "it was stopped too late"
    if number != signal.SIGKILL:
        assert process.returncode == 128 + number
        said = re.search(rf"stopped by {number.name}: (\d+) of {files} files done", talk)
        assert said and int(said[1]) <= len(packed(folder))
        assert not list(folder.rglob("*.tmp"))
    for path in packed(folder):
        api.decompress(path.read_bytes())
    again = subprocess.run(
        command("--jobs", "2", "--skip-existing", *argv),
        cwd=folder,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert again.returncode == 1
    assert "skipped, done already" in again.stderr
    check_failures(in_order(again.stderr), files)
    check_all(folder)


STOPS = [signal.SIGINT, signal.SIGTERM, signal.SIGKILL]


def test_broken_files_do_not_stop_the_others(tmp_path: Path) -> None:
    run_with_broken_files(tmp_path, 12, 200, "--codec", "plain")


@pytest.mark.parametrize("number", STOPS, ids=lambda number: number.name)
def test_a_stopped_batch_goes_on(tmp_path: Path, number: signal.Signals) -> None:
    run_stopped_and_again(tmp_path, 24, 20_000, number, "--codec", "plain")


@pytest.mark.slow
def test_broken_files_among_200(tmp_path: Path) -> None:
    run_with_broken_files(tmp_path, 200, 2000)


@pytest.mark.slow
@pytest.mark.parametrize("number", STOPS, ids=lambda number: number.name)
def test_a_stopped_batch_of_200_goes_on(tmp_path: Path, number: signal.Signals) -> None:
    run_stopped_and_again(tmp_path, 200, 2000, number)


def test_what_a_killed_run_left_is_swept(tmp_path: Path) -> None:
    make(tmp_path, 4, 20)
    stale = tmp_path / "packed" / ".pcc-0123456789abcdef.tmp"
    stale.parent.mkdir()
    stale.write_bytes(b"half")
    held = tmp_path / "packed" / ".pcc-fedcba9876543210.tmp"
    script = "import fcntl, sys; f = open(sys.argv[1], 'wb'); fcntl.flock(f, 2); print(); input()"
    with subprocess.Popen(
        [sys.executable, "-c", script, str(held)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as writer:
        assert writer.stdout is not None and writer.stdout.readline()
        subprocess.run(
            command("--codec", "plain"),
            cwd=tmp_path,
            env=ENVIRONMENT,
            capture_output=True,
            check=False,
        )
        assert held.exists(), "somebody still writes it"
        writer.communicate(b"\n")
    assert not stale.exists()
