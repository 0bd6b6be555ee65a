"""Mates on the lines through a node, against a search through all nodes."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import trees

from pcc_cli.tree.mates import bends, line_mates
from pcc_cli.tree.morton import depth_of

CLOUDS = trees.clouds()


def searched(cells: list[list[int]]) -> tuple[list[list[int]], list[list[bool]]]:
    rows, adjacent = [], []
    for cell in cells:
        before, after = [], []
        for axis in range(3):
            line = {
                other[axis]: row
                for row, other in enumerate(cells)
                if all(other[k] == cell[k] for k in range(3) if k != axis)
            }
            before.append(max((at for at in line if at < cell[axis]), default=None))
            after.append(min((at for at in line if at > cell[axis]), default=None))
            before[-1] = (line.get(before[-1], len(cells)), before[-1] == cell[axis] - 1)
            after[-1] = (line.get(after[-1], len(cells)), after[-1] == cell[axis] + 1)
        rows.append([row for row, _ in before + after])
        adjacent.append([near for _, near in before + after])
    return rows, adjacent


@pytest.mark.parametrize("cloud", CLOUDS)
@pytest.mark.parametrize(("scale", "offset"), [(1, 0), (1, (1 << 21) - 64), (33_288, 0)])
def test_mates_are_the_nearest_nodes_on_each_line(cloud, scale, offset):
    voxels = CLOUDS[cloud]
    cells = trees.distinct(voxels >> max(0, depth_of(voxels) - 6))[:300] * scale + offset
    assert cells.max() < 1 << 21
    rows, adjacent = line_mates(cells)
    assert (rows.tolist(), adjacent.tolist()) == searched(cells.tolist())
    assert rows.dtype == np.int64 and adjacent.dtype == bool


@pytest.mark.parametrize("cloud", ["noise", "surface"])
def test_the_order_of_the_nodes_does_not_matter(cloud):
    cells = CLOUDS[cloud]
    order = np.random.default_rng(8).permutation(len(cells))
    place = np.append(np.argsort(order), len(cells))  # where each row went; none stays none
    rows, adjacent = line_mates(cells)
    shuffled_rows, shuffled_adjacent = line_mates(cells[order])
    assert np.array_equal(shuffled_rows, place[rows[order]])
    assert np.array_equal(shuffled_adjacent, adjacent[order])


def test_deep_trees_pair_what_the_lowest_21_bits_of_coordinates_say():
    """Nodes that then coincide follow each other in their own order, on every machine."""
    rng = np.random.default_rng(9)
    cells = trees.distinct((rng.integers(0, 3, (500, 3)) << 30) + rng.integers(0, 9, (500, 3)))
    rows, adjacent = line_mates(cells)
    count, low = len(cells), cells & ((1 << 21) - 1)
    for axis in range(3):
        first, second = (k for k in range(3) if k != axis)
        line = low[:, [first, second]].tolist()
        order = sorted(range(count), key=lambda row: (line[row], int(low[row, axis]), row))
        before, after = [count] * count, [count] * count
        for one, next_ in itertools.pairwise(order):
            if line[one] == line[next_]:
                before[next_], after[one] = one, next_
        assert rows[:, axis].tolist() == before and rows[:, 3 + axis].tolist() == after
        has = np.flatnonzero(rows[:, axis] < count)
        step = low[has, axis] - low[rows[has, axis], axis]
        assert np.array_equal(adjacent[has, axis], step == 1)


def test_no_nodes_and_one():
    rows, adjacent = line_mates(np.zeros((0, 3), dtype=np.int64))
    assert rows.shape == adjacent.shape == (0, 6)
    rows, adjacent = line_mates(np.array([[3, 1, 2]]))
    assert rows.tolist() == [[1] * 6] and not adjacent.any()


def test_bends_measure_the_distance_from_the_middle_of_both_mates():
    cells = np.array([[0, 0, 0], [3, 0, 0], [4, 0, 0], [9, 0, 0], [30, 0, 0], [60, 0, 0]])
    rows, _ = line_mates(cells)
    found = bends(cells, rows)
    expected = [0, 3 + (0 + 4 - 6), 3 + 2, 3 + 2, 3 + 2, 0]  # 3 + 9 - 8 = 4 and more are cut to 2
    assert found[:, 0].tolist() == expected
    assert not found[:, 1:].any() and found.dtype == np.int32
