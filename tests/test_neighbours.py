"""Neighbour tables, against a search through all nodes of a level."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import trees

from pcc_cli.tree import neighbours, octree

CLOUDS = trees.clouds()
EVERY = pytest.mark.parametrize("cloud", CLOUDS)
OFFSETS = [(x, y, z) for x in (-1, 0, 1) for y in (-1, 0, 1) for z in (-1, 0, 1)]


def searched(cells: list[list[int]]) -> list[list[int]]:
    """The table of `cells`, each neighbour looked up by its coordinates."""
    row_of = {tuple(cell): row for row, cell in enumerate(cells)}
    return [
        [row_of.get((x + i, y + j, z + k), len(cells)) for i, j, k in OFFSETS] for x, y, z in cells
    ]


@EVERY
def test_tables_name_the_neighbours(cloud):
    voxels = CLOUDS[cloud]
    tree = trees.tree_of(voxels)
    for number, (level, codes, _) in enumerate(trees.levels_of(tree)):
        cells = trees.distinct(voxels >> (tree.depth - number)).tolist()
        assert len(level) == len(codes) == len(cells)
        assert level.cells.tolist() == cells
        assert level.table.tolist() == searched(cells)
        assert level.table.dtype == torch.int32


@EVERY
def test_parents_and_octants(cloud):
    tree = trees.tree_of(CLOUDS[cloud])
    above = None
    for level, _, _ in trees.levels_of(tree):
        if above is not None:
            assert torch.equal(above.cells[level.parents], level.cells >> 1)
            assert torch.equal(level.octants, (level.cells & 1) @ torch.tensor([4, 2, 1]))
        above = level


@EVERY
def test_the_leaves_have_a_level_too(cloud):
    """`children` of the last codes are the voxels themselves."""
    tree = trees.tree_of(CLOUDS[cloud])
    for level, codes, _ in trees.levels_of(tree):
        leaves = neighbours.children(level, codes)
    assert np.array_equal(leaves.cells.numpy(), CLOUDS[cloud])


def test_opposite_neighbours_name_each_other():
    for level, _, _ in trees.levels_of(trees.tree_of(CLOUDS["surface"])):
        table, count = level.table.long(), len(level)
        rows, places = (table < count).nonzero(as_tuple=True)
        assert torch.equal(table[table[rows, places], 26 - places], rows)
        assert torch.equal(table[:, 13], torch.arange(count))


def test_chunks_do_not_matter(monkeypatch):
    tree = trees.tree_of(CLOUDS["noise"])
    whole = [level.table for level, _, _ in trees.levels_of(tree)]
    monkeypatch.setattr(neighbours, "_CHUNK", 7)
    parts = [level.table for level, _, _ in trees.levels_of(tree)]
    assert all(torch.equal(a, b) for a, b in zip(whole, parts, strict=True))


def test_coordinates_of_deep_trees():
    voxels = trees.distinct([[(1 << 32) - 1, 0, 1 << 31], [(1 << 32) - 1, 1, 1 << 31]])
    for level, codes, _ in trees.levels_of(octree.build(voxels, 32)):
        leaves = neighbours.children(level, codes)
    assert np.array_equal(leaves.cells.numpy(), voxels)
    assert leaves.table[0].tolist() == [1 if k == 16 else 0 if k == 13 else 2 for k in range(27)]
