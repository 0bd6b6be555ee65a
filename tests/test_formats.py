"""Every format: its own files come back with every field, through .dcz and every other format."""

from __future__ import annotations

import io

import numpy as np
import pytest
import source_files

from pcc_cli import api, formats
from pcc_cli.errors import InputError, PccError, UnsupportedError
from pcc_cli.geometry import Mesh, PointCloud

TOGETHER = {"keep_order": True, "keep_invalid": True, "lossless": True}
TARGETS = [suffix for suffix in formats.POINT_SUFFIXES if suffix not in (".txt", ".laz")]


def source(name: str) -> bytes:
    if name.endswith(".e57"):
        pytest.importorskip("pye57")
    return source_files.FILES[name]()


def through_dcz(cloud: PointCloud, **options: object) -> PointCloud:
    data = api.compress(cloud, api.Options(codec="plain", **options))  # type: ignore[arg-type]
    restored = api.decompress(data)
    assert isinstance(restored, PointCloud)
    return restored


def rows(cloud: PointCloud) -> list[bytes]:
    """The bytes of all values of each point."""
    columns = [*cloud.points.T, *cloud.attributes.values()]
    parts = [np.ascontiguousarray(c).view(np.uint8).reshape(len(c), c.itemsize) for c in columns]
    return [row.tobytes() for row in np.concatenate(parts, axis=1)]


def assert_same(one: PointCloud, other: PointCloud, in_order: bool) -> None:
    """Equal names, types and bits; points in any order unless `in_order`."""
    kinds = [
        (c.points.dtype, [(n, v.dtype) for n, v in c.attributes.items()]) for c in (one, other)
    ]
    assert kinds[0] == kinds[1]
    found = [rows(c) if in_order else sorted(rows(c)) for c in (one, other)]
    assert found[0] == found[1]


@pytest.mark.parametrize("name", source_files.FILES)
def test_a_file_comes_back_through_dcz(name: str) -> None:
    data = source(name)
    cloud = formats.read(data, name)
    restored = through_dcz(cloud, **TOGETHER)
    assert restored.source == cloud.source
    again = formats.read(formats.write(formats.suffix_for(restored.source), restored), name)
    assert_same(cloud, again, in_order=True)
    assert again.source == cloud.source


@pytest.mark.parametrize("name", source_files.FILES)
def test_without_its_order_a_file_keeps_every_value(name: str) -> None:
    cloud = formats.read(source(name), name)
    restored = through_dcz(cloud, keep_invalid=True, lossless="sphere" in name)
    again = formats.read(formats.write(formats.suffix_for(restored.source), restored), name)
    assert_same(cloud, again, in_order=False)
    assert "ordered" not in again.source
    for key in set(cloud.source) - {"ordered", "tables", "tree"}:  # E57 numbers its tables anew
        assert again.source[key] == cloud.source[key]


@pytest.mark.parametrize("name", source_files.FILES)
@pytest.mark.parametrize("suffix", TARGETS)
def test_a_file_becomes_one_of_any_other_format(name: str, suffix: str) -> None:
    data = source(name)
    if suffix == ".e57":
        pytest.importorskip("pye57")
    cloud = formats.read(data, name)
    told: list[str] = []
    written = formats.write(suffix, cloud, told.append)
    if not written:
        assert (len(cloud), suffix) == (0, ".bin")  # of no points a scan says nothing
        return
    fields = ["x", "y", "z", "intensity", *(["ring"] if "ring" in cloud.attributes else [])]
    again = formats.read(written, f"a{suffix}", fields=fields if suffix == ".bin" else None)
    finite = np.isfinite(cloud.points).all(axis=1)
    assert len(again) in (len(cloud), finite.sum())
    if "e57" not in name and suffix not in (".bin", ".las"):
        expected = cloud.points if len(again) == len(cloud) else cloud.points[finite]
        assert np.array_equal(expected, again.points.astype(expected.dtype), equal_nan=True)
    lost = set(cloud.attributes) - set(again.attributes)
    assert not lost or told


@pytest.mark.parametrize("name", source_files.FILES)
def test_a_file_cut_off_or_changed_is_an_input_error(name: str) -> None:
    data = source(name)
    rng = np.random.default_rng(3)
    cuts = [data[:end] for end in rng.integers(1, len(data), 12)]
    heads = [bytes(changed(data, at, rng)) for at in rng.integers(0, min(len(data), 700), 25)]
    for damaged in cuts + heads:
        try:
            formats.read(damaged, "damaged" + name[name.rindex(".") :])
        except PccError as error:
            assert isinstance(error, (InputError, UnsupportedError))
            assert "\n" not in str(error)


def changed(data: bytes, at: int, rng: np.random.Generator) -> bytearray:
    part = bytearray(data)
    part[at : at + 4] = rng.choice([0, 1, 127, 255], 4).astype(np.uint8).tobytes()
    return part[: len(data)]


def test_the_content_counts_more_than_the_name() -> None:
    cloud = formats.read(source_files.las(0, True), "points.ply")
    assert formats.suffix_for(cloud.source) == ".laz"
    assert formats.suffix_for({"suffix": ".las"}) == ".las"
    assert formats.suffix_for({}) == ".ply"
    assert formats.suffix_for(None) == ".ply"


def test_a_named_suffix_is_for_pipes() -> None:
    assert len(formats.read(source_files.scan(4), "-", suffix=".bin")) == 60
    with pytest.raises(InputError, match="not a known format"):
        formats.read(source_files.scan(4), "-")


def test_faces_are_left_out_of_formats_without_any() -> None:
    mesh = Mesh(np.eye(3, dtype=np.float32), np.array([3], np.int32), np.arange(3))
    told: list[str] = []
    for suffix in (".las", ".pcd", ".xyz", ".npy"):
        assert len(formats.read(formats.write(suffix, mesh, told.append), f"a{suffix}")) == 3
    assert len([note for note in told if "no faces" in note]) == 4


@pytest.mark.parametrize("options", [{}, {"step": 0.05}, {"bits": 9}, {"lossless": True}])
@pytest.mark.parametrize("kind", ["<f4", "<f8", "<i4", "utm"])
def test_the_reported_error_is_that_of_the_decoded_file(
    options: dict[str, object], kind: str
) -> None:
    points = np.random.default_rng(1).normal(scale=40, size=(500, 3))
    if kind == "utm":
        points += np.array([412345.0, 5412345.0, 200.0])
        points = np.rint(points * 1000) / 1000
    points = points.astype(np.float64 if kind == "utm" else kind)
    cloud = PointCloud(points, {"row": np.arange(500)})
    stream = io.BytesIO()
    report = api.compress_to(stream, cloud, api.Options(codec="plain", **options))  # type: ignore[arg-type]
    restored = api.decompress(stream.getvalue())
    error = restored.points.astype(float) - points[restored.attributes["row"]].astype(float)
    largest = float(np.sqrt((error**2).sum(axis=1)).max())
    assert report.max_error == pytest.approx(largest, rel=1e-12, abs=0)
    if options.get("lossless") or (kind in ("utm", "<i4") and not options):
        assert largest == 0
