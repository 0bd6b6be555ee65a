"""Morton order: against plain Python integers, at every depth up to 32 bits an axis."""

from __future__ import annotations

import numpy as np
import pytest

from pcc_cli.tree.morton import among, depth_of, morton_codes, morton_order

RNG = np.random.default_rng(6)
DEPTHS = [1, 2, 15, 16, 17, 18, 31, 32]


def code_of(row: list[int]) -> int:
    """The bits of x, y and z interleaved, x first, one by one."""
    code = 0
    for bit in reversed(range(32)):
        for value in row:
            code = code << 1 | (value >> bit) & 1
    return code


def cloud(depth: int, count: int = 200) -> np.ndarray:
    corners = [[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)]
    top = (1 << depth) - 1
    return np.concatenate([RNG.integers(0, 1 << depth, (count, 3)), np.array(corners) * top])


@pytest.mark.parametrize("depth", DEPTHS)
def test_codes_interleave_the_bits(depth):
    voxels = cloud(depth)
    high, low = morton_codes(voxels)
    assert high.min() >= 0 and low.min() >= 0 and low.max() < 1 << 48
    codes = [top << 48 | rest for top, rest in zip(high.tolist(), low.tolist(), strict=True)]
    assert codes == [code_of(row) for row in voxels.tolist()]


@pytest.mark.parametrize("depth", DEPTHS)
def test_order_is_that_of_the_codes_and_stable(depth):
    voxels = cloud(depth)
    voxels = np.concatenate([voxels, voxels[::3], voxels[:5]])
    codes = [code_of(row) for row in voxels.tolist()]
    assert morton_order(voxels).tolist() == sorted(range(len(codes)), key=codes.__getitem__)


@pytest.mark.parametrize("offset", [0, 1 << 16, (1 << 32) - 40])
def test_points_that_share_their_high_bits(offset):
    voxels = offset + RNG.integers(0, 40, (300, 3))
    codes = [code_of(row) for row in voxels.tolist()]
    assert morton_order(voxels).tolist() == sorted(range(len(codes)), key=codes.__getitem__)


@pytest.mark.parametrize("depth", [3, 16, 20, 32])
def test_every_cell_of_every_depth_is_one_run(depth):
    voxels = cloud(depth)
    voxels = voxels[morton_order(voxels)]
    for shift in range(depth + 1):
        cells = voxels >> shift
        runs = 1 + int((cells[1:] != cells[:-1]).any(axis=1).sum())
        assert runs == len(np.unique(cells, axis=0))


def test_no_points():
    empty = np.zeros((0, 3), dtype=np.int64)
    assert morton_order(empty).shape == (0,)
    assert depth_of(empty) == 0


def test_depth_is_the_smallest_that_holds_every_coordinate():
    assert depth_of(np.zeros((4, 3), dtype=np.int64)) == 0
    for depth in range(1, 33):
        assert depth_of(np.array([[0, (1 << depth) - 1, 0]])) == depth
        assert depth_of(np.array([[0, 0, 1 << (depth - 1)]])) == depth


def test_what_is_among_others_is_found_at_any_depth():
    rng = np.random.default_rng(4)
    for top in (4, 1 << 32):
        voxels, others = (np.unique(rng.integers(0, top, (30, 3)), axis=0) for _ in range(2))
        others = np.concatenate([others, voxels[::3]])
        others = np.unique(others, axis=0)
        wanted = [tuple(row) in {tuple(other) for other in others} for row in voxels]
        assert among(voxels, others).tolist() == wanted
    assert among(np.empty((0, 3), np.int64), others).tolist() == []
