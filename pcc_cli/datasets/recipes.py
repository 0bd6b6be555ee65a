"""From a source file to voxels, one recipe per domain: random for training, whole for judging.

Every recipe gives (n, 3) int64 voxels >= 0, distinct, in Morton order, and their step.
"""

from __future__ import annotations

import numpy as np

from pcc_cli.datasets.clouds import (
    crop,
    distinct,
    finite,
    grounded,
    median_spacing,
    mirrored,
    own_grid,
    quantized,
    turn_about_z,
)
from pcc_cli.datasets.sources import Source
from pcc_cli.datasets.surfaces import (
    Surface,
    merged,
    named_generator,
    random_voxels,
    voxelized,
)
from pcc_cli.geometry import Array, PointCloud

Cloud = tuple[Array, float]

LEAST, MOST = 60_000, 150_000  # voxels of a training sample, where the source has that many
_LIDAR_WHOLE = 130_000  # scans below stay whole: their pattern belongs to the sensor's place
LIDAR_STEPS = (0.001, 0.002, 0.004, 0.008, 0.016, 0.016, 0.016, 0.032, 0.064, 0.128)  # metres
_SCAN_STEPS = (0.25, 0.5, 1.0, 2.0, 4.0)  # median point spacings


def random_cloud(source: Source, others: list[Source], rng: np.random.Generator) -> Cloud:
    """A training cloud of `source`; a mesh is sometimes merged with one of `others`."""
    shape = source.load()
    count = int(rng.integers(LEAST, MOST + 1))
    if isinstance(shape, Surface):
        meshes = [other for other in others if other.domain == "mesh"]
        if rng.random() < 0.1:
            other = meshes[rng.integers(len(meshes))].load()
            shape = merged(shape, other, rng) if isinstance(other, Surface) else shape
        voxels, step = random_voxels(shape, count, rng)
        return distinct(grounded(crop(voxels, MOST, rng))), step
    return _RECIPES[source.domain](shape, count, rng)


def whole_clouds(source: Source, rng: np.random.Generator) -> list[Cloud]:
    """The clouds of `source` that are judged: none cropped, none moved."""
    shape = source.load()
    if isinstance(shape, Surface):
        return [random_voxels(shape, None, rng)]
    grid = own_grid(shape)
    if source.domain == "lidar":
        on_millimetres = grid is not None and grid[1] == 0.001
        steps = (0.016, 0.064, 0.001) if on_millimetres else (0.016,)
        return [(distinct(grounded(quantized(finite(shape), step))), step) for step in steps]
    if grid is None:
        step = 0.5 * median_spacing(finite(shape))
        grid = grounded(quantized(finite(shape), step)), step
    return [(distinct(grid[0]), grid[1])]


def grid_clouds(source: Source, resolution: int, seed: int) -> list[Cloud]:
    """The cloud of `source`: a mesh with `resolution` voxels along it, a cloud on its own grid."""
    shape = source.load()
    if not isinstance(shape, Surface):
        return whole_clouds(source, np.random.default_rng(seed))[-1:]
    voxels, _ = voxelized(shape, resolution, _SAMPLES, named_generator(seed, source.path.name))
    step = float(np.ptp(shape.vertices, 0).max()) / max(resolution - 1, 1)
    return [(distinct(voxels), step)]


def _capture(cloud: PointCloud, count: int, rng: np.random.Generator) -> Cloud:
    """A part of a dense integer cloud, mirrored; a third of them at half the resolution."""
    grid = own_grid(cloud)
    if grid is None:
        return _scan(cloud, count, rng)
    voxels, step = grid
    voxels = mirrored(voxels, rng)
    if rng.random() < 1 / 3:
        voxels = distinct((voxels + rng.integers(0, 2, 3)) >> 1)
        step *= 2
    return distinct(grounded(crop(voxels, count, rng))), step


def _lidar(cloud: PointCloud, count: int, rng: np.random.Generator) -> Cloud:
    """A scan in metres at a random step, a third of them turned about z first."""
    points = finite(cloud)
    if rng.random() < 1 / 3:
        points = points @ turn_about_z(rng).T
    step = float(rng.choice(LIDAR_STEPS))
    voxels = distinct(grounded(quantized(points, step)))
    if len(voxels) > _LIDAR_WHOLE:
        voxels = distinct(grounded(crop(voxels, count, rng)))
    return voxels, step


def _scan(cloud: PointCloud, count: int, rng: np.random.Generator) -> Cloud:
    """A part of a scan on its own grid (a third, if it has one) or at a step near its spacing."""
    grid = own_grid(cloud)
    if grid is not None and rng.random() < 1 / 3:
        voxels, step = grid
    else:
        points = finite(cloud)
        step = median_spacing(points) * float(rng.choice(_SCAN_STEPS))
        voxels = quantized(points, step)
    return distinct(grounded(crop(distinct(grounded(voxels)), count, rng))), step


_SAMPLES = 500_000  # points that are drawn on a mesh of `grid_clouds`
_RECIPES = {"capture": _capture, "lidar": _lidar, "scan": _scan}
