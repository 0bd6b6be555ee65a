"""Text: delimiters, names, comments and counts are found and come back."""

from __future__ import annotations

import numpy as np
import pytest

from pcc_cli.errors import InputError
from pcc_cli.formats import xyz
from pcc_cli.geometry import PointCloud


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


@pytest.mark.parametrize(
    "text",
    [
        "1 2 3\n4 5 6\n",
        "1.5,2,3\n4.5,5,6\n",
        "# one\n# two\n1;2;3\n",
        "//X Y Z R\n1 2 3 4\n",
        "#x\ty\tz\tr\n1\t2\t3\t4\n",
        "2\n1 2 3\n4 5 6\n",
        "X,Y,Z,GPS Time\n1,2,3,0.1\n",
        "z y x\n0.1 nan -0.0\n",
    ],
)
def test_xyz_text_comes_back_as_it_was(text: str) -> None:
    written = xyz.write(xyz.read(text.encode(), "a.xyz"))
    assert written.decode() == text.replace("GPS Time", "GPS_Time")


def test_xyz_types_are_the_narrowest() -> None:
    cloud = xyz.read(b"0 0 0 255 -1 1.0 65536 0.5 nan\n1 1 1 0 0 2 3 4 5\n", "a.xyz")
    kinds = [column.dtype.str for column in cloud.attributes.values()]
    assert kinds == ["|u1", "|i1", "|u1", "<u4", "<f8", "<f8"]
    assert cloud.points.dtype == np.float64


def test_xyz_columns_may_be_named() -> None:
    cloud = xyz.read(b"1 2 3 4\n", "a.xyz", fields=["t", "x", "y", "z"])
    assert cloud.points.tolist() == [[2, 3, 4]]
    with pytest.raises(InputError, match="--fields"):
        xyz.read(b"1 2 3 4\n", "a.xyz", fields=["x", "y", "z"])


def test_xyz_of_a_cloud_from_elsewhere() -> None:
    cloud = PointCloud(np.array([[0.1, 2, 3]], np.float32), {"a b": np.array([7])})
    told: list[str] = []
    assert xyz.write(cloud, ".xyz") == b"//x y z a_b\n0.1 2 3 7\n"
    assert xyz.write(cloud, ".csv") == b"x,y,z,a_b\n0.1,2,3,7\n"
    assert xyz.write(cloud, ".pts", told.append) == b"1\n0.1 2 3 7\n"
    assert told == ["pts files have no place for names: a b"]


def test_xyz_comments_among_the_points_are_said_to_be_lost() -> None:
    told: list[str] = []
    xyz.read(b"1 2 3\n# here\n4 5 6\n", "a.xyz", told.append)
    assert told == ["1 comment lines among the points are not kept"]
