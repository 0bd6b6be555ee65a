"""Shapes: what they refuse, and the triangles of a mesh."""

from __future__ import annotations

import numpy as np
import pytest

from pcc_cli.errors import InputError
from pcc_cli.geometry import Mesh, PointCloud, VoxelCloud

CORNERS = np.arange(18.0).reshape(6, 3)


def mesh(sizes, corners):
    return Mesh(CORNERS, np.array(sizes, np.int32), np.array(corners, np.int64))


def test_triangles_are_fans_about_the_first_corner():
    triangles = mesh([3, 2, 5, 0, 4], [0, 1, 2, 3, 4, 5, 4, 3, 2, 1, 1, 2, 3, 5]).triangles()
    fans = [[0, 1, 2], [5, 4, 3], [5, 3, 2], [5, 2, 1], [1, 2, 3], [1, 3, 5]]
    assert triangles.tolist() == fans and triangles.dtype == np.int64
    assert mesh([], []).triangles().shape == (0, 3)


@pytest.mark.parametrize(
    ("sizes", "corners", "message"),
    [([3], [0, 1], "add up"), ([3], [0, 1, 6], "names vertex 6"), ([2], [0, -1], "vertex -1")],
)
def test_faces_that_cannot_be(sizes, corners, message):
    with pytest.raises(InputError, match=message):
        mesh(sizes, corners)


@pytest.mark.parametrize("points", [np.zeros(3), np.zeros((4, 2)), np.zeros((4, 3), bool)])
def test_points_that_cannot_be(points):
    with pytest.raises(InputError, match="points must"):
        PointCloud(points)


@pytest.mark.parametrize("column", [np.zeros(5), np.zeros((6, 1)), np.array(["a"] * 6)])
def test_columns_that_cannot_be(column):
    with pytest.raises(InputError, match="point attribute 'a'"):
        PointCloud(CORNERS, {"a": column})


@pytest.mark.parametrize("value", [-1, 1 << 32])
def test_voxels_have_32_bits(value):
    with pytest.raises(InputError, match="2\\*\\*32"):
        VoxelCloud(np.full((1, 3), value, np.int64))
