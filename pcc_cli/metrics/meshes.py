"""How far a decoded mesh is from the original: samples of both surfaces, and their volumes.

docs/metrics.md, "Meshes".
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from pcc_cli.errors import UnsupportedError
from pcc_cli.geometry import Array
from pcc_cli.metrics import points as point_metrics
from pcc_cli.metrics.points import Cloud
from pcc_cli.metrics.volume_overlap import overlap

SAMPLES = 100_000
PROBES = 20_000  # of the samples, whose distance to the other surface itself is measured


@dataclass(frozen=True)
class Surface:
    """A mesh of triangles.

    vertices : (n, 3) float64
    triangles : (m, 3) int64, at least one of which has an area
    seed : of the samples; two meshes that are compared have different ones
    """

    vertices: Array
    triangles: Array
    seed: int = 0

    @cached_property
    def corners(self) -> Array:
        """(m, 3, 3) float64, the corners of each triangle."""
        corners: Array = self.vertices[self.triangles]
        return corners

    @cached_property
    def samples(self) -> Cloud:
        """Points spread evenly over the surface, with the normals of their triangles."""
        one, two, three = self.corners.transpose(1, 0, 2)
        normals = np.cross(two - one, three - one)
        areas = np.linalg.norm(normals, axis=1)
        rng = np.random.default_rng(self.seed)
        chosen = rng.choice(len(areas), SAMPLES, p=areas / areas.sum())
        # A point of the parallelogram; its far half is folded back onto the triangle.
        u, v = rng.random((2, SAMPLES, 1))
        fold = u + v > 1
        u, v = np.where(fold, 1 - u, u), np.where(fold, 1 - v, v)
        origin = one[chosen]
        points = origin + u * (two[chosen] - origin) + v * (three[chosen] - origin)
        return point_metrics.cloud(points, normals=normals[chosen] / areas[chosen, None])

    @cached_property
    def is_closed(self) -> bool:
        """Whether each edge has two triangles, or an even number, so that there is an inside.

        Vertices at one place count as one.
        """
        _, same = np.unique(self.vertices, axis=0, return_inverse=True)
        corners = same.reshape(-1)[self.triangles]
        edges = np.concatenate([corners[:, [0, 1]], corners[:, [1, 2]], corners[:, [2, 0]]])
        edges = edges[edges[:, 0] != edges[:, 1]]
        _, counts = np.unique(np.sort(edges, axis=1), axis=0, return_counts=True)
        return bool((counts % 2 == 0).all())


def measure(original: Surface, decoded: Surface, peak: float) -> dict[str, float]:
    """Every measure of `decoded`, name -> value: those of points on samples, and of surfaces.

    peak : for PSNR, in the units of the vertices
    """
    result = point_metrics.measure(original.samples, decoded.samples, peak)
    there, back = _to_surface(decoded, original), _to_surface(original, decoded)
    result["mesh_distance"] = float(there.mean() + back.mean()) / 2
    result["mesh_hausdorff"] = float(max(there.max(), back.max()))
    if original.is_closed and decoded.is_closed:
        result["iou"] = overlap(original.corners, decoded.corners)
    return result


def _to_surface(queries: Surface, target: Surface) -> Array:
    """(PROBES,) exact distances of samples of `queries` to the triangles of `target`."""
    try:
        import rtree  # noqa: F401  (trimesh looks triangles up with it)
    except ImportError as error:
        raise UnsupportedError(
            "measuring meshes needs the package rtree: pip install 'pcc-cli[peers]'"
        ) from error
    import trimesh

    # In no order by place, for the samples are sorted.
    probes = np.random.default_rng(queries.seed).permutation(queries.samples.points)[:PROBES]
    mesh = trimesh.Trimesh(target.vertices, target.triangles, process=False)
    closest = trimesh.proximity.closest_point  # of a module without types
    _, distance, _ = closest(mesh, probes)  # type: ignore[no-untyped-call]
    found: Array = distance
    return found
