"""PCD: all encodings, whatever the header says and wherever it lies."""

from __future__ import annotations

import struct

import numpy as np
import pytest
import source_files

from pcc_cli.errors import InputError, OutputError
from pcc_cli.formats import lzf, pcd
from pcc_cli.geometry import PointCloud


def pcd_file(encoding: str, rows: np.ndarray, body: bytes) -> bytes:
    head = (
        "# .PCD v0.7\nVERSION 0.7\nFIELDS x y z _ normal label\nSIZE 4 4 4 1 8 2\n"
        f"TYPE F F F U F I\nCOUNT 1 1 1 3 2 1\nWIDTH {len(rows)}\nHEIGHT 1\n"
        f"VIEWPOINT 0 0 0 1 0 0 0\nPOINTS {len(rows)}\nDATA {encoding}\n"
    )
    return head.encode() + body


PCD_TYPE = np.dtype([("xyz", "<f4", 3), ("_", "u1", 3), ("normal", "<f8", 2), ("label", "<i2")])


def pcd_rows() -> np.ndarray:
    rows = np.zeros(9, PCD_TYPE)
    rng = np.random.default_rng(1)
    rows["xyz"] = rng.normal(size=(9, 3))
    rows["xyz"][4] = np.nan
    rows["normal"] = rng.normal(size=(9, 2))
    rows["label"] = rng.integers(-30000, 30000, 9)
    return rows


def pcd_body(encoding: str, rows: np.ndarray) -> bytes:
    if encoding == "binary":
        return rows.tobytes()
    if encoding == "ascii":
        lines = (
            " ".join(repr(v.item()) for part in row for v in np.atleast_1d(part)) for row in rows
        )
        return "\n".join(lines).encode()
    columns = b"".join(
        [rows["xyz"].T.tobytes(), *(rows[name].tobytes() for name in ("_", "normal", "label"))]
    )
    packed = lzf.compress(columns)
    return struct.pack("<II", len(packed), len(columns)) + packed


@pytest.mark.parametrize("encoding", ["ascii", "binary", "binary_compressed"])
def test_pcd_gives_every_value(encoding: str) -> None:
    rows = pcd_rows()
    cloud = pcd.read(pcd_file(encoding, rows, pcd_body(encoding, rows)), "a.pcd")
    assert cloud.points.dtype == np.float32
    assert np.array_equal(cloud.points, rows["xyz"], equal_nan=True)
    assert list(cloud.attributes) == ["normal_0", "normal_1", "label"]
    assert np.array_equal(cloud.attributes["normal_1"], rows["normal"][:, 1])
    assert np.array_equal(cloud.attributes["label"], rows["label"])
    assert cloud.source["viewpoint"] == "0 0 0 1 0 0 0"


@pytest.mark.parametrize("encoding", ["ascii", "binary", "binary_compressed"])
def test_pcd_without_points(encoding: str) -> None:
    body = struct.pack("<II", 0, 0) if encoding == "binary_compressed" else b""
    assert len(pcd.read(pcd_file(encoding, np.zeros(0), body), "a.pcd")) == 0


@pytest.mark.parametrize("encoding", ["ascii", "binary", "binary_compressed"])
def test_pcd_cut_off_anywhere_is_refused(encoding: str) -> None:
    rows = pcd_rows()
    whole = pcd_file(encoding, rows, pcd_body(encoding, rows))
    spare = len(whole) - whole.rfind(b" ") if encoding == "ascii" else 1
    for length in range(0, len(whole) - spare, 7):
        with pytest.raises(InputError, match=r"a\.pcd"):
            pcd.read(whole[:length], "a.pcd")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"FIELDS x", b"FIELDS y"),
        (b"FIELDS x y z", b"FIELDS a b c"),
        (b"SIZE 4", b"SIZE 3"),
        (b"TYPE F", b"TYPE Q"),
        (b"COUNT 1", b"COUNT 0"),
        (b"POINTS 9", b"POINTS -9"),
        (b"POINTS 9", b"POINTS x"),
        (b"DATA binary", b"DATA other"),
    ],
)
def test_pcd_header_that_lies_is_refused(old: bytes, new: bytes) -> None:
    data = pcd_file("binary", pcd_rows(), pcd_body("binary", pcd_rows()))
    with pytest.raises(InputError, match=r"a\.pcd"):
        pcd.read(data.replace(old, new), "a.pcd")


def test_pcd_numbers_in_a_point_are_bounded_before_they_are_counted_out() -> None:
    data = pcd_file("binary", pcd_rows(), pcd_body("binary", pcd_rows()))
    for count in (b"999999999999", b"20000"):
        with pytest.raises(InputError, match="numbers in a point"):
            pcd.read(data.replace(b"COUNT 1 1 1 3", b"COUNT 1 1 1 " + count), "a.pcd")


def test_pcd_packed_colours_are_three_attributes() -> None:
    cloud = pcd.read(source_files.pcd("binary"), "a.pcd")
    packed = np.frombuffer(source_files.pcd("binary")[-24 * 39 :], np.uint8).reshape(24, 39)
    for i, name in enumerate(("blue", "green", "red")):
        assert np.array_equal(cloud.attributes[name], packed[:, 17 + i])
    assert "alpha" not in cloud.attributes
    assert cloud.source["ordered"] == {"width": 6, "height": 4}


def test_pcd_the_fourth_byte_of_a_colour_is_alpha() -> None:
    colours = {name: np.arange(3, dtype=np.uint8) for name in ("red", "green", "blue", "alpha")}
    cloud = PointCloud(np.eye(3, dtype=np.float32), colours)
    data = pcd.write(cloud)
    assert b"FIELDS x y z rgba\n" in data
    assert list(pcd.read(data, "a.pcd").attributes) == ["red", "green", "blue", "alpha"]


def test_pcd_of_a_cloud_from_elsewhere() -> None:
    columns = {
        "a name": np.arange(3, dtype=np.int8),
        "half": np.arange(3, dtype=np.float16),
        **{name: np.arange(3, dtype=np.uint8) for name in ("red", "green", "blue")},
    }
    data = pcd.write(PointCloud(np.eye(3), columns))
    head = data[: data.index(b"DATA")].decode()
    assert "FIELDS x y z a_name half rgb\nSIZE 8 8 8 1 4 4\nTYPE F F F I F F\n" in head
    again = pcd.read(data, "a.pcd")
    assert np.array_equal(again.points, np.eye(3))
    assert again.attributes["red"].tolist() == [0, 1, 2]


def test_pcd_fields_that_are_gone_lose_their_place() -> None:
    cloud = pcd.read(source_files.pcd("ascii"), "a.pcd")
    told: list[str] = []
    less = PointCloud(cloud.points, {"label": cloud.attributes["label"]}, cloud.source)
    again = pcd.read(pcd.write(less, ".pcd", told.append), "a.pcd")
    assert list(again.attributes) == ["label"]
    assert told == ["fields that the .dcz file does not hold are left out: rgb, normal"]


def test_pcd_refuses_what_its_fields_do_not_hold() -> None:
    cloud = pcd.read(source_files.pcd("binary"), "a.pcd")
    wide = {**cloud.attributes, "label": np.full(24, 70000)}
    with pytest.raises(OutputError, match="'label' does not fit I2"):
        pcd.write(PointCloud(cloud.points, wide, cloud.source))
