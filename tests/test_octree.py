"""The octree: codes against sets of cells, and back to the same voxels at every depth."""

from __future__ import annotations

import numpy as np
import pytest
import trees

from pcc_cli.tree import octree
from pcc_cli.tree.morton import depth_of

RNG = np.random.default_rng(7)


def cloud(depth: int) -> np.ndarray:
    """Corners, clusters at both ends and points between, all below 2**depth."""
    top = (1 << depth) - 1
    corners = np.array([[x, y, z] for x in (0, top) for y in (0, top) for z in (0, top)])
    near = np.minimum(RNG.integers(0, 6, (60, 3)), top)
    return trees.distinct(
        np.concatenate([corners, near, top - near, RNG.integers(0, top + 1, (60, 3))])
    )


def codes_of(voxels: np.ndarray, depth: int) -> list[list[int]]:
    """The codes of each level, from sets of cells."""
    levels = []
    cells = {tuple(row) for row in voxels.tolist()}
    for _ in range(depth):
        codes: dict[tuple[int, ...], int] = {}
        for x, y, z in cells:
            parent = (x >> 1, y >> 1, z >> 1)
            codes[parent] = codes.get(parent, 0) | 1 << (4 * (x & 1) + 2 * (y & 1) + (z & 1))
        order = trees.distinct(np.array(list(codes))).tolist()
        levels.append([codes[tuple(row)] for row in order])
        cells = set(codes)
    return levels[::-1]


@pytest.mark.parametrize("depth", range(1, 33))
def test_round_trip_at_every_depth(depth):
    voxels = cloud(depth)
    assert depth_of(voxels) == depth
    tree = octree.build(voxels, depth)
    assert tree.depth == depth
    assert np.array_equal(octree.voxels_of(tree), voxels)


@pytest.mark.parametrize("depth", [1, 2, 7, 15, 16, 17, 18, 32])
def test_codes_say_which_children_exist(depth):
    voxels = cloud(depth)
    tree = octree.build(voxels, depth)
    assert [codes.tolist() for codes in tree.codes] == codes_of(voxels, depth)
    assert all(codes.dtype == np.uint8 for codes in tree.codes)


@pytest.mark.parametrize(("bits", "depth"), [(1, 5), (5, 16), (5, 17), (16, 20), (20, 32)])
def test_a_tree_may_be_deeper_than_its_voxels_need(bits, depth):
    voxels = cloud(bits)
    tree = octree.build(voxels, depth)
    assert all(codes.tolist() == [1] for codes in tree.codes[: depth - bits])
    assert np.array_equal(octree.voxels_of(tree), voxels)


@pytest.mark.parametrize("voxel", [[0, 0, 0], [(1 << 32) - 1] * 3, [1 << 31, 0, 1]])
def test_one_voxel_is_one_path(voxel):
    tree = octree.build(np.array([voxel]), 32)
    assert [len(codes) for codes in tree.codes] == [1] * 32
    assert octree.voxels_of(tree).tolist() == [voxel]


def test_expand_goes_one_level_down_in_order():
    voxels = np.array([[0, 0, 0], [5, 6, 7]])
    codes = np.array([0b10000001, 0b00010010], dtype=np.uint8)
    assert octree.expand(voxels, codes).tolist() == [
        [0, 0, 0],
        [1, 1, 1],
        [10, 12, 15],
        [11, 12, 14],
    ]


def test_popcount():
    assert octree.POPCOUNT.tolist() == [bin(code).count("1") for code in range(256)]
