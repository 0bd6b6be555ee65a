"""Triangle meshes as the voxel clouds that a scanner could have made of them.

Points are drawn on the surface by area, then roughened: smooth displacement along the normals,
noise, second layers, holes. Lengths below are in voxels unless something else is said.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pcc_cli import formats
from pcc_cli.datasets.clouds import Region, distinct, grounded, random_region, rotation
from pcc_cli.errors import InputError
from pcc_cli.geometry import Array, Mesh

# A plane of random direction crosses E(|nx| + |ny| + |nz|) = 1.5 voxels per unit of its area.
VOXELS_PER_AREA = 1.5
_ROUGH_SAMPLES = 20_000  # points that stand for the whole surface when a region is chosen
_MOST_SAMPLES = 6_000_000
_LATTICE = 32  # period of the value noise, in wavelengths


@dataclass(frozen=True)
class Surface:
    """vertices : (n, 3) float64; faces : (m, 3) int64; normals : (n, 3) float64, unit or zero."""

    vertices: Array
    faces: Array
    normals: Array

    def area(self) -> float:
        """In squared units of the vertices."""
        return float(_areas(_corners(self)).sum())


def load_surface(path: Path) -> Surface:
    """The triangles of a mesh file; InputError when it cannot be read, or has no faces."""
    shape = formats.read(path.read_bytes(), str(path))
    if not isinstance(shape, Mesh):
        raise InputError(f"{path}: the file holds no faces; a mesh is needed")
    return surface_of(shape)


def surface_of(mesh: Mesh) -> Surface:
    """The triangles of `mesh`, with normals that change smoothly over it."""
    vertices, faces = np.asarray(mesh.points, np.float64), mesh.triangles()
    return Surface(vertices, faces, _vertex_normals(vertices, faces))


def draw_points(surface: Surface, count: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """(count, 3) points on the faces, uniform by area, and the unit normal of each one's face."""
    triangles = surface.vertices[surface.faces]  # (faces, 3, 3)
    across = np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0])
    across /= np.maximum(np.linalg.norm(across, axis=1, keepdims=True), 1e-300)
    corners = np.concatenate([triangles, np.repeat(across[:, None], 3, axis=1)], axis=2)
    drawn = _samples(corners, count, rng)
    return drawn[:, :3], drawn[:, 3:]


def voxelized(
    surface: Surface, resolution: int, samples: int, rng: np.random.Generator
) -> tuple[Array, Array]:
    """(samples, 3) int64 voxels 0 .. resolution - 1 of random points on `surface`, and normals."""
    points, normals = draw_points(surface, samples, rng)
    low = surface.vertices.min(0)
    side = float((surface.vertices.max(0) - low).max())
    return np.rint((points - low) * ((resolution - 1) / side)).astype(np.int64), normals


def named_generator(seed: int, name: str) -> np.random.Generator:
    """One for each file, whatever the order in which files are worked on."""
    digest = hashlib.sha256(name.encode()).digest()
    return np.random.default_rng([seed, int.from_bytes(digest[:8], "little")])


def merged(first: Surface, second: Surface, rng: np.random.Generator) -> Surface:
    """Both, turned and brought to like sizes, so close that they usually touch."""
    parts = []
    for surface in (first, second):
        turn = rotation(rng)
        vertices = (surface.vertices - surface.vertices.mean(0)) @ turn.T
        vertices *= rng.uniform(0.5, 1.0) / max(float(np.ptp(vertices, 0).max()), 1e-12)
        parts.append(Surface(vertices + rng.uniform(-0.4, 0.4, 3), surface.faces,
                             surface.normals @ turn.T))  # fmt: skip
    one, two = parts
    return Surface(
        np.concatenate([one.vertices, two.vertices]),
        np.concatenate([one.faces, two.faces + len(one.vertices)]),
        np.concatenate([one.normals, two.normals]),
    )


def random_voxels(
    surface: Surface, count: int | None, rng: np.random.Generator
) -> tuple[Array, float]:
    """About `count` (None: all) distinct voxels (n, 3) int64 of `surface`, and their step.

    The turn, the scale (the whole object has 7 to 10.5 bits), the density of points and the
    roughness are drawn from `rng`.
    """
    bits = rng.triangular(7.0, 9.8, 10.5)
    turn = np.eye(3) if rng.random() < 0.15 else rotation(rng)
    turned = surface.vertices @ turn.T
    step = float(np.ptp(turned, 0).max()) / 2.0**bits
    scaled = Surface(turned / step, surface.faces, surface.normals @ turn.T)
    sigma = float(rng.choice([0.0, 0.2, 0.4], p=[0.25, 0.35, 0.4]) * rng.random())
    samples, region = _dense_samples(_corners(scaled), count, sigma, rng)
    points = _roughened(samples[:, :3], samples[:, 3:], rng)
    points = points + sigma * rng.standard_normal(points.shape)
    if region is not None:
        points = points[region.holds(points)]
    voxels = distinct(grounded(np.floor(points).astype(np.int64)))
    if rng.random() < 1 / 3:
        voxels = voxels[rng.random(len(voxels)) >= rng.uniform(0.0, 0.15)]
    return voxels, step


def _vertex_normals(vertices: Array, faces: Array) -> Array:
    corners = vertices[faces]
    across = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals = np.zeros_like(vertices)
    for corner in range(3):
        np.add.at(normals, faces[:, corner], across)
    lengths = np.linalg.norm(normals, axis=1, keepdims=True)
    return np.asarray(normals / np.maximum(lengths, 1e-30))


def _corners(surface: Surface) -> Array:
    """(faces, 3, 6) float64, position and normal of each corner."""
    return np.concatenate([surface.vertices, surface.normals], axis=1)[surface.faces]


def _areas(corners: Array) -> Array:
    """(faces,) float64."""
    edges = corners[:, 1:, :3] - corners[:, :1, :3]
    return np.asarray(0.5 * np.linalg.norm(np.cross(edges[:, 0], edges[:, 1]), axis=1))


def _samples(corners: Array, count: int, rng: np.random.Generator) -> Array:
    """(count, 6) positions and normals, uniform by area over the faces with these `corners`."""
    areas = _areas(corners)
    chosen = np.repeat(corners, rng.multinomial(count, areas / areas.sum()), axis=0)
    root, other = np.sqrt(rng.random((count, 1))), rng.random((count, 1))
    chosen[:, 0] *= 1.0 - root
    chosen[:, 1] *= root * (1.0 - other)
    chosen[:, 2] *= root * other
    return np.asarray(chosen.sum(1))


def _near(corners: Array, region: Region) -> Array:
    """The faces that reach into `region`, large ones cut in four until none is far larger."""
    while True:
        low, high = corners[..., :3].min(1), corners[..., :3].max(1)
        meets = region.touches(low, high)
        large = (high - low).max(1) > 2.0 * region.radius + 4.0
        if not (meets & large).any():
            return corners[meets]
        middles = 0.5 * (corners + np.roll(corners, -1, axis=1))[meets & large]
        a, b, c = np.moveaxis(corners[meets & large], 1, 0)
        ab, bc, ca = np.moveaxis(middles, 1, 0)
        parts = [(a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca)]
        corners = np.concatenate(
            [corners[meets & ~large], *(np.stack(part, axis=1) for part in parts)]
        )


def _dense_samples(
    corners: Array, count: int | None, sigma: float, rng: np.random.Generator
) -> tuple[Array, Region | None]:
    """(n, 6) samples for about `count` voxels (None: all), 1 to 8 each, and the region of those.

    Few when they are to be moved by noise of `sigma`: many would make the surface thick.
    """
    region = None
    total = VOXELS_PER_AREA * float(_areas(corners).sum())
    if count is not None and total > count:
        rough = _samples(corners, _ROUGH_SAMPLES, rng)[:, :3]
        region = random_region(rough, count / total, rng)
        corners = _near(corners, region)
        total = VOXELS_PER_AREA * float(_areas(corners).sum())
    hits = rng.uniform(1.0, 2.5) if rng.random() < 0.2 else rng.uniform(2.5, 8.0)
    hits /= 1.0 + 3.0 * sigma
    return _samples(corners, min(int(hits * total) + 1, _MOST_SAMPLES), rng), region


def _roughened(points: Array, normals: Array, rng: np.random.Generator) -> Array:
    """The points (m, 3) after displacement, second layer and holes."""
    if rng.random() < 0.6:
        wavelength = 20.0 * 10.0 ** rng.random()
        height = rng.uniform(0.0, 0.06) * wavelength
        points = points + height * _value_noise(points, wavelength, rng)[:, None] * normals
    if rng.random() < 0.5:
        height = rng.uniform(0.0, 0.8)
        wavelength = rng.uniform(2.0, 12.0)
        points = points + height * _value_noise(points, wavelength, rng)[:, None] * normals
    if rng.random() < 0.15:
        doubled = _value_noise(points, rng.uniform(10.0, 60.0), rng) > rng.uniform(0.1, 0.5)
        layer = points[doubled] - rng.uniform(1.0, 3.0) * normals[doubled]
        points = np.concatenate([points, layer])
    if rng.random() < 0.2:
        return _with_holes(points, rng)
    return points


def _with_holes(points: Array, rng: np.random.Generator) -> Array:
    for _ in range(rng.integers(1, 10)):
        gaps = points - points[rng.integers(len(points))]
        kept = points[np.einsum("ij,ij->i", gaps, gaps) > rng.uniform(2.0, 15.0) ** 2]
        points = kept if len(kept) else points
    return points


def _value_noise(points: Array, wavelength: float, rng: np.random.Generator) -> Array:
    """(n,) smooth values in -1 .. 1 that change over about `wavelength`."""
    lattice = rng.uniform(-1.0, 1.0, (_LATTICE, _LATTICE, _LATTICE))
    places = points / wavelength + rng.uniform(0.0, _LATTICE, 3)
    cells = np.floor(places).astype(np.int64)
    part = places - cells
    part = part * part * (3.0 - 2.0 * part)
    total = np.zeros(len(points))
    for corner in np.ndindex(2, 2, 2):
        weight = np.prod(np.where(corner, part, 1.0 - part), axis=1)
        x, y, z = ((cells + corner) % _LATTICE).T
        total += weight * lattice[x, y, z]
    return total
