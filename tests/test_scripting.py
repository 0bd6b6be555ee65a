"""What scripts use: the functions of `pcc_cli`, files read in parts, and the examples of docs."""

from __future__ import annotations

import doctest
import io
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import pcc_cli
from pcc_cli import api, scripting
from pcc_cli.container import Reader
from pcc_cli.errors import FormatError, InputError, OutputError, PccError, UnsupportedError
from pcc_cli.geometry import Mesh, PointCloud
from pcc_cli.spine import tiling

ROOT = Path(__file__).parent.parent


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copy(ROOT / "docs" / "examples" / "scan.ply", tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def check_examples(text: str, name: str) -> None:
    names = {"np": np, "pcc_cli": pcc_cli}
    test = doctest.DocTestParser().get_doctest(text, names, name, name, 0)
    assert test.examples
    said: list[str] = []
    assert doctest.DocTestRunner().run(test, out=said.append).failed == 0, "".join(said)


def test_examples_of_the_document(here: Path) -> None:
    text = (ROOT / "docs" / "api.md").read_text("utf-8")
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    check_examples("\n".join(blocks), "api.md")


def test_examples_of_the_functions(here: Path) -> None:
    for name in ("read", "write", "compress", "compress_to", "decompress", "open"):
        check_examples(getattr(scripting, name).__doc__, name)


def test_names_are_there_and_import_nothing() -> None:
    assert {name for name in pcc_cli.__all__ if not hasattr(pcc_cli, name)} == set()
    assert set(pcc_cli.__all__) <= set(dir(pcc_cli))
    with pytest.raises(AttributeError, match="nothing"):
        pcc_cli.nothing  # noqa: B018
    script = "import pcc_cli, sys; print({'numpy', 'torch', 'zstandard'} & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout == "set()\n"


def cloud_of(points: int, **attributes: type) -> PointCloud:
    rng = np.random.default_rng(points)
    columns = {name: rng.integers(0, 200, points).astype(t) for name, t in attributes.items()}
    return PointCloud(rng.integers(-1000, 1000, (points, 3)).astype(np.float64) / 4, columns)


def rows(cloud: PointCloud) -> list[tuple[float, ...]]:
    return sorted(zip(*cloud.points.T, *cloud.attributes.values(), strict=True))


@pytest.fixture
def tiled(monkeypatch: pytest.MonkeyPatch) -> PointCloud:
    monkeypatch.setattr(tiling, "TILE_POINTS", 250)
    return cloud_of(1000, ring=np.uint8, gps_time=np.float64)


class Counted(io.BytesIO):
    """Counts the bytes that are read."""

    count = 0

    def read(self, size: int | None = -1) -> bytes:
        data = super().read(size)
        self.count += len(data)
        return data


@pytest.mark.parametrize("keep_order", [False, True])
def test_parts_are_those_of_the_whole(tiled: PointCloud, keep_order: bool) -> None:
    data = pcc_cli.compress(tiled, codec="plain", keep_order=keep_order)
    whole = pcc_cli.decompress(data)
    with pcc_cli.open(data) as file:
        assert (file.kind, file.count, len(file), len(file.tiles)) == ("points", 1000, 1000, 4)
        assert np.array_equal(file.points(), whole.points)
        for name, column in whole.attributes.items():
            assert np.array_equal(file.attributes[name], column)
        assert rows(file.read()) == rows(tiled)
        assert sorted(row for tile in file.tiles for row in rows(tile.read())) == rows(tiled)
        assert [tile.count for tile in file.tiles[1:3]] == [250, 250]
        assert np.array_equal(file.bounds, [tiled.points.min(axis=0), tiled.points.max(axis=0)])
        for tile in file.tiles:
            points = tile.points()
            assert np.array_equal(tile.bounds, [points.min(axis=0), points.max(axis=0)])
            assert list(tile.attributes) == ["ring", "gps_time"]
            assert len(tile.attributes["ring"]) == tile.count
        assert file.tiles[-1].count == file.tiles[3].count
        with pytest.raises(IndexError):
            file.tiles[4]
        with pytest.raises(KeyError, match="there are ring, gps_time"):
            file.attributes["intensity"]


@pytest.mark.parametrize("keep_order", [False, True])
def test_a_region_reads_its_tiles_alone(tiled: PointCloud, keep_order: bool) -> None:
    stream = Counted(pcc_cli.compress(tiled, codec="plain", keep_order=keep_order))
    low, high = tiled.points.min(axis=0), tiled.points.min(axis=0) + 100
    with pcc_cli.open(stream) as file:
        opened = stream.count
        part = file.crop(low, high)
        assert opened + 700 < stream.count < len(stream.getvalue()) * 0.7
    inside = ((tiled.points >= low) & (tiled.points <= high)).all(axis=1)
    columns = {name: values[inside] for name, values in tiled.attributes.items()}
    expected = PointCloud(tiled.points[inside], columns)
    assert 0 < len(part) < 1000
    if keep_order:
        assert np.array_equal(part.points, expected.points)
    assert rows(part) == rows(expected)


def test_a_region_without_points_and_corners_that_are_none(tiled: PointCloud) -> None:
    with pcc_cli.open(pcc_cli.compress(tiled, codec="plain")) as file:
        nothing = file.crop([9e9] * 3, [9e9] * 3)
        assert (len(nothing), nothing.points.dtype) == (0, np.float64)
        assert nothing.attributes["ring"].dtype == np.uint8
        for corners in (([0, 0], [1, 1]), ([0, 0, float("nan")], [1, 1, 1])):
            with pytest.raises(InputError, match="two corners"):
                file.crop(*corners)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16])
def test_bounds_hold_for_every_kind_of_grid(dtype: type) -> None:
    points = np.random.default_rng(1).normal(size=(100, 3)).astype(dtype)
    for options in ({"lossless": True}, {"precision": 0.01}, {}):
        with pcc_cli.open(pcc_cli.compress(points, **options)) as file:
            decoded = file.points()
            low, high = file.bounds
            assert (low <= decoded.min(axis=0)).all() and (high >= decoded.max(axis=0)).all()
            assert len(file.crop(*file.bounds)) == 100


def test_integers_beyond_floats_and_negative_zeros() -> None:
    points = np.array([[-(1 << 62), 0, 5], [-(1 << 62) + 9, 1, 7]])
    with pcc_cli.open(pcc_cli.compress(points)) as file:
        assert np.array_equal(file.bounds, [points[0], points[1]])
    zeros = np.array([[-0.0, 1.5, 2.0], [0.0, 1.0, 3.0]])
    with pcc_cli.open(pcc_cli.compress(zeros)) as file:
        assert len(file.crop([0, 1, 2], [0, 2, 3])) == 2


def test_a_mesh_and_an_empty_cloud() -> None:
    mesh = Mesh(np.eye(3), np.array([3], np.int32), np.array([0, 1, 2]), {"u": np.arange(3)})
    with pcc_cli.open(pcc_cli.compress(mesh)) as file:
        assert (file.kind, file.faces, file.bounds) == ("mesh", 1, None)
        assert np.array_equal(file.points(), mesh.points)
        assert np.array_equal(file.attributes["u"], [0, 1, 2])
        assert isinstance(file.tiles[0].read(), Mesh)
        with pytest.raises(InputError, match="mesh"):
            file.crop([0] * 3, [1] * 3)
    with pcc_cli.open(pcc_cli.compress(np.zeros((0, 3), np.float32))) as file:
        assert file.bounds is None
        assert (file.points().shape, file.points().dtype) == ((0, 3), np.float32)
        assert len(file.crop([0] * 3, [1] * 3)) == 0


def test_sources_and_targets_of_every_kind(here: Path) -> None:
    cloud = cloud_of(20, ring=np.uint8)
    pcc_cli.write(here / "a.ply", cloud)
    pcc_cli.write("a.dcz", cloud)
    stream = io.BytesIO()
    pcc_cli.write(stream, cloud, format="ply")
    pcc_cli.compress_to(stream2 := io.BytesIO(), cloud)
    text = io.BytesIO(b"1 2 3\n4 5 6\n")
    assert len(pcc_cli.read(text, format="xyz")) == 2
    url = (here / "a.dcz").as_uri()
    for source in (here / "a.ply", "a.dcz", stream.getvalue(), stream2.getvalue(), url):
        assert rows(pcc_cli.read(source)) == rows(cloud)
    with (here / "a.dcz").open("rb") as file:
        assert rows(pcc_cli.decompress(file)) == rows(cloud)
        with pcc_cli.open(file) as opened:
            assert rows(opened.read()) == rows(cloud)
    assert not [path for path in here.iterdir() if path.suffix == ".tmp"]


def test_what_is_refused(here: Path) -> None:
    for call, error, words in (
        (lambda: pcc_cli.read("missing.ply"), InputError, "missing.ply: cannot be read: no such"),
        (lambda: pcc_cli.open("missing.dcz"), InputError, "missing.dcz: cannot be read: no such"),
        (lambda: pcc_cli.read(b"0 0 0\n"), InputError, "the data: not a known format"),
        (lambda: pcc_cli.write("a.jpg", np.eye(3)), OutputError, "cannot write '.jpg' files"),
        (lambda: pcc_cli.write("no/a.ply", np.eye(3)), OutputError, "no/a.ply: cannot be written"),
        (lambda: pcc_cli.compress(np.eye(2)), InputError, r"points must have shape \(n, 3\)"),
        (lambda: pcc_cli.compress(np.eye(3), bit=3), UnsupportedError, "no setting bit"),
        (lambda: pcc_cli.compress(np.eye(3), bits=3, precision=1), InputError, "choose one of"),
        (lambda: pcc_cli.compress(np.eye(3), only="red"), InputError, "no attribute 'red'"),
        (lambda: pcc_cli.open(b"ply\n"), FormatError, "not a .dcz file"),
        (lambda: pcc_cli.open(b""), FormatError, "not a .dcz file"),
    ):
        with pytest.raises(error, match=words):
            call()


def test_damage_is_found_where_it_is_read(tiled: PointCloud) -> None:
    data = pcc_cli.compress(tiled, codec="plain")
    entry = next(e for e in Reader(io.BytesIO(data)).entries if e[:2] == ("ATTR", 2))
    at = entry[2] + 40
    damaged = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
    with pcc_cli.open(damaged) as file:
        assert len(file.tiles[1].points()) == 250
        with pytest.raises(FormatError, match=f"wrong checksum of the section at byte {entry[2]}"):
            file.tiles[2].points()
    for size in range(0, len(data), 37):
        with pytest.raises(PccError):
            pcc_cli.open(data[:size])


def test_every_damaged_bit_of_what_open_reads_is_noticed() -> None:
    data = api.compress(PointCloud(np.eye(3)))
    reader = Reader(io.BytesIO(data))
    head = reader.entries[0][2]
    tail = reader.entries[-1][2] + 21 + reader.entries[-1][3]
    for byte in (*range(head), *range(tail, len(data))):
        damaged = data[:byte] + bytes([data[byte] ^ 4]) + data[byte + 1 :]
        with pytest.raises(PccError):
            pcc_cli.open(damaged)
