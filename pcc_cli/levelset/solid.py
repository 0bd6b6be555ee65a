"""The inside of a mesh: exact distances to it, their sign, and where to ask for them.

A point is inside where the winding number says so by more than half, which also holds for meshes
with holes, with parts that overlap, and with triangles turned either way. Barill et al. 2018, "Fast
winding numbers for soups and clouds". The package point-cloud-utils computes both.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from pcc_cli.errors import InputError, UnsupportedError
from pcc_cli.geometry import Array, Mesh

REACH = 0.9  # of the ball, or the half side of the box, that a mesh is brought into
STEP = 2.0**-15  # vertices in that ball are rounded to, so that a moved mesh is the same mesh
CELLS = 64  # along an axis of the grid over [-1, 1]^3
NEAR = 160_000  # samples near the surface
LEAST = 12_000
SECONDS = 20.0  # that their signs may take: a few meshes have triangles for which it is slow
SPREADS = 1 / 60, 1 / 300  # of the samples about the surface


@dataclass(frozen=True)
class Frame:
    """The ball around a mesh: centre (3,) and radius, units of the source."""

    centre: Array
    radius: float

    @classmethod
    def around(cls, vertices: Array) -> Frame:
        centre = (vertices.min(axis=0) + vertices.max(axis=0)) / 2
        return cls(centre, float(np.sqrt(((vertices - centre) ** 2).sum(axis=1).max())))

    def inward(self, points: Array) -> Array:
        """`points` of the source in the ball of radius REACH around 0."""
        return (points - self.centre) * (REACH / self.radius)

    def outward(self, points: Array) -> Array:
        return points * (self.radius / REACH) + self.centre


@dataclass(frozen=True)
class Solid:
    """vertices : (n, 3) float64, in the ball; triangles : (m, 3) int64"""

    vertices: Array
    triangles: Array

    @classmethod
    def of(cls, mesh: Mesh, place: Callable[[Array], Frame] = Frame.around) -> tuple[Frame, Solid]:
        """`mesh` in the frame that `place` gives its vertices (n, 3); by default its ball.

        InputError when it has no triangle with an area.
        """
        triangles = mesh.triangles()
        used = np.unique(triangles)
        points = mesh.points.astype(np.float64)
        if not np.isfinite(points[used]).all():
            raise InputError("a face has a vertex that is not finite")
        frame = place(points[used]) if len(used) else Frame(np.zeros(3), 0.0)
        if not frame.radius > 0:
            raise InputError("the mesh has no face with an area")
        places = np.rint(frame.inward(np.nan_to_num(points)) / STEP) * STEP
        sizes = areas(places[triangles])
        solid = cls(places, triangles[sizes > 0])
        if not len(solid.triangles):
            raise InputError("the mesh has no face with an area")
        return frame, solid

    def distance(self, points: Array) -> Array:
        """(n,) distances of `points` to the surface."""
        found, _, _ = _library().closest_points_on_mesh(points, self.vertices, self.triangles)
        distances: Array = np.asarray(found, np.float64)
        return distances

    def inside(self, points: Array) -> Array:
        """(n,) bool."""
        winding = _library().triangle_soup_fast_winding_number
        inside: Array = np.abs(winding(self.vertices, self.triangles, points)) > 0.5
        return inside

    def on_surface(self, count: int, rng: np.random.Generator) -> tuple[Array, Array]:
        """Points spread evenly over the surface, and the normals of their triangles."""
        corners = self.vertices[self.triangles]
        sizes = areas(corners)
        chosen = rng.choice(len(sizes), count, p=sizes / sizes.sum())
        one, two, three = corners[chosen].transpose(1, 0, 2)
        u, v = rng.random((2, count, 1))
        fold = u + v > 1  # the far half of a parallelogram, back onto the triangle
        u, v = np.where(fold, 1 - u, u), np.where(fold, 1 - v, v)
        normals = np.cross(two - one, three - one) / (2 * sizes[chosen, None])
        return one + u * (two - one) + v * (three - one), normals

    @cached_property
    def grid(self) -> Array:
        """(CELLS,)^3 signed distances, negative inside, at `grid_points()`.

        Neighbours more than half a cell from the surface have one sign.
        """
        # Imported here: it takes half a second.
        from scipy import ndimage

        points = grid_points()
        distances = self.distance(points)
        shape = (CELLS,) * 3
        far = (distances > 1.01 / CELLS).reshape(shape)
        regions, count = ndimage.label(far)
        flat = regions.ravel()
        inside = np.zeros(len(points), bool)
        near = np.flatnonzero(flat == 0)
        inside[near] = self.inside(points[near])
        _, first = np.unique(flat, return_index=True)
        one_each = first[flat[first] > 0]
        signs = np.zeros(count + 1, bool)
        signs[flat[one_each]] = self.inside(points[one_each])
        signed: Array = np.where(np.where(flat == 0, inside, signs[flat]), -distances, distances)
        return signed.reshape(shape)

    def near_surface(self, rng: np.random.Generator, wanted: int) -> tuple[Array, Array]:
        """Points whose density falls as exp(-|distance| / spread), and their signed distances.

        wanted : so many of them, within LEAST and NEAR; fewer where their signs would take long
        """
        fast = int(SECONDS / self._seconds_of_a_sign(rng))
        count = min(NEAR, max(LEAST, min(wanted, fast)))
        base, normals = self.on_surface(count, rng)
        spread = np.where(rng.random(count) < 0.5, *SPREADS)
        points = np.clip(base + normals * (rng.laplace(size=count) * spread)[:, None], -1, 1)
        distances = self.distance(points)
        return points, np.where(self.inside(points), -distances, distances)

    def _seconds_of_a_sign(self, rng: np.random.Generator) -> float:
        probes, _ = self.on_surface(500, rng)
        self.inside(probes[:1])
        started = time.process_time()
        self.inside(probes)
        return max(time.process_time() - started, 1e-9) / len(probes)


def grid_points() -> Array:
    """(CELLS^3, 3) centres of the cells, x first."""
    axis = (np.arange(CELLS) + 0.5) * (2 / CELLS) - 1
    return np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1).reshape(-1, 3)


def areas(corners: Array) -> Array:
    """(m,) of triangles with the corners (m, 3, 3)."""
    one, two, three = corners.transpose(1, 0, 2)
    sizes: Array = np.linalg.norm(np.cross(two - one, three - one), axis=1) / 2
    return sizes


def _library() -> Any:
    try:
        import point_cloud_utils
    except ImportError as error:
        raise UnsupportedError(
            "distances to a mesh need the package point-cloud-utils: pip install 'pcc-cli[mesh]'"
        ) from error
    return point_cloud_utils
