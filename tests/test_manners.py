"""How the command behaves where no case file reaches: terminals, signals, pipes, full disks."""

from __future__ import annotations

import os
import re
import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pcc_cli.formats import ply
from pcc_cli.geometry import PointCloud

pty = pytest.importorskip("pty", reason="needs a POSIX system")

ROOT = Path(__file__).parent.parent
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "80", "OMP_NUM_THREADS": "1"}
PCC = [sys.executable, "-m", "pcc_cli"]
PLAIN = ["--codec", "plain"]


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    points = np.random.default_rng(0).integers(0, 1000, (20_000, 3)).astype(np.float32)
    path = tmp_path / "scan.ply"
    path.write_bytes(ply.write(PointCloud(points)))
    return path


def on_terminal(argv: list[str], folder: Path, **environment: str) -> tuple[int, str]:
    """Exit code and output of pcc with all three streams on one terminal."""
    mine, theirs = pty.openpty()
    process = subprocess.Popen(
        [*PCC, *argv],
        cwd=folder,
        env={**ENVIRONMENT, "TERM": "xterm", **environment},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    output = b""
    try:
        while chunk := os.read(mine, 1 << 16):
            output += chunk
    except OSError:  # Linux reports the end of the terminal so
        pass
    os.close(mine)
    return process.wait(), output.decode()


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_binary_is_not_written_to_a_terminal(scan: Path) -> None:
    code, output = on_terminal(["compress", "scan.ply", "-o", "-", *PLAIN], scan.parent)
    assert (code, output) == (
        1,
        "pcc: standard output is a terminal; pipe it on, or give -o FILE\r\n",
    )


def test_nothing_is_awaited_from_a_terminal(scan: Path) -> None:
    code, output = on_terminal(["compress", "-", "-o", "new.dcz", *PLAIN], scan.parent)
    assert code == 1
    assert "standard input is a terminal" in output


def test_a_terminal_gets_a_bar_without_colours_when_asked(scan: Path) -> None:
    argv = ["compress", "scan.ply", "--force", *PLAIN]
    colour = re.compile(r"\x1b\[[\d;]*m")
    code, output = on_terminal(argv, scan.parent)
    assert code == 0
    assert "scan.ply: done" in output
    assert colour.search(output)
    code, output = on_terminal(argv, scan.parent, NO_COLOR="1")
    assert code == 0
    assert "scan.ply: done" in output
    assert not colour.search(output)
    code, output = on_terminal([*argv, "-q"], scan.parent)
    assert (code, output) == (0, "")


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_a_signal_leaves_nothing_behind(tmp_path: Path, number: int, code: int) -> None:
    fifo = tmp_path / "in.ply"
    os.mkfifo(fifo)
    process = subprocess.Popen(
        [*PCC, "compress", "in.ply", "-o", "out.dcz"],
        cwd=tmp_path,
        env=ENVIRONMENT,
        stderr=subprocess.PIPE,
    )
    with fifo.open("wb"):  # opens when pcc reads it, which then waits for us
        process.send_signal(number)
        _, talk = process.communicate(timeout=20)
    assert (process.returncode, talk) == (code, b"")
    assert left(tmp_path) == ["in.ply"]


def test_interrupted_processes_end_and_tidy_up(tmp_path: Path) -> None:
    for name in ("a.ply", "b.ply", "c.ply"):
        os.mkfifo(tmp_path / name)
    process = subprocess.Popen(
        [*PCC, "compress", "a.ply", "b.ply", "c.ply", "-o", "out/", "--jobs", "2", *PLAIN],
        cwd=tmp_path,
        env=ENVIRONMENT,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    with (tmp_path / "a.ply").open("wb"), (tmp_path / "b.ply").open("wb"):
        os.killpg(process.pid, signal.SIGINT)  # as the terminal does on Ctrl-C
        _, talk = process.communicate(timeout=20)
    assert process.returncode == 130
    assert talk == (
        b"pcc: stopped by SIGINT: 0 of 3 files done; --skip-existing goes on with the rest\n"
    )
    assert left(tmp_path) == ["a.ply", "b.ply", "c.ply"]


def test_a_reader_that_goes_away_ends_the_work_quietly(scan: Path) -> None:
    process = subprocess.Popen(
        [*PCC, "compress", "scan.ply", "-o", "-", "-q", *PLAIN],
        cwd=scan.parent,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    talk = process.stderr.read()
    process.stderr.close()
    assert (process.wait(), talk) == (141, b"")


def run(
    argv: list[str], folder: Path, prepare: Callable[[], None] | None = None, **streams: int
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*PCC, *argv],
        cwd=folder,
        env=ENVIRONMENT,
        preexec_fn=prepare,
        text=True,
        check=False,
        **(streams or {"capture_output": True}),  # type: ignore[call-overload]
    )


def test_a_disk_that_fills_up_leaves_no_half_file(scan: Path) -> None:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))

    done = run(["compress", "scan.ply", *PLAIN], scan.parent, limit)
    assert done.returncode == 1
    assert done.stderr == "pcc: scan.ply.dcz: cannot be written: file too large\n"
    assert left(scan.parent) == ["scan.ply"]


def test_a_full_standard_output_is_reported(scan: Path) -> None:
    with open("/dev/full", "wb") as full:
        done = run(
            ["compress", "scan.ply", "-o", "-", *PLAIN],
            scan.parent,
            stdout=full.fileno(),
            stderr=subprocess.PIPE,
        )
    assert done.returncode == 1
    assert done.stderr == "pcc: standard output: cannot be written: no space left on device\n"


def test_a_closed_standard_error_does_not_spoil_the_result(scan: Path) -> None:
    command = f'"{sys.executable}" -m pcc_cli compress scan.ply -o - --codec plain 2>&-'
    done = subprocess.run(
        command, shell=True, cwd=scan.parent, env=ENVIRONMENT, stdout=subprocess.PIPE, check=True
    )
    assert done.stdout.startswith(b"\x89DCZ")
    assert b" points, " not in done.stdout


def test_a_result_has_the_mode_and_time_of_its_source(scan: Path) -> None:
    scan.chmod(0o640)
    os.utime(scan, (1_000_000_000, 1_000_000_000))
    assert run(["compress", "scan.ply", *PLAIN], scan.parent).returncode == 0
    status = (scan.parent / "scan.ply.dcz").stat()
    assert status.st_mode & 0o777 == 0o640
    assert status.st_mtime == 1_000_000_000


def test_debug_shows_where_an_error_arose(scan: Path) -> None:
    done = run(["compress", "missing.ply", "--debug"], scan.parent)
    assert done.returncode == 1
    assert done.stderr.startswith("Traceback ")
    assert done.stderr.endswith("pcc: missing.ply: cannot be read: no such file or directory\n")


@pytest.mark.parametrize("argv", [["--help"], ["compress", "--help"], ["--version"]])
def test_help_imports_nothing_heavy(argv: list[str]) -> None:
    script = (
        "import sys\nfrom pcc_cli.cli.main import main\n"
        f"sys.argv = ['pcc', *{argv!r}]\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "print('heavy:', {'torch', 'numpy', 'scipy', 'rich.progress'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], env=ENVIRONMENT, capture_output=True, text=True, check=True
    )
    assert done.stdout.endswith("heavy: set()\n")


def test_info_does_not_import_torch(scan: Path) -> None:
    assert run(["compress", "scan.ply", *PLAIN], scan.parent).returncode == 0
    script = (
        "import sys\nfrom pcc_cli.cli.main import main\n"
        "sys.argv = ['pcc', 'info', 'scan.ply.dcz']\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "print('torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=scan.parent,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.endswith("False\n")
