"""The files a training set is made from: which there are, and what kind of shape each one holds."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from pcc_cli import formats
from pcc_cli.datasets.clouds import distinct, finite, own_grid
from pcc_cli.datasets.surfaces import Surface, surface_of
from pcc_cli.errors import InputError
from pcc_cli.geometry import Mesh, PointCloud

_MESHES = {".obj", ".off", ".stl"}
_CLOUDS = {".ply", ".bin", ".pcd", ".xyz", ".txt", ".csv", ".las", ".laz"}  # a .ply may be a mesh
_FOLDERS = {"lidar": "lidar", "dense": "capture", "scan": "scan"}  # a folder's name decides
_DENSE = 2.5  # voxels in a cell of 2 x 2 x 2: a surface without holes has 4, a scan about 1


@dataclass(frozen=True)
class Source:
    """path of a file, its domain, and its share among the files of that domain."""

    path: Path
    domain: str
    weight: float

    def load(self) -> PointCloud | Surface:
        """What the file holds; the last few are kept in memory."""
        return _load(self.path)


def find_sources(dirs: list[Path]) -> list[Source]:
    """Every file below `dirs` that pcc can train on, sorted by path."""
    paths = {path for folder in dirs for path in folder.rglob("*")
             if path.suffix.lower() in _MESHES | _CLOUDS}  # fmt: skip
    found = []
    for path in sorted(paths):
        domain = _domain(path)
        weight = 1.0 if domain == "mesh" else float(path.stat().st_size) ** 0.5
        found.append(Source(path, domain, weight))
    return found


def _has_faces(path: Path) -> bool:
    if path.suffix.lower() in _MESHES:
        return True
    if path.suffix.lower() != ".ply":
        return False
    with path.open("rb") as file:
        head = file.read(1 << 16).split(b"end_header")[0]
    counts = [line.split()[2] for line in head.splitlines() if line.startswith(b"element face ")]
    return bool(counts) and int(counts[0]) > 0


def _domain(path: Path) -> str:
    """By faces, then by the name of a folder on the way, then by what the cloud is like."""
    if _has_faces(path):
        return "mesh"
    for folder in reversed(path.parts[:-1]):
        if folder in _FOLDERS:
            return _FOLDERS[folder]
    shape = _load(path)
    if not isinstance(shape, PointCloud):
        return "mesh"
    if path.suffix.lower() == ".bin" or "ring" in shape.attributes:
        return "lidar"
    grid = own_grid(shape)
    if grid is not None:
        voxels = distinct(grid[0])
        if len(voxels) > _DENSE * len(distinct(voxels >> 1)):
            return "capture"
    return "scan"


@lru_cache(maxsize=4)
def _load(path: Path) -> PointCloud | Surface:
    """What the file holds; InputError when that is nothing."""
    shape = formats.read(path.read_bytes(), str(path))
    if isinstance(shape, Mesh):
        surface = surface_of(shape)
        if not surface.area() > 0:
            raise InputError(f"{path}: the mesh has no area, or a vertex at infinity")
        return surface
    if not isinstance(shape, PointCloud) or not len(finite(shape)):
        raise InputError(f"{path}: the file has no finite point")
    return shape
