"""NumPy files: arrays of any layout come back as they were; nothing is unpickled."""

from __future__ import annotations

import io
import zipfile
from typing import Any

import numpy as np
import pytest
import source_files

from pcc_cli import formats
from pcc_cli.errors import InputError, OutputError
from pcc_cli.formats import npy
from pcc_cli.geometry import PointCloud


def saved(array: Any, **options: Any) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, **options)
    return stream.getvalue()


def zipped(**arrays: Any) -> bytes:
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return stream.getvalue()


@pytest.mark.parametrize("name", [name for name in source_files.FILES if name.endswith(".npy")])
def test_npy_comes_back_byte_for_byte(name: str) -> None:
    data = source_files.FILES[name]()
    assert formats.write(".npy", formats.read(data, name)) == data


def test_npz_arrays_come_back() -> None:
    data = source_files.npz()
    cloud = formats.read(data, "a.npz")
    assert list(cloud.attributes) == ["red", "green", "blue", "valid"]
    again = np.load(io.BytesIO(formats.write(".npz", cloud)))
    before = np.load(io.BytesIO(data))
    assert set(again) == set(before)
    for name in before:
        assert again[name].dtype == before[name].dtype
        assert np.array_equal(again[name], before[name])


def test_npy_columns_are_named() -> None:
    table = np.arange(20.0).reshape(4, 5)
    assert list(npy.read(saved(table), "a.npy").attributes) == ["column_4", "column_5"]
    cloud = npy.read(saved(table), "a.npy", fields=["i", "x", "y", "z", "t"])
    assert np.array_equal(cloud.points, table[:, 1:4])
    assert npy.write(cloud) == saved(table)
    with pytest.raises(InputError, match="5 columns, but 2 names"):
        npy.read(saved(table), "a.npy", fields=["x", "y"])


def test_npz_axes_may_be_arrays() -> None:
    cloud = npy.read(zipped(x=np.ones(3), y=np.zeros(3), z=np.arange(3.0), i=np.arange(3)), "a.npz")
    assert cloud.points.tolist() == [[1, 0, 0], [1, 0, 1], [1, 0, 2]]
    assert cloud.attributes["i"].tolist() == [0, 1, 2]


def test_npy_from_elsewhere() -> None:
    points = np.eye(3, dtype=np.float32)
    cloud = PointCloud(points, {"label": np.arange(3, dtype=np.uint16)})
    array = np.load(io.BytesIO(npy.write(cloud, ".npy")))
    assert array.dtype == [("x", "<f4"), ("y", "<f4"), ("z", "<f4"), ("label", "<u2")]
    arrays = np.load(io.BytesIO(npy.write(cloud, ".npz")))
    assert np.array_equal(arrays["points"], points)
    assert np.array_equal(arrays["label"], [0, 1, 2])


def test_npz_as_npy_says_what_is_lost() -> None:
    told: list[str] = []
    cloud = formats.read(source_files.npz(), "a.npz")
    assert np.load(io.BytesIO(formats.write(".npy", cloud, told.append))).dtype.names is not None
    assert told == ["a .npy file has no place for pose, scale"]


def test_npy_columns_that_are_gone_are_left_out() -> None:
    told: list[str] = []
    cloud = npy.read(source_files.npz(), "a.npz")
    less = PointCloud(cloud.points, {"red": cloud.attributes["red"]}, cloud.source)
    arrays = np.load(io.BytesIO(npy.write(less, ".npz", told.append)))
    assert arrays["colors"].shape == (30, 1)
    assert "valid" not in arrays
    assert len(told) == 2


def test_npy_refuses_what_a_column_does_not_hold() -> None:
    cloud = npy.read(source_files.npy("<u2", (30, 4)), "a.npy")
    with pytest.raises(OutputError, match="'column_4' does not fit <u2"):
        npy.write(PointCloud(cloud.points, {"column_4": np.full(30, 1 << 20)}, cloud.source))


@pytest.mark.parametrize(
    "data",
    [
        saved(np.array([{}, 1], dtype=object), allow_pickle=True),
        saved(np.array(["a", "b"])),
        saved(np.zeros((4, 2))),
        saved(np.zeros((4, 3), complex)),
        saved(np.zeros(4)),
        saved(np.array(3.0)),
        saved(np.zeros(4, [("x", "f4"), ("y", "f4")])),
        zipped(other=np.zeros(3)),
        zipped(points=np.zeros((3, 3)), x=np.zeros(3)),
        b"PK\x03\x04 no archive",
        b"\x93NUMPY\x01\x00\x02\x00{}",
    ],
)
def test_npy_refuses_what_are_no_points(data: bytes) -> None:
    with pytest.raises(InputError, match=r"^a\.np: "):
        npy.read(data, "a.np")


def test_npy_lengths_are_compared_before_memory_is_taken() -> None:
    lying = saved(np.zeros((4, 3))).replace(b"(4, 3)", b"(4000000000000, 3)")
    lying = lying[:8] + (len(lying) - 10 - 96).to_bytes(2, "little") + lying[10:]
    with pytest.raises(InputError, match="array of float64 in"):
        npy.read(lying, "a.npy")
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("points.npy", saved(np.zeros((3, 3))))
    data = stream.getvalue()
    place = data.index(b"PK\x01\x02") + 24
    with pytest.raises(InputError, match="claim more"):
        npy.read(data[:place] + b"\xff\xff\xff\x7f" + data[place + 4 :], "a.npz")
