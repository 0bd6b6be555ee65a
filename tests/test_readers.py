"""The readers of PCD, raw LiDAR, text and LAS, on small files made here."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest

from pcc_cli.errors import InputError, UnsupportedError
from pcc_cli.formats import kitti, las, lzf, pcd, xyz


def random_rows(columns: int, rows: int = 60, seed: int = 0) -> np.ndarray:
    """(rows, columns) float32 like a scan: coordinates of both signs, the rest positive."""
    rng = np.random.default_rng(seed)
    values = rng.uniform(-80, 80, (rows, columns)).astype(np.float32)
    values[:, 3:] = np.abs(values[:, 3:])
    return values


@pytest.mark.parametrize("columns", [4, 5])
def test_bin_finds_the_width(columns: int) -> None:
    rows = random_rows(columns)  # 60 rows divide both ways
    cloud = kitti.read(rows.tobytes(), "scan.bin")
    assert np.array_equal(cloud.points, rows[:, :3])
    assert np.array_equal(cloud.attributes["intensity"], rows[:, 3])
    assert list(cloud.attributes) == ["intensity", "time"][: columns - 3]


def test_bin_fifth_column_of_integers_is_the_ring() -> None:
    rows = random_rows(5, rows=7)
    rows[:, 4] = np.arange(7)
    assert np.array_equal(kitti.read(rows.tobytes(), "a.bin").attributes["ring"], np.arange(7))


def test_bin_refuses_what_fits_both_widths() -> None:
    with pytest.raises(InputError, match="4 or 5"):
        kitti.read(np.ones((5, 4), np.float32).tobytes(), "a.bin")


@pytest.mark.parametrize("data", [b"", b"abc", bytes(range(1, 241)), b"\xff\x00\x00\x00" * 20])
def test_bin_refuses_other_bytes(data: bytes) -> None:
    with pytest.raises(InputError, match=r"a\.bin"):
        kitti.read(data, "a.bin")


def literal_lzf(data: bytes) -> bytes:
    """`data` as LZF literals alone, plus nothing."""
    runs = (data[i : i + 32] for i in range(0, len(data), 32))
    return b"".join(bytes([len(run) - 1]) + run for run in runs)


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
    packed = literal_lzf(columns)
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


def test_lzf_copies() -> None:
    # "abc", 7 bytes from 3 back (it overlaps itself), then 9 + 5 from 1 back: the long form
    data = b"\x02abc" + bytes([(5 << 5) | 0, 2]) + bytes([7 << 5, 5, 0])
    assert lzf.decompress(data, 24) == b"abcabcabca" + b"a" * 14


@pytest.mark.parametrize("data", [b"\x05ab", b"\x20", b"\xe0\x01", b"\x00a\x20\x05", b"\x00a"])
def test_lzf_damage(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        lzf.decompress(data, 9)


@pytest.mark.parametrize("mark", [" ", ",", ";", "\t"])
@pytest.mark.parametrize("head", ["", "# comment\n", "{n}\n", "X{d}Y{d}Z{d}r\n"])
def test_xyz_delimiters_and_headers(mark: str, head: str) -> None:
    table = np.random.default_rng(2).normal(size=(8, 4))
    body = "\n".join(mark.join(repr(v) for v in row) for row in table.tolist())
    text = head.format(n=len(table), d=mark) + body + "\n\n"
    cloud = xyz.read(text.encode(), "a.xyz")
    assert np.array_equal(cloud.points, table[:, :3])
    name = "r" if head.startswith("X") else "column_4"
    assert np.array_equal(cloud.attributes[name], table[:, 3])


def test_xyz_columns_by_name() -> None:
    cloud = xyz.read(b"i,z,y,x\n9,3,2,1\n", "a.csv")
    assert cloud.points.tolist() == [[1, 2, 3]]
    assert cloud.attributes["i"].tolist() == [9]


def test_xyz_empty_is_no_point() -> None:
    assert len(xyz.read(b"# nothing\n", "a.xyz")) == 0


@pytest.mark.parametrize(
    "data", [b"1 2\n3 4\n", b"1 2 3\n4 5\n", b"1 2 3\n4 5 b\n", b"\xff\xfe\x00", b"a b c\n1 2 3\n"]
)
def test_xyz_refuses_other_text(data: bytes) -> None:
    with pytest.raises(InputError, match=r"a\.xyz"):
        xyz.read(data, "a.xyz")


def las_file(suffix: str) -> tuple[bytes, np.ndarray]:
    laspy = pytest.importorskip("laspy")
    pytest.importorskip("lazrs")
    header = laspy.LasHeader(point_format=3, version="1.2")
    header.scales, header.offsets = [0.01, 0.01, 0.001], [100.0, 0.0, -5.0]
    file = laspy.LasData(header)
    raw = np.random.default_rng(3).integers(-100000, 100000, (50, 3))
    file.X, file.Y, file.Z = raw.T
    file.intensity = np.arange(50)
    file.gps_time = np.linspace(0, 1, 50)
    stream = io.BytesIO()
    file.write(stream, do_compress=suffix == ".laz")
    return stream.getvalue(), raw


@pytest.mark.parametrize("suffix", [".las", ".laz"])
def test_las_gives_every_value(suffix: str) -> None:
    data, raw = las_file(suffix)
    cloud = las.read(data, "a" + suffix)
    scales, offsets = np.array(cloud.source["scales"]), np.array(cloud.source["offsets"])
    assert np.array_equal(np.rint((cloud.points - offsets) / scales), raw)
    assert np.array_equal(cloud.attributes["intensity"], np.arange(50))
    assert np.array_equal(cloud.attributes["gps_time"], np.linspace(0, 1, 50))


@pytest.mark.parametrize("suffix", [".las", ".laz"])
def test_las_damage_is_refused(suffix: str) -> None:
    data, _ = las_file(suffix)
    for length in (0, 3, 100, 230, len(data) // 2):
        with pytest.raises(InputError, match=r"a\.las"):
            las.read(data[:length], "a.las")


def test_las_without_laspy_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "laspy", None)
    with pytest.raises(UnsupportedError, match="pip install"):
        las.read(b"", "a.las")
