"""The work of each step on one file: shapes in, shapes out; no folders, no manifests."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pcc_cli import formats
from pcc_cli.datasets.clouds import distinct
from pcc_cli.datasets.surfaces import load_surface, named_generator, voxelized
from pcc_cli.errors import InputError
from pcc_cli.geometry import Array, PointCloud
from pcc_cli.tree.morton import morton_order

MESHES = (".off", ".obj", ".stl", ".ply", ".glb")
CLOUDS = tuple(sorted(formats.FOLDER_SUFFIXES))
NORMALS = ("nx", "ny", "nz")


@dataclass(frozen=True)
class MeshToPoints:
    """Points drawn on the surface by area, on a grid.

    resolution : voxels along the longest side of the mesh
    samples : points that are drawn; those that share a voxel become one
    normals : whether each point keeps the normal of its face
    """

    resolution: int = 512
    samples: int = 500_000
    normals: bool = False
    seed: int = 0

    def files(self, path: Path, name: str) -> dict[str, PointCloud]:
        """The cloud of the mesh at `path`, under the name it gets; InputError."""
        surface = load_surface(path)
        if not surface.area() > 0:
            raise InputError(f"{path}: the mesh has no area, or a vertex at infinity")
        rng = named_generator(self.seed, name)
        voxels, normals = voxelized(surface, self.resolution, self.samples, rng)
        return {f"{name}.ply": _cloud(voxels, normals if self.normals else None)}


@dataclass(frozen=True)
class Blocks:
    """A cloud cut along its octree.

    level : halvings of the smallest power of two that holds the cloud; 3 cuts 512 into 64
    block_size : voxels along a block, in place of `level`; 0: as `level` says
    min_points : blocks with fewer are left out
    """

    level: int = 3
    block_size: int = 0
    min_points: int = 100

    def files(self, path: Path, name: str) -> dict[str, PointCloud]:
        """The blocks of the cloud at `path`, each in coordinates of its own; InputError."""
        shape = formats.read(path.read_bytes(), path.name)
        if not isinstance(shape, PointCloud) or not np.array_equal(shape.points, _whole(shape)):
            raise InputError(f"{path}: blocks are cut from clouds on a grid of whole numbers")
        voxels = _whole(shape)
        voxels = voxels - np.minimum(voxels.min(0, initial=0), 0)
        size = self.block_size or _block_size(voxels, self.level)
        places = voxels // size
        order = morton_order(places)
        ends = np.flatnonzero((np.diff(places[order], axis=0) != 0).any(1)) + 1
        made = {}
        for rows in np.split(order, ends) if len(order) else []:
            if len(rows) >= self.min_points:
                x, y, z = (int(place) for place in places[rows[0]])
                columns = {key: column[rows] for key, column in shape.attributes.items()}
                local = (voxels[rows] - places[rows[0]] * size).astype(np.float32)
                made[f"{name}_{x}_{y}_{z}.ply"] = PointCloud(local, columns)
        return made


def _whole(cloud: PointCloud) -> Array:
    return np.rint(cloud.points).astype(np.int64)


def _block_size(voxels: Array, level: int) -> int:
    depth = int(voxels.max(initial=1)).bit_length()
    return 1 << max(depth - level, 0)


def _cloud(voxels: Array, normals: Array | None) -> PointCloud:
    """Each voxel once, in Morton order, with the normal of the first point in it."""
    if normals is None:
        return PointCloud(distinct(voxels).astype(np.float32))
    order = morton_order(voxels)
    placed = voxels[order]
    first = np.ones(len(order), dtype=bool)
    first[1:] = (placed[1:] != placed[:-1]).any(1)
    kept = normals[order][first].astype(np.float32)
    columns = {axis: np.ascontiguousarray(kept[:, i]) for i, axis in enumerate(NORMALS)}
    return PointCloud(placed[first].astype(np.float32), columns)
