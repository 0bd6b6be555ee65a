"""Normals of points: estimated from the neighbours, or carried over to another cloud.

docs/metrics.md, "Normals".
"""

from __future__ import annotations

import numpy as np

from pcc_cli.geometry import Array
from pcc_cli.metrics.neighbours import Neighbours

NEIGHBOURS = 16  # of a plane that is fitted, the point itself among them
LINKS = 6  # neighbours with which a normal agrees about its side
CHUNK = 1 << 16


def estimate(index: Neighbours) -> Array:
    """(n, 3) float64 unit normals of the indexed points, on either side.

    The normal is the direction in which the nearest points spread least.
    """
    points = index.points
    normals = np.empty_like(points)
    for start in range(0, len(points), CHUNK):
        rows = slice(start, start + CHUNK)
        _, near = index.several(points[rows], NEIGHBOURS)
        spread = points[near] - points[near].mean(axis=1, keepdims=True)
        _, axes = np.linalg.eigh(spread.transpose(0, 2, 1) @ spread)
        normals[rows] = axes[:, :, 0]
    return normals


def orient(normals: Array, index: Neighbours) -> Array:
    """`normals` (n, 3) of the indexed points, turned so that neighbours have the same side.

    Along a minimum spanning tree of links between neighbours, where a link costs more the less
    parallel its two normals are, each is turned to the side of its parent (Hoppe et al. 1992).
    """
    parent = _parents(normals, index)
    side = np.where(_cosine(normals, normals[parent]) < 0, -1.0, 1.0)
    while (parent != parent[parent]).any():  # pointer jumping: the product along the whole path
        side, parent = side * side[parent], parent[parent]
    turned: Array = normals * side[:, None]
    return turned


def _parents(normals: Array, index: Neighbours) -> Array:
    """(n,) the parent of each point in the spanning tree of its part; roots are their own."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import (
        breadth_first_order,
        connected_components,
        minimum_spanning_tree,
    )

    count = len(normals)
    _, near = index.several(index.points, LINKS)
    ends = np.repeat(np.arange(count), near.shape[1]), near.ravel()
    # A cost of 0 would be no link.
    cost = 1.0 + 1e-9 - np.abs(_cosine(normals[ends[0]], normals[ends[1]])).clip(0, 1)
    tree = minimum_spanning_tree(coo_matrix((cost, ends), (count, count)).tocsr())
    parts, part = connected_components(tree, directed=False)
    _, roots = np.unique(part, return_index=True)
    # One walk through all parts: a further node is linked to the root of each.
    hub = coo_matrix((np.ones(parts), (np.full(parts, count), roots)), (count + 1, count + 1))
    tree.resize(count + 1, count + 1)
    _, parent = breadth_first_order(tree + hub.tocsr(), count, directed=False)
    own = np.arange(count)
    return np.where(parent[:count] == count, own, parent[:count])


def _cosine(one: Array, other: Array) -> Array:
    cosine: Array = np.einsum("ij,ij->i", one, other)
    return cosine


def carry(source: Neighbours, normals: Array, target: Neighbours) -> Array:
    """(m, 3) normals of the points of `target`, from `normals` of those of `source`.

    As in MPEG's pc_error: a point of the target takes the mean of the normals of all source points
    that it is nearest to, or, where there are none, of the source points that are nearest to it.
    The mean is not normalized.
    """
    ties = target.ties(source.points)
    count = np.bincount(ties.point, minlength=len(target.points))
    total = np.stack(
        [np.bincount(ties.point, axis[ties.query], len(target.points)) for axis in normals.T], 1
    )
    carried: Array = total / np.maximum(count, 1)[:, None]
    orphans = np.flatnonzero(count == 0)
    if len(orphans):
        back = source.ties(target.points[orphans])
        carried[orphans] = np.stack([back.mean(axis[back.point]) for axis in normals.T], 1)
    return carried
