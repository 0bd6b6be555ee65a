"""Raw scans: the width of a row is judged, named, or refused."""

from __future__ import annotations

import numpy as np
import pytest

from pcc_cli.errors import InputError
from pcc_cli.formats import kitti
from pcc_cli.geometry import PointCloud


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


def test_bin_columns_may_be_named() -> None:
    rows = np.ones((5, 6), np.float32)
    names = ["x", "y", "z", "intensity", "ring", "time"]
    cloud = kitti.read(rows.tobytes(), "a.bin", fields=names)
    assert list(cloud.attributes) == names[3:]
    assert kitti.write(cloud) == rows.tobytes()


@pytest.mark.parametrize("names", ["x,y,z,i,r", "x,y,z,i", "x,y,i", "x,y,z,x,i,j"])
def test_bin_names_that_cannot_be_are_refused(names: str) -> None:
    with pytest.raises(InputError, match="not rows of"):
        kitti.read(np.ones((3, 6), np.float32).tobytes()[:-4], "a.bin", fields=names.split(","))


def test_bin_says_what_it_took_the_rows_for() -> None:
    told: list[str] = []
    kitti.read(random_rows(4).tobytes(), "a.bin", told.append)
    assert told == ["taken as rows of float32 x,y,z,intensity"]


@pytest.mark.parametrize("column", range(5))
def test_bin_judges_every_column(column: int) -> None:
    rows = random_rows(5, rows=7)
    rows[3, column] = -1e6
    with pytest.raises(InputError, match="not a raw LiDAR scan"):
        kitti.read(rows.tobytes(), "a.bin")


def test_bin_says_what_it_cannot_hold() -> None:
    points = np.array([[412345.678, 5412345.678, 1.0]])
    told: list[str] = []
    kitti.write(PointCloud(points, {"label": np.array([3])}), ".bin", told.append)
    assert told == [
        "zeros stand for what there is not: intensity",
        "a scan has no place for label",
        "rounded to float32: x, y (coordinates by up to 0.178)",
    ]
