"""An evaluation from files to rows: real codecs, real processes, tiny clouds."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from pcc_cli import formats
from pcc_cli.errors import InputError, PccError, UnsupportedError
from pcc_cli.evaluation import baseline, case, example, measure, peers, rows, run, subject, worker
from pcc_cli.evaluation.choices import DENSE, SPARSE, Choices
from pcc_cli.evaluation.dcz import Dcz
from pcc_cli.evaluation.rows import Row
from pcc_cli.evaluation.summary import standings
from pcc_cli.formats import ply
from pcc_cli.geometry import Mesh, PointCloud

PLAIN = Choices(codecs=("plain",))
FAKE = Path(__file__).with_name("fake_tmc3.py")
LIBRARIES = ("draco", "laz", "zstd")


def dense_cloud() -> PointCloud:
    """A shell on integers, one point of it twice, with colours."""
    grid = np.stack(np.unravel_index(np.arange(24**3), (24, 24, 24)), axis=1)
    shell = grid[np.abs(np.linalg.norm(grid - 11.5, axis=1) - 10) < 0.6]
    points = np.concatenate([shell, shell[:1]]).astype(np.float32)
    return PointCloud(points, {"red": np.arange(len(points), dtype=np.uint16).astype(np.uint8)})


def sparse_cloud() -> PointCloud:
    points = np.random.default_rng(3).integers(-4000, 4000, (300, 3)) / 1000
    return PointCloud(points.astype(np.float32))


def saved(folder: Path, shape: PointCloud | Mesh, name: str = "scan.ply") -> Path:
    path = folder / name
    path.write_bytes(ply.write(shape))
    return path


@pytest.fixture
def dense(tmp_path: Path) -> Path:
    return saved(tmp_path, dense_cloud())


@pytest.fixture
def sparse(tmp_path: Path) -> Path:
    return saved(tmp_path, sparse_cloud(), "field.ply")


@pytest.fixture
def tmc3(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program `tmc3`; PCC_TMC3 names it."""
    program = tmp_path / "bin" / "tmc3"
    program.parent.mkdir()
    program.write_text(f"#!{sys.executable}\n" + FAKE.read_text("utf-8"), "utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PCC_TMC3", str(program))
    return program


def evaluated(
    paths: Sequence[Path], choices: Choices, folder: Path, keep: bool = False
) -> list[Row]:
    """All rows; an error in one of them is raised."""
    folder.mkdir(exist_ok=True)
    work = run.plan(paths, choices, folder if keep else None)
    found = list(work.skipped)
    for _, outcome in run.execute(work, folder):
        if isinstance(outcome, Exception):
            raise outcome
        found.append(outcome)
    return found


def test_a_row_says_what_a_file_takes_and_loses(dense: Path, tmp_path: Path) -> None:
    first, *others = evaluated([dense], PLAIN, tmp_path / "run", keep=True)
    points = len(dense_cloud())
    assert (first.file, first.kind, first.points, first.codec) == (
        "scan.ply",
        "points",
        points,
        "plain.1",
    )
    assert first.lossless and first.setting == "lossless" and first.metrics["d1_mse"] == 0
    assert first.bytes == sum(first.sections.values())
    assert first.grid == "1, exact"
    assert first.bpp == pytest.approx(8 * first.bytes / points)
    assert first.encode_s > 0 < first.decode_s
    assert 10 < first.encode_mb < 2000
    assert (first.peak, first.device) == (31, "cpu")  # 5 bits hold the largest coordinate
    assert [row.setting for row in others] == ["x4/3", "x2", "x4", "x8"]
    errors = [row.metrics["d1_mse"] for row in (first, *others)]
    assert errors == sorted(errors) and not any(row.lossless for row in others)
    assert [row.config for row in (first, others[1])] == [
        "pcc compress --codec plain.1",
        "pcc compress --codec plain.1, on a grid 2 times coarser",
    ]


def test_attributes_are_coded_when_asked_for(dense: Path, tmp_path: Path) -> None:
    choices = replace(PLAIN, against=("zstd", "draco"), attributes=True)
    skipped, ours, zstd = evaluated([dense], choices, tmp_path / "run", keep=True)
    assert (skipped.codec, skipped.skipped) == ("draco", "it codes the geometry alone")
    assert ours.lossless and zstd.lossless and ours.config.endswith(", --attributes")
    assert ours.sections["red"] > 0
    (bare,) = evaluated([dense], replace(PLAIN, lossless=True), tmp_path / "bare")
    assert bare.bytes < ours.bytes and "red" not in bare.sections


def test_other_colours_are_a_loss() -> None:
    cloud = dense_cloud()
    darker = replace(cloud, attributes={"red": cloud.attributes["red"] // 2})
    assert measure.same(cloud, cloud) and not measure.same(cloud, darker)
    order = np.random.default_rng(1).permutation(len(cloud))
    shuffled = PointCloud(cloud.points[order], {"red": cloud.attributes["red"][order]})
    assert measure.same(cloud, shuffled)
    assert not measure.same(cloud, PointCloud(cloud.points))


def test_shapes_are_kept_for_pictures(dense: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    first, _, second, *_ = evaluated([dense], PLAIN, folder, keep=True)
    assert first.reconstruction == first.original == second.original
    original = ply.read((folder / first.original).read_bytes(), "original")
    assert original.points.tolist() == dense_cloud().points.tolist()
    assert original.attributes["red"].tolist() == dense_cloud().attributes["red"].tolist()
    decoded = ply.read((folder / second.reconstruction).read_bytes(), "decoded")
    assert ((decoded.points - original.points.min(axis=0)) % 2 == 0).all()
    assert len(decoded) < len(original)


def test_shapes_too_far_for_floats_are_kept_from_their_corner(tmp_path: Path) -> None:
    far = PointCloud(dense_cloud().points + np.array([635_000_000.0, 0.0, 0.0]))
    (first, *_) = evaluated([saved(tmp_path, far)], PLAIN, tmp_path / "run", keep=True)
    kept = ply.read((tmp_path / "run" / first.original).read_bytes(), "original")
    assert kept.points.tolist() == (dense_cloud().points - 1).tolist()


def test_without_a_folder_to_keep_nothing_is_kept(dense: Path, tmp_path: Path) -> None:
    choices = replace(PLAIN, lossless=True)
    (row,) = evaluated([dense], choices, tmp_path / "run")
    assert (row.original, row.reconstruction) == ("", "")
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["rows.jsonl"]


def test_sparse_clouds_have_a_ladder_of_their_own(sparse: Path, tmp_path: Path) -> None:
    found = evaluated([sparse], PLAIN, tmp_path / "run")
    assert [row.setting for row in found] == ["lossless", "x4", "x16", "x64"]
    extent = np.ptp(sparse_cloud().points.astype(np.float64), axis=0).max()
    assert found[0].peak == pytest.approx(extent)
    assert found[1].metrics["hausdorff"] <= np.sqrt(3) * 0.002 + 1e-9  # metres, as the file


def test_an_interrupted_run_goes_on(dense: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    work = run.plan([dense], replace(PLAIN, rates=(Fraction(1), Fraction(2))))
    stopped = run.execute(work, folder)
    _, first = next(stopped)
    stopped.close()
    assert rows.read_rows(folder) == [first]
    (_, same), (_, second) = run.execute(work, folder)
    assert same == first
    assert rows.read_rows(folder) == [first, second]


def test_a_new_version_takes_the_place_of_the_old_row(dense: Path, tmp_path: Path) -> None:
    choices = replace(PLAIN, lossless=True)
    (row,) = evaluated([dense], choices, tmp_path / "run")
    rows.write_rows(tmp_path / "run", [replace(row, version="0.0.9", bytes=9_999)])
    (again,) = evaluated([dense], choices, tmp_path / "run")
    assert again.bytes == row.bytes
    assert rows.read_rows(tmp_path / "run") == [again]


@pytest.mark.parametrize("peer", LIBRARIES)
@pytest.mark.parametrize("kind", ["dense", "sparse"])
def test_peers_give_clouds_back(peer: str, kind: str, tmp_path: Path) -> None:
    cloud = dense_cloud() if kind == "dense" else sparse_cloud()
    loaded = case.load(saved(tmp_path, cloud))
    setting = peers.settings(peer, loaded, Choices(lossless=True))[0]
    assert subject.from_json(subject.to_json(setting.subject)) == setting.subject
    payload = setting.subject.encode(loaded.shape)
    decoded = setting.subject.decode(payload)
    points = np.unique(loaded.shape.points, axis=0) if peer == "draco" else loaded.shape.points
    assert sorted(decoded.points.tolist()) == sorted(points.tolist())  # Draco merges duplicates
    assert setting.subject.sections(payload) == {
        peer if peer != "zstd" else "ply": payload.size_bytes
    }
    assert peer in setting.subject.version().lower() or peer == "laz"
    assert setting.subject.command()


@pytest.mark.parametrize("peer", ["laz", "laz-morton"])
def test_laz_keeps_every_field_of_a_las_file(peer: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    points = rng.integers(-500, 500, (400, 3)) / 100 + np.array([4e5, 5e6, 100])
    attributes = {
        "intensity": rng.integers(0, 60000, 400).astype(np.uint16),
        "own": rng.random(400),  # an extra dimension
    }
    path = tmp_path / "field.las"
    path.write_bytes(formats.write(".las", PointCloud(points, attributes)))
    choices = Choices(("plain",), ("laz",), attributes=True)
    found = {row.codec: row for row in evaluated([path], choices, tmp_path / "run")}
    assert found[peer].lossless and 0 < found[peer].bytes < path.stat().st_size
    assert found["laz"].bytes != found["laz-morton"].bytes


def test_laz_keeps_attributes_of_las_files_alone(dense: Path, tmp_path: Path) -> None:
    choices = Choices(("plain",), ("laz",), attributes=True)
    skipped, _ = evaluated([dense], choices, tmp_path / "run")
    assert (skipped.codec, skipped.skipped) == ("laz", "attributes of LAS and LAZ files alone")


def test_gpcc_takes_colours_of_8_bits(dense: Path, tmc3: Path, tmp_path: Path) -> None:
    loaded = case.load(dense, attributes=True)  # has red alone
    exact = Choices(("plain",), ("gpcc",), attributes=True)
    with pytest.raises(UnsupportedError, match="colours of 8 bits alone"):
        peers.settings("gpcc", loaded, exact)
    colours = {name: np.arange(len(loaded.shape), dtype=np.uint8) for name in case.COLOURS}
    whole = replace(loaded, shape=replace(loaded.shape, attributes=colours))
    (setting,) = peers.settings("gpcc", whole, exact)
    assert (setting.codec, setting.subject.keeps_attributes) == ("gpcc", True)
    assert "disableAttributeCoding" not in setting.subject.command()
    options = setting.subject.command().split()
    assert options.count("--attribute=color") + options.count("--attribute=color;") == 2
    lossy = peers.settings("gpcc", whole, replace(exact, attribute_qualities=(50.0,)))
    assert [each.label for each in lossy] == [f"qp {qp}" for qp in (22, 28, 34, 40, 46, 51)]


def test_a_missing_package_is_named_with_what_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    from pcc_cli.evaluation.peers.draco import Draco

    monkeypatch.setitem(sys.modules, "DracoPy", None)
    with pytest.raises(UnsupportedError, match=r"DracoPy is not installed: pip install 'pcc-cli\["):
        Draco().version()


def test_gpcc_takes_the_best_mode_of_a_scan(sparse: Path, tmc3: Path, tmp_path: Path) -> None:
    choices = replace(PLAIN, against=("gpcc",), lossless=True)
    ours, octree, theirs = evaluated([sparse], choices, tmp_path / "run")
    assert (ours.codec, octree.codec, theirs.codec) == ("plain.1", "gpcc-octree", "gpcc")
    assert "geomTreeType" not in octree.config and octree.lossless
    assert theirs.lossless and theirs.version == "TMC13 release-v0-fake"
    assert list(theirs.sections) == ["predgeom sort 1"]
    assert "--geomTreeType=1" in theirs.config and "--planarEnabled=1" in theirs.config


def test_gpcc_has_two_curves_for_a_dense_cloud(dense: Path, tmc3: Path, tmp_path: Path) -> None:
    work = run.plan([dense], replace(PLAIN, against=("gpcc",)))
    labels = [(task.row.codec, task.row.setting) for task in work.tasks]
    octree = ["lossless", *(f"r0{n}" for n in range(6, 0, -1))]
    assert labels[len(DENSE) :] == [
        *(("gpcc-octree", label) for label in octree),
        *(("gpcc-trisoup", f"r0{n}") for n in range(4, 0, -1)),
    ]
    half = next(task for task in work.tasks if task.row.setting == "r03")
    assert "--positionQuantizationScale=0.5" in half.row.config
    assert "--mergeDuplicatedPoints=1" in half.row.config


def test_the_memory_of_a_program_is_its_own(tmc3: Path) -> None:
    from pcc_cli.evaluation.peers import process

    ballast = np.ones(60_000_000)  # 480 MB, which getrusage would count to the program
    with process.measured() as usage:
        process.run([str(tmc3), "--help"], codes=(1,))
    assert ballast[0] and usage.programs == 1
    assert 0 < usage.mb < 200 and usage.seconds > 0


def test_a_program_that_fails_says_why(tmp_path: Path, tmc3: Path) -> None:
    path = saved(tmp_path, PointCloud(np.arange(39, dtype=np.float32).reshape(13, 3)))
    with pytest.raises(PccError, match=r"encode: .*tmc3 failed with exit code 3: thirteen points"):
        evaluated([path], Choices(("plain",), ("gpcc",), lossless=True), tmp_path / "run")


def test_a_missing_program_costs_its_rows_alone(
    dense: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PCC_TMC3", "/nowhere/tmc3")
    choices = replace(PLAIN, against=("gpcc",), lossless=True)
    skipped, row = evaluated([dense], choices, tmp_path / "run")
    assert skipped.skipped == (
        "no program '/nowhere/tmc3' (PCC_TMC3): install it, or name it with --gpcc-bin PATH"
    )
    assert (skipped.codec, skipped.bytes, row.skipped) == ("gpcc", 0, "")
    assert rows.read_rows(tmp_path / "run") == [skipped, row]


def test_a_worker_that_dies_is_an_error(tmp_path: Path) -> None:
    worker.prepare(tmp_path, Dcz("plain.1"), dense_cloud())
    (tmp_path / worker.SHAPE).write_bytes(b"no shape")
    with pytest.raises(PccError, match=r"encode: its process ended with exit code 1: .*pickled"):
        worker.ask(worker.ENCODE, tmp_path)


def test_the_ladders_follow_the_cloud(dense: Path, sparse: Path, tmp_path: Path) -> None:
    assert Choices().ladder(case.load(dense)) == DENSE
    other = case.load(sparse)
    assert Choices().ladder(other) == SPARSE
    assert Choices(rates=(Fraction(3), Fraction(1))).ladder(other) == (1, 3)
    assert Choices(lossless=True).ladder(other) == (1,)


def test_a_coarser_grid_rounds_and_merges() -> None:
    cloud = PointCloud(np.array([[0, 0, 0], [1, 2, 3], [2, 2, 4], [9, 9, 9]]))
    assert case.coarser(cloud, Fraction(1)) is cloud
    half = case.coarser(cloud, Fraction(2))
    assert half.points.tolist() == [[0, 0, 0], [1, 1, 2], [5, 5, 5]]  # halves go upwards
    assert case.finer(half, Fraction(2)).points.tolist()[1] == [2, 2, 4]
    three_quarters = case.coarser(cloud, Fraction(4, 3))
    assert three_quarters.points.tolist() == [[0, 0, 0], [1, 2, 2], [2, 2, 3], [7, 7, 7]]


def test_points_that_are_not_finite_are_left_out(tmp_path: Path) -> None:
    points = dense_cloud().points.copy()
    points[5, 1] = np.nan
    loaded = case.load(saved(tmp_path, PointCloud(points)))
    assert len(loaded.shape) == len(points) - 1 == len(loaded.source)


def test_what_cannot_be_compared_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no points to compare"):
        case.load(saved(tmp_path, PointCloud(np.zeros((0, 3), np.float32))))
    with pytest.raises(InputError, match="all points coincide"):
        case.load(saved(tmp_path, PointCloud(np.full((5, 3), 0.1234567, np.float32))))
    with pytest.raises(InputError, match="cannot be read"):
        case.load(tmp_path / "missing.ply")


def test_unknown_names_are_errors(dense: Path) -> None:
    with pytest.raises(UnsupportedError, match="unknown peer 'lepcc'; this pcc knows gpcc, draco"):
        run.plan([dense], Choices(("plain",), ("lepcc",)))
    with pytest.raises(UnsupportedError, match="unknown codec 'nothing'"):
        run.plan([dense], Choices(("nothing",)))


def test_the_example_is_there() -> None:
    loaded = case.load(example.path())
    assert loaded.dense and len(loaded.shape) > 50_000


def test_a_worse_run_is_told() -> None:
    old = Row("a", "1", "points", 9, "x", setting="s", bytes=1000, lossless=True, encode_s=1.0)
    old = replace(old, metrics={"d1_psnr_db": 60.0})
    assert baseline.regressions([replace(old, bytes=1009, encode_s=9.0)], [old], 1.0) == []
    assert baseline.regressions([replace(old, bytes=1011)], [old], 1.0) == [
        "a, x, s: bytes 1000 -> 1011 (+1.1 %)"
    ]
    assert baseline.regressions([replace(old, metrics={"d1_psnr_db": 59.96})], [old], 1.0) == []
    assert baseline.regressions([replace(old, metrics={"d1_psnr_db": 59.9})], [old], 1.0) == [
        "a, x, s: d1_psnr_db 60.00 -> 59.90"
    ]
    assert baseline.regressions([replace(old, lossless=False)], [old], 1.0) == [
        "a, x, s: was lossless"
    ]
    assert baseline.regressions([replace(old, encode_s=1.3)], [old], 1.0, 20.0) == [
        "a, x, s: encode_s 1 -> 1.3 (+30.0 %)"
    ]
    assert baseline.regressions([replace(old, skipped="gone")], [old], 1.0) == [
        "a, x, s: skipped: gone"
    ]
    assert baseline.regressions([replace(old, sha256="2", bytes=2000)], [old], 1.0) == []


def test_where_a_codec_stands() -> None:
    def row(file: str, codec: str, size: int, psnr: float | None = None) -> Row:
        metrics = {} if psnr is None else {"d1_psnr_db": psnr}
        return Row(
            file,
            file,
            "points",
            80,
            codec,
            bytes=size,
            bpp=size / 10,
            lossless=psnr is None,
            metrics=metrics,
        )

    found = [
        row("a", "ours", 80),
        row("a", "gpcc", 100),
        row("b", "ours", 125),
        row("b", "gpcc", 100),
    ]
    found += [row("a", "gpcc", 10 * n, 50.0 + n) for n in (1, 2, 3)]
    found += [row("a", "ours", 5 * n, 50.0 + n) for n in (1, 2, 3)]
    found += [row("b", "gpcc", 10 * n, 50.0 + n) for n in (1, 2)]
    found += [row("b", "ours", 10 * n, 60.0 + n) for n in (1, 2)]
    (standing,) = standings(found, ["ours"])
    assert (standing.codec, standing.anchor, standing.lossless_files) == ("ours", "gpcc", 2)
    assert standing.lossless_percent == pytest.approx(0)  # 0.8 and 1.25
    assert standing.bd_rate_percent == {"d1_psnr_db": pytest.approx(-50)}
    assert (standing.bd_files, standing.bd_refused) == ({"d1_psnr_db": 1}, {"d1_psnr_db": 1})
