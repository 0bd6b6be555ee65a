"""Mates on the lines through a node, against a search through all nodes."""

from __future__ import annotations

import numpy as np
import pytest
import trees

from pcc_cli.tree.mates import line_mates

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
@pytest.mark.parametrize("offset", [0, (1 << 21) - 64])
def test_mates_are_the_nearest_nodes_on_each_line(cloud, offset):
    cells = CLOUDS[cloud][:400]
    cells = cells - cells.min(0)
    cells = cells[cells.max(1) < 64] + offset
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


def test_mates_of_deep_trees_are_mutual_and_only_some_nodes():
    """Beyond 21 bits other nodes may be paired: still at most one each way, and both ways."""
    rng = np.random.default_rng(9)
    cells = trees.distinct((rng.integers(0, 3, (500, 3)) << 30) + rng.integers(0, 9, (500, 3)))
    rows, _ = line_mates(cells)
    count = len(cells)
    assert rows.min() >= 0 and rows.max() <= count
    for axis in range(3):
        has = np.flatnonzero(rows[:, axis] < count)
        assert np.array_equal(rows[rows[has, axis], 3 + axis], has)
        assert len(has) == (rows[:, 3 + axis] < count).sum()


def test_no_nodes_and_one():
    rows, adjacent = line_mates(np.zeros((0, 3), dtype=np.int64))
    assert rows.shape == adjacent.shape == (0, 6)
    rows, adjacent = line_mates(np.array([[3, 1, 2]]))
    assert rows.tolist() == [[1] * 6] and not adjacent.any()
