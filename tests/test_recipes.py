"""docs/recipes.md: every command in it runs; files by URL, in memory and from a server."""

from __future__ import annotations

import functools
import gzip
import http.server
import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import fsspec
import numpy as np
import pytest
from test_cli import run

import pcc_cli
from pcc_cli import locations
from pcc_cli.errors import InputError, OutputError, UnsupportedError

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "docs" / "recipes.md").read_text("utf-8")
COMMANDS = [
    line
    for block in re.findall(r"```sh\n(.*?)```", TEXT, re.DOTALL)
    for line in block.splitlines()
    if line
]
LOCAL = [line for line in COMMANDS if "://" not in line]
REMOTE = [line for line in COMMANDS if "://" in line]


def cloud(seed: int) -> pcc_cli.PointCloud:
    points = np.random.default_rng(seed).integers(-20, 20, (100, 3)).astype(np.float32)
    return pcc_cli.PointCloud(points)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with scans, a few commands that the recipes call, and the one `pcc`."""
    for seed, name in enumerate(("a.ply", "scans/b.ply", "scans/a b.ply", "scans/deep/c.ply")):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pcc_cli.write(path, cloud(seed))
    (tmp_path / "old.ply.gz").write_bytes(gzip.compress((tmp_path / "a.ply").read_bytes()))
    programs = {
        "pcc": f'exec "{sys.executable}" -m pcc_cli "$@"',
        "ssh": 'shift; exec sh -c "$1"',  # the other machine is this one
    }
    for name, script in programs.items():
        path = tmp_path / "bin" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def rows(path: Path) -> list[tuple[float, ...]]:
    return sorted(map(tuple, pcc_cli.read(path).points.tolist()))


def test_every_local_recipe_works_one_after_the_other(here: Path) -> None:
    assert len(LOCAL) >= 13
    for line in LOCAL:
        # Every part of a pipe has to end well, not only the last.
        done = subprocess.run(
            ["bash", "-o", "pipefail", "-c", line], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{line}: {done.stderr}"
    for made in ("b.ply", "a.dcz", "copy.dcz", "old.dcz"):
        assert rows(here / made) == rows(here / "a.ply")
    for folder, suffix in (("packed", ".dcz"), ("restored", ""), ("nightly", ".dcz")):
        for name in ("b.ply", "a b.ply", "deep/c.ply"):
            assert rows(here / folder / (name + suffix)) == rows(here / "scans" / name)
    assert len(list((here / "chosen").iterdir())) == 3
    assert len((here / "log.jsonl").read_text().splitlines()) == 2
    assert not list(here.rglob("*.tmp"))


@pytest.fixture
def memory() -> Iterator[fsspec.AbstractFileSystem]:
    """An empty store in the memory of this process, in the place of s3://."""
    store = fsspec.filesystem("memory")
    store.store.clear()
    yield store
    store.store.clear()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """The address of a server that hands out the files of `tmp_path`."""
    quiet = type("Quiet", (http.server.SimpleHTTPRequestHandler,), {"log_message": lambda *_: None})
    handler = functools.partial(quiet, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as made:
        threading.Thread(target=made.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{made.server_port}"
        made.shutdown()


def test_every_remote_recipe_works(
    here: Path, memory: fsspec.AbstractFileSystem, server: str
) -> None:
    for path in (here / "scans").rglob("*.ply"):
        memory.pipe_file(f"/bucket/{path.relative_to(here)}", path.read_bytes())
    memory.pipe_file("/bucket/scans/a.ply", (here / "a.ply").read_bytes())
    pcc_cli.compress_to("a.dcz", pcc_cli.read("a.ply"))
    assert len(REMOTE) == 4
    for line in REMOTE:
        words = line.replace("s3://", "memory://").replace("https://example.org", server).split()
        done = run(words[1:], here)
        assert done.code == 0, f"{line}: {done.stderr.decode()}"
    for name in ("b.ply", "a b.ply", "deep/c.ply", "a.ply"):
        packed = memory.cat_file(f"/bucket/packed/{name}.dcz")
        assert pcc_cli.decompress(packed).points.shape == (100, 3)
    assert rows(here / "web.ply") == rows(here / "a.ply")
    assert 0 < len(rows(here / "part.ply")) < 100


def test_files_by_url(here: Path, memory: fsspec.AbstractFileSystem) -> None:
    pcc_cli.write("memory://b/x/one.ply", cloud(1))
    assert run(["compress", "memory://b/x/*.ply", "-o", "memory://b/y/", "-q"], here).code == 0
    with pcc_cli.open("memory://b/y/one.ply.dcz") as file:
        assert file.count == 100
    done = run(["compress", "memory://b/x/one.ply", "-o", "memory://b/y/one.ply.dcz"], here)
    assert (done.code, done.stderr) == (
        1,
        b"pcc: memory://b/y/one.ply.dcz: exists already; --force overwrites it\n",
    )
    assert run(["decompress", "memory://b/y/one.ply.dcz", "-q"], here).code == 0
    assert memory.exists("/b/y/one.ply")
    uri = (here / "a.ply").as_uri()
    assert run(["compress", uri, "-q"], here).code == 0
    assert (here / "a.ply.dcz").is_file()
    assert run(["info", "memory://b/y/", "--json"], here).stdout.count(b"\n") == 1


def test_a_failure_sends_nothing(memory: fsspec.AbstractFileSystem) -> None:
    with pytest.raises(InputError), locations.writing("memory://b/half.dcz") as stream:
        stream.write(b"half")
        raise InputError("broken")
    assert not memory.exists("/b/half.dcz")


def test_errors_of_stores_are_one_line(
    here: Path, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InputError, match=r"^memory://no/a\.ply: cannot be read: "):
        pcc_cli.read("memory://no/a.ply")
    with pytest.raises(InputError, match=r"nowhere\.ply: cannot be read: .*nowhere"):
        pcc_cli.read(f"{server}/nowhere.ply?key=secret")
    with pytest.raises(InputError, match=r"^odd://a\.ply: cannot be read: protocol not known"):
        pcc_cli.read("odd://a.ply")
    with pytest.raises(OutputError, match=r"^odd://a\.ply: cannot be written: protocol not known"):
        pcc_cli.write("odd://a.ply", cloud(0))
    monkeypatch.setitem(sys.modules, "s3fs", None)
    with pytest.raises(UnsupportedError, match=r"pip install 'pcc-cli\[remote\]'"):
        pcc_cli.read("s3://bucket/a.ply")
    monkeypatch.setitem(sys.modules, "fsspec.core", None)
    with pytest.raises(UnsupportedError, match=r"^memory://a\.ply: needs a package"):
        pcc_cli.read("memory://a.ply")


def test_a_query_is_not_shown() -> None:
    assert locations.shown("https://host/a.ply?key=secret") == "https://host/a.ply"
    assert locations.base_name("https://host/x/a.ply?key=a/b") == "a.ply"
    assert locations.shown("what?.ply") == "what?.ply"
    assert json.dumps(str(locations.path_of("file:///tmp/a%20b.ply"))) == '"/tmp/a b.ply"'
    assert shutil.which("flock")
