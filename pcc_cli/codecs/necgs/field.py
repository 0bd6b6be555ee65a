"""The signed distance of a mesh where it is needed: near the surface, coarse to fine.

Parts of the surface that enclose nothing, or less than the grid can tell, become shells: points
within half a step of them count as inside.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pcc_cli.codecs.necgs import band as bands
from pcc_cli.codecs.necgs.band import Band
from pcc_cli.geometry import Array
from pcc_cli.levelset.solid import Solid

TRUNCATION = 2.0  # steps at which distances are cut off
SHELL = 0.55  # steps: half of the thickness of a shell
PROBE = 1.0  # steps from a triangle to where both of its sides are looked at


@dataclass(frozen=True)
class Field:
    """A mesh on grids.

    band : where it is known
    coarse : for each level from DENSE on, its nodes' signed distances / TRUNCATION steps, -1 to 1
    values : (n,) the same of the last nodes
    """

    band: Band
    coarse: list[Array]
    values: Array

    def beyond(self) -> Array:
        """(K, K, K) bool, whether nodes that are not in the band are inside."""
        nodes, inside = bands.all_nodes(bands.FIRST), np.zeros((bands.FIRST,) * 3, bool)
        coarse = iter(self.coarse)
        for level in self.band.levels:
            if level.side >= bands.DENSE:
                inside.ravel()[nodes] = next(coarse) < 0
            inside, nodes = inside.repeat(2, 0).repeat(2, 1).repeat(2, 2), level.nodes
        return inside


def sampled(solid: Solid, side: int) -> Field:
    """The field of `solid` on grids up to `side`."""
    distance = _Distance(solid, side)
    nodes = bands.all_nodes(bands.FIRST)
    levels, coarse = [], []
    signs: Array | None = None
    for at in bands.sides(side):
        if at < bands.DENSE:
            near = np.ones(len(nodes), bool)
        else:
            found, signs = distance.signed(nodes, at, signs)
            coarse.append(_cut(found, at))
            near = _near(coarse[-1])
            # Children lie a quarter of a diagonal away: farther from the surface, signs stay.
            far = np.abs(found) > 0.44 * 2 / at
            signs = np.repeat(np.where(far, signs, 0)[near], 8)
        level = bands.level(at, nodes, near)
        levels.append(level)
        nodes = level.nodes
    values, _ = distance.signed(nodes, side, signs)
    table = bands.neighbours(nodes, np.arange(len(nodes)), side)
    return Field(Band(levels, table), coarse, _cut(values, side))


def known(coarse: list[Array], values: Array, side: int) -> Field:
    """The field that has these distances, of a band that they say themselves."""
    nodes, levels, distances = bands.all_nodes(bands.FIRST), [], iter(coarse)
    for at in bands.sides(side):
        near = np.ones(len(nodes), bool) if at < bands.DENSE else _near(next(distances))
        levels.append(bands.level(at, nodes, near))
        nodes = levels[-1].nodes
    table = bands.neighbours(nodes, np.arange(len(nodes)), side)
    return Field(Band(levels, table), coarse, values)


def _near(distances: Array) -> Array:
    """(n,) bool: nodes that have children; distances : as in `Field.coarse`"""
    near: Array = np.abs(distances) < np.float32(bands.REACH / TRUNCATION)
    return near


def _cut(distances: Array, side: int) -> Array:
    found: Array = np.clip(distances * (side / (2 * TRUNCATION)), -1, 1).astype(np.float32)
    return found


class _Distance:
    """Signed distances to a solid and to shells around what of its surface bounds nothing."""

    def __init__(self, solid: Solid, side: int) -> None:
        self._solid = solid
        self._half = SHELL * 2 / side
        bare = _bounds_nothing(solid, PROBE * 2 / side)
        self._shell = Solid(solid.vertices, solid.triangles[bare]) if bare.any() else None

    def signed(self, nodes: Array, side: int, signs: Array | None) -> tuple[Array, Array]:
        """Distances at `nodes`, negative inside, and 1 or -1 by the winding number alone.

        signs : what is known of these, 0 where it is not
        """
        points = bands.points(nodes, side)
        signs = np.zeros(len(nodes)) if signs is None else signs.copy()
        asked = np.flatnonzero(signs == 0)
        if len(asked):
            signs[asked] = np.where(self._solid.inside(points[asked]), -1.0, 1.0)
        found = self._solid.distance(points) * signs
        if self._shell is not None:
            found = np.minimum(found, self._shell.distance(points) - self._half)
        return found, signs


def _bounds_nothing(solid: Solid, step: float) -> Array:
    """(m,) bool: triangles whose two sides, `step` away, are both outside."""
    corners = solid.vertices[solid.triangles]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals *= step / np.linalg.norm(normals, axis=1, keepdims=True)
    middle = corners.mean(axis=1)
    sides = solid.inside(np.concatenate([middle + normals, middle - normals]))
    outside: Array = np.logical_not(sides.reshape(2, -1).any(axis=0))
    return outside
