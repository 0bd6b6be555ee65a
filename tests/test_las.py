"""LAS and LAZ: integers, records and header come back; what LAS lacks goes to extra bytes."""

from __future__ import annotations

import io
import struct
import sys

import numpy as np
import pytest
import source_files

from pcc_cli.errors import InputError, OutputError, UnsupportedError
from pcc_cli.formats import las, lasfile
from pcc_cli.geometry import PointCloud

laspy = pytest.importorskip("laspy")
pytest.importorskip("lazrs")


def by_laspy(data: bytes) -> laspy.LasData:
    return laspy.read(io.BytesIO(data))


@pytest.mark.parametrize("number", source_files.LAS_FORMATS)
def test_las_comes_back_byte_for_byte(number: int) -> None:
    data = source_files.las(number)
    written = las.write(las.read(data, "a.las"))
    assert np.array_equal(by_laspy(written).points.array, by_laspy(data).points.array)
    # laspy ends a LAS 1.3 file without records behind the points as we do, so all is equal
    assert len(written) == len(data)
    assert written[375:] == data[375:]


def test_las_waveforms_come_back() -> None:
    data = source_files.las_with_waveforms()
    assert las.write(las.read(data, "a.las"))[227:] == data[227:]


def test_las_waveforms_in_another_file_are_mentioned() -> None:
    told: list[str] = []
    las.read(source_files.las(4), "a.las", told.append)
    assert told == [
        "waveforms lie in a .wdp file beside the source, which is not part of the result"
    ]


@pytest.mark.parametrize("number", source_files.LAZ_FORMATS)
def test_laz_holds_what_las_held(number: int) -> None:
    cloud = las.read(source_files.las(number), "a.las")
    packed = las.write(cloud, ".laz")
    assert by_laspy(packed).header.are_points_compressed
    assert las.write(las.read(packed, "a.laz"), ".las") == las.write(cloud, ".las")


@pytest.mark.parametrize("number", [9, 10])
def test_laz_that_would_damage_waveforms_is_refused(number: int) -> None:
    with pytest.raises(OutputError, match=f"point format {number} is not supported; use LAS"):
        las.write(las.read(source_files.las(number), "a.las"), ".laz")
    with pytest.raises(InputError, match=f"point format {number} is not supported; use LAS"):
        las.read(source_files.las(number, True), "a.laz")


def test_laz_records_of_the_old_order_are_left_out() -> None:
    told: list[str] = []
    cloud = las.read(source_files.las(6, True), "a.laz", told.append)
    assert told == ["not kept, for they describe the old order: the records laszip encoded 22204"]
    records = lasfile.records_of(lasfile.split(las.write(cloud, ".las"))[0])
    assert {record.user for record in records} == {"LASF_Spec", "LASF_Projection", "pcc"}


def test_las_header_is_true_after_a_change() -> None:
    cloud = las.read(source_files.las(6), "a.las")
    moved = PointCloud(
        cloud.points[:10] + 5.0, {n: c[:10] for n, c in cloud.attributes.items()}, cloud.source
    )
    header = by_laspy(las.write(moved)).header
    assert header.point_count == 10
    assert np.allclose(header.mins, moved.points.min(axis=0))
    assert np.allclose(header.maxs, moved.points.max(axis=0))
    counts = np.bincount(moved.attributes["return_number"], minlength=16)[1:]
    assert header.number_of_points_by_return.tolist() == counts.tolist()
    assert header.system_identifier == "a scanner"


def test_las_coordinates_off_its_grid_get_a_finer_one() -> None:
    cloud = las.read(source_files.las(1, extra=False), "a.las")
    other = PointCloud(np.rint(cloud.points * 10000 + 1) / 10000, cloud.attributes, cloud.source)
    again = las.read(las.write(other), "a.las")
    assert np.abs(again.points - other.points).max() < 1e-8


def test_las_attributes_that_are_gone_are_zero() -> None:
    cloud = las.read(source_files.las(0, extra=False), "a.las")
    told: list[str] = []
    less = PointCloud(cloud.points, {"intensity": cloud.attributes["intensity"]}, cloud.source)
    again = las.read(las.write(less, ".las", told.append), "a.las")
    assert np.array_equal(again.attributes["intensity"], less.attributes["intensity"])
    assert not again.attributes["classification"].any()
    assert told[0].startswith("zeros stand for what the .dcz file does not hold: return_number,")


@pytest.mark.parametrize("number", [6, 3])
def test_las_reference_system(number: int) -> None:
    crs = las.read(source_files.las(number), "a.las").source["crs"]
    assert crs == (source_files.WKT if number == 6 else "EPSG:26917")


def test_las_scaled_extra_bytes_mean_numbers_elsewhere() -> None:
    cloud = las.read(source_files.las(7), "a.las")
    told: list[str] = []
    plain = las.plain(cloud, told.append)
    assert np.allclose(plain.attributes["height"], cloud.attributes["height"] * 0.01 + 5.0)
    assert told == ["the records of the LAS file (VLRs) have no place here"]


def test_las_from_elsewhere() -> None:
    rng = np.random.default_rng(0)
    points = rng.normal(size=(40, 3)) + np.array([512345.0, 5212345.0, 300.0])
    points = np.rint(points * 1000) / 1000
    attributes = {
        "gps_time": rng.random(40),
        "intensity": rng.random(40).astype(np.float32),
        "classification": np.full(40, 7.0),
        "red": rng.integers(0, 256, 40, dtype=np.uint8),
        "ring": np.arange(40, dtype=np.int64),
    }
    told: list[str] = []
    source = {"crs": source_files.WKT}
    data = las.write(PointCloud(points, attributes, source), ".laz", told.append)
    cloud = las.read(data, "a.laz")
    assert np.abs(cloud.points - points).max() < 2e-9  # X * 0.001 is not always X / 1000
    assert np.array_equal(cloud.attributes["gps_time"], attributes["gps_time"])
    assert np.array_equal(cloud.attributes["original_intensity"], attributes["intensity"])
    assert (cloud.attributes["classification"] == 7).all()
    assert np.array_equal(cloud.attributes["red"], attributes["red"].astype(int) * 256)
    assert cloud.attributes["ring"].dtype == np.int64
    assert cloud.source["crs"] == source_files.WKT
    assert told == [
        "8-bit colours were multiplied by 256, as LAS wants them",
        "kept as extra bytes: original_intensity, ring",
    ]


def test_las_says_how_far_it_rounds() -> None:
    told: list[str] = []
    points = np.random.default_rng(0).normal(size=(40, 3))
    cloud = las.read(las.write(PointCloud(points), ".las", told.append), "a.las")
    error = np.sqrt(((cloud.points - points) ** 2).sum(axis=1)).max()
    assert told == [f"LAS stores multiples of 1e-08: coordinates differ by up to {error:.3g}"]


def test_las_has_no_place_for_points_that_are_not_finite() -> None:
    told: list[str] = []
    points = np.array([[1.0, 2, 3], [np.nan, 2, 3]])
    cloud = las.read(las.write(PointCloud(points), ".las", told.append), "a.las")
    assert len(cloud) == 1
    assert told[0] == "1 points that are not finite have no place in LAS: left out"


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("number", [3, 7])
def test_las_damage_is_refused(number: int, compressed: bool) -> None:
    data = source_files.las(number, compressed)
    for length in (3, 100, 230, 400, len(data) // 2):
        with pytest.raises(InputError, match=r"a\.las"):
            las.read(data[:length], "a.las")


@pytest.mark.parametrize(
    ("kind", "place", "value"),
    [
        ("<I", 96, 0xFFFFFFFF),  # where the points start
        ("<I", 100, 0x7FFFFFFF),  # records
        ("<H", 105, 0),  # bytes of a point
        ("<H", 105, 9000),
        ("<Q", 247, 1 << 40),  # points
        ("<Q", 235, 1 << 60),  # where the records behind the points start
        ("<I", 243, 0xFFFFFFFF),
        ("<d", 131, float("nan")),  # scale
        ("<d", 155, 1e300),  # offset
    ],
)
def test_las_lies_are_refused(kind: str, place: int, value: float) -> None:
    for compressed in (False, True):
        data = bytearray(source_files.las(7, compressed))
        struct.pack_into(kind, data, place, value)
        with pytest.raises(InputError, match=r"a\.las"):
            las.read(bytes(data), "a.las")


def test_laz_layers_that_claim_gigabytes_are_refused_before_memory_is_taken() -> None:
    data = bytearray(source_files.las(7, True))
    (start,) = struct.unpack_from("<I", data, 96)
    (width,) = struct.unpack_from("<H", data, 105)
    for place, value in ((start + 8 + width + 4, 0xFFFFFFF0), (start, 0)):
        lying = bytearray(data)
        struct.pack_into("<I", lying, place, value)
        with pytest.raises(InputError, match="chunk"):
            las.read(bytes(lying), "a.laz")


def test_las_without_laspy_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    cloud = PointCloud(np.zeros((1, 3)))
    monkeypatch.setitem(sys.modules, "laspy", None)
    with pytest.raises(UnsupportedError, match="pip install"):
        las.read(b"", "a.las")
    with pytest.raises(UnsupportedError, match="pip install"):
        las.write(cloud)
