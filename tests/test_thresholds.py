"""Thresholds of blocks: their stream, and that the chosen ones are the best of all."""

from __future__ import annotations

import numpy as np
import pytest
import trees
from scipy.spatial import cKDTree

from pcc_cli.codecs.deepcompress import thresholds
from pcc_cli.codecs.deepcompress.thresholds import INDICES, MIDDLE, STEP, Candidates
from pcc_cli.errors import FormatError
from pcc_cli.tree.morton import morton_order


def case(seed: int = 2):
    """A surface, and candidates around it whose log odds know the surface, with noise."""
    rng = np.random.default_rng(seed)
    original = trees.surface(5)
    corners = np.unique(original >> 1, axis=0)
    corners = corners[morton_order(corners)]
    children = np.array([[c >> 2, c >> 1 & 1, c & 1] for c in range(8)])
    voxels = (2 * corners[:, None] + children).reshape(-1, 3)
    distance = cKDTree(original).query(voxels)[0]
    odds = np.rint(150 - 250 * distance + rng.normal(0, 150, len(voxels))).astype(np.int64)
    blocks = np.unique(voxels >> 4, axis=0, return_inverse=True)[1].ravel()
    return original, Candidates(voxels, odds, np.maximum.accumulate(blocks))


def error(original, kept) -> float:
    there = (cKDTree(kept).query(original)[0] ** 2).mean()
    back = (cKDTree(original).query(kept)[0] ** 2).mean()
    return max(there, back)


def kept(candidates, base, indices):
    marks = thresholds.marks(base, indices)[candidates.blocks]
    return candidates.voxels[candidates.odds >= marks]


@pytest.mark.parametrize("indices", [[], [3], [8] * 50, list(range(16)) * 3])
def test_indices_come_back(indices):
    wanted = np.array(indices, dtype=np.int64)
    stream = thresholds.pack(wanted)
    assert np.array_equal(thresholds.unpack(stream, len(wanted)), wanted)
    with pytest.raises(FormatError):
        thresholds.unpack(stream + bytes(8), len(wanted))


def test_equal_indices_cost_little():
    assert len(thresholds.pack(np.full(1000, 5))) < 40


def test_the_sums_are_squared_distances():
    original, candidates = case()
    steps = thresholds.marks(0, np.arange(INDICES))
    blocks = int(candidates.blocks.max()) + 1
    near = thresholds._Surroundings.of(original, candidates, steps)
    there, back, count = near.sums(blocks, "d1")
    for index in (2, MIDDLE, 11):
        chosen = kept(candidates, 0, np.full(blocks, index))
        assert count[:, index].sum() == len(chosen)
        exact = (cKDTree(chosen).query(original)[0] ** 2).sum()
        assert there[:, index].sum() == pytest.approx(exact, rel=0.05)
        exact = (cKDTree(original).query(chosen)[0] ** 2).sum()
        assert back[:, index].sum() == pytest.approx(exact, rel=0.05)


@pytest.mark.parametrize("metric", thresholds.METRICS)
def test_chosen_thresholds_are_better_than_one_for_all(metric):
    original, candidates = case()
    blocks = int(candidates.blocks.max()) + 1
    chosen = thresholds.choose(original, candidates, 0, blocks, 1 << 21, metric)
    assert chosen.shape == (blocks,) and chosen.min() >= 0 and chosen.max() < INDICES
    same = [error(original, kept(candidates, 0, np.full(blocks, i))) for i in range(INDICES)]
    if metric == "d1":
        assert error(original, kept(candidates, 0, chosen)) < 1.01 * min(same)
    assert error(original, kept(candidates, 0, chosen)) < 1.5 * min(same)


def test_no_more_voxels_are_kept_than_a_tile_may_have():
    original, candidates = case()
    blocks = int(candidates.blocks.max()) + 1
    most = len(original) // 2
    passing = (candidates.odds >= thresholds.marks(0, INDICES - 1)).sum()
    assert passing < most < (candidates.odds >= 0).sum()
    chosen = thresholds.choose(original, candidates, 0, blocks, most, "d1")
    assert 0 < len(kept(candidates, 0, chosen)) <= most or (chosen == MIDDLE).all()
    assert STEP > 0
