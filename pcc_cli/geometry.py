"""The shapes that pcc compresses: frozen, checked at the door.

`PointCloud`, `Mesh` and `Volume` are what a file holds, or a `MeshSet`. `VoxelCloud` is the points
of a cloud on an integer grid, which is what codecs of clouds see; `grid` maps between the two.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pcc_cli.errors import InputError

Array = np.ndarray[Any, Any]


def _check_points(points: Array, what: str) -> None:
    if points.ndim != 2 or points.shape[1] != 3:
        raise InputError(f"{what} must have shape (n, 3), not {points.shape}")
    if points.dtype.kind not in "iuf":
        raise InputError(f"{what} must be integers or floats, not {points.dtype}")


def _check_columns(columns: dict[str, Array], rows: int, what: str) -> None:
    for name, column in columns.items():
        if column.shape != (rows,):
            raise InputError(f"{what} attribute '{name}' has shape {column.shape}, not ({rows},)")
        if column.dtype.kind not in "iuf":
            raise InputError(f"{what} attribute '{name}' has the unsupported type {column.dtype}")


@dataclass(frozen=True)
class PointCloud:
    """Points with one column per attribute.

    points : (n, 3), any integer or float type, in the units of the source
    attributes : name -> (n,) column, in the order of the source
    source : JSON and bytes, what `formats` needs to write the same kind of file again; its member
             `ordered` holds what is true only as long as the points keep their order
    """

    points: Array
    attributes: dict[str, Array] = field(default_factory=dict)
    source: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _check_points(self.points, "points")
        _check_columns(self.attributes, len(self.points), "point")

    def __len__(self) -> int:
        return len(self.points)


@dataclass(frozen=True)
class Mesh:
    """A polygon mesh: vertices and faces of any size, both in the order of the source.

    points : (n, 3), any integer or float type
    face_sizes : (m,) int32, corners of each face
    face_indices : (sum of face_sizes,) int64, vertex of each corner
    attributes, face_attributes : name -> (n,) or (m,) column
    source : as in PointCloud
    """

    points: Array
    face_sizes: Array
    face_indices: Array
    attributes: dict[str, Array] = field(default_factory=dict)
    face_attributes: dict[str, Array] = field(default_factory=dict)
    source: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _check_points(self.points, "vertices")
        if self.face_sizes.ndim != 1 or self.face_indices.ndim != 1:
            raise InputError("face_sizes and face_indices must be one-dimensional")
        if int(self.face_sizes.sum(dtype=np.int64)) != len(self.face_indices):
            raise InputError("face_sizes do not add up to the number of face_indices")
        if len(self.face_indices):
            low, high = int(self.face_indices.min()), int(self.face_indices.max())
            if low < 0 or high >= len(self.points):
                raise InputError(
                    f"a face names vertex {low if low < 0 else high}; there are {len(self.points)}"
                )
        _check_columns(self.attributes, len(self.points), "vertex")
        _check_columns(self.face_attributes, len(self.face_sizes), "face")

    def triangles(self) -> Array:
        """(t, 3) int64 vertices of triangles: each polygon is a fan about its first corner."""
        starts = np.cumsum(self.face_sizes, dtype=np.int64) - self.face_sizes
        counts = np.maximum(self.face_sizes.astype(np.int64) - 2, 0)
        first = np.repeat(starts, counts)
        step = np.arange(len(first)) - np.repeat(np.cumsum(counts) - counts, counts)
        corners = np.stack([first, first + step + 1, first + step + 2], axis=1)
        return np.asarray(self.face_indices[corners])

    def __len__(self) -> int:
        return len(self.points)


class MeshSet(Mapping[str, Mesh]):
    """Meshes by name, in order; names are those of files, folders before them: "toys/car.obj".

    InputError without a mesh, or for a name that no file below a folder can have.
    """

    def __init__(self, meshes: Mapping[str, Mesh]) -> None:
        if not meshes:
            raise InputError("a set of meshes needs one at least")
        for name in meshes:
            check_name(name)
        self._meshes = dict(meshes)

    def __getitem__(self, name: str) -> Mesh:
        return self._meshes[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._meshes)

    def __len__(self) -> int:
        return len(self._meshes)

    @property
    def points(self) -> int:
        """Vertices of all meshes."""
        return sum(len(mesh) for mesh in self.values())

    @property
    def faces(self) -> int:
        return sum(len(mesh.face_sizes) for mesh in self.values())

    @property
    def raw_bytes(self) -> int:
        """Of all coordinates in their types, and four for each corner of a face."""
        return sum(m.points.nbytes + 4 * len(m.face_indices) for m in self.values())


def check_name(name: str) -> None:
    """InputError for a name that a mesh of a set cannot have."""
    parts = name.split("/")
    plain = name.isprintable() and "\\" not in name and len(name.encode()) <= 255
    if not plain or any(part in ("", ".", "..") for part in parts):
        raise InputError(f"{name!r} cannot be the name of a mesh in a set")


@dataclass(frozen=True)
class VoxelCloud:
    """Points on the integer grid, in canonical order, duplicates kept.

    voxels : (n, 3) int64, 0 <= voxel < 2**32 on each axis, sorted by Morton code
             (`tree.morton`; the x bit is the most significant of each triple)
    """

    voxels: Array

    def __post_init__(self) -> None:
        if self.voxels.ndim != 2 or self.voxels.shape[1] != 3 or self.voxels.dtype != np.int64:
            raise InputError("voxels must be (n, 3) int64")
        if len(self.voxels) and (self.voxels.min() < 0 or self.voxels.max() >= 1 << 32):
            raise InputError("voxels must lie in 0 .. 2**32 - 1 on every axis")

    def __len__(self) -> int:
        return len(self.voxels)


IDENTITY = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
AXES_OF_VOLUMES = ("zyx", "zyxc", "tzyx", "tzyxc")


@dataclass(frozen=True)
class Volume:
    """Samples on a regular grid in space.

    values : one axis for each letter of `axes`, any integer or float type, native byte order
    axes : "zyx", with a "t" before it for time steps and a "c" behind it for components
    spacing, origin : of the samples along x, y and z, in units of the source
    direction : 3 x 3, row by row; column i is the direction in space of axis x, y or z
    source : as in PointCloud
    """

    values: Array
    axes: str = "zyx"
    spacing: tuple[float, float, float] = (1.0, 1.0, 1.0)
    origin: tuple[float, float, float] = (0.0, 0.0, 0.0)
    direction: tuple[float, ...] = IDENTITY
    source: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.axes not in AXES_OF_VOLUMES:
            raise InputError(f"the axes of a volume cannot be '{self.axes}'")
        if self.values.ndim != len(self.axes):
            raise InputError(f"a volume {self.axes} cannot have the shape {self.values.shape}")
        if self.values.dtype.kind not in "iuf":
            raise InputError(f"a volume holds integers or floats, not {self.values.dtype}")

    def __len__(self) -> int:
        return self.values.size


Whole = PointCloud | Mesh | Volume  # what a file holds
Shape = Whole | VoxelCloud
Content = Whole | MeshSet
Visible = PointCloud | Mesh | VoxelCloud  # what has points
