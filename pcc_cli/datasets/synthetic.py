"""Clouds from nothing: what the example, the tests and the benchmarks use instead of real data.

    python -m pcc_cli.datasets.synthetic docs/examples/scan.ply
    python -m pcc_cli.datasets.synthetic terrain.ply --kind plain-terrain --points 20000000

The same arguments give the same cloud on one machine; another one's sine and square root may
move a few points to the next cell of the grid.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np

from pcc_cli.datasets.noise import fractal_noise
from pcc_cli.datasets.outdoors import lidar, terrain
from pcc_cli.datasets.scanner import Scanner
from pcc_cli.datasets.still_life import CENTER, RADIUS, still_life
from pcc_cli.geometry import Array, PointCloud

__all__ = ["lidar", "scan", "surface", "terrain"]

_SAMPLES_PER_CELL = 4.0  # of a surface of one cell: leaves next to no holes
_CHUNK = 1 << 20  # samples at a time: bounds the memory of large surfaces


def scan(seed: int = 0, scanner: Scanner | None = None) -> PointCloud:
    """The still life as a scanner sees it: float32 metres on a 1 mm grid, with 8-bit colours.

    About 57 000 points by default; `Scanner(stations=4, spacing=3.0)` gives some thousand at once.
    """
    scanner = scanner or Scanner()
    cells, colours = scanner.scan(still_life(), np.array(CENTER), RADIUS, seed)
    # Divided, not multiplied by 0.001: so 0.007 becomes the float that its text stands for.
    points = (cells * scanner.grid / 1000.0).astype(np.float32)
    return PointCloud(points, _columns(colours))


def surface(bits: int = 7, seed: int = 0) -> PointCloud:
    """A closed bumpy surface, every voxel that it crosses once: float32 integers, 8-bit colours.

    bits : the coordinates lie in 0 .. 2**bits - 1, as in captures of people; 10 gives 2 M voxels
    """
    reach = 0.5 * 2.0**bits - 0.5
    count = int(_SAMPLES_PER_CELL * 4.0 * np.pi * reach**2)
    keys = np.zeros(0, dtype=np.int64)
    for start in range(0, count, _CHUNK):
        directions = _directions(np.arange(start, min(start + _CHUNK, count)), count)
        bumps = 0.72 + 0.28 * np.clip(fractal_noise(directions + 7.0, 0.7, seed), -1.0, 1.0)
        cells = np.rint(reach * (1.0 + bumps[:, None] * directions)).astype(np.int64)
        keys = np.union1d(keys, cells @ (1 << 2 * bits, 1 << bits, 1))
    cells = np.stack([keys >> 2 * bits, keys >> bits, keys], axis=1) & ((1 << bits) - 1)
    tints = [fractal_noise(cells / 2.0**bits, 0.2, 91 * seed + k) for k in range(3)]
    colours = np.rint(128.0 + 100.0 * np.clip(np.stack(tints, axis=1), -1.0, 1.0))
    return PointCloud(cells.astype(np.float32), _columns(colours.astype(np.uint8)))


def _directions(index: Array, count: int) -> Array:
    """(n, 3) unit vectors, points `index` of `count` spread evenly over a sphere (Fibonacci)."""
    height = 1.0 - (2.0 * index + 1.0) / count
    turn = index * (np.pi * (3.0 - np.sqrt(5.0)))
    level = np.sqrt(1.0 - height * height)
    return np.stack([level * np.cos(turn), level * np.sin(turn), height], axis=1)


def _columns(colours: Array) -> dict[str, Array]:
    return {name: colours[:, k].copy() for k, name in enumerate(("red", "green", "blue"))}


_KINDS: dict[str, Callable[[int, int], PointCloud]] = {
    "scan": lambda points, seed: scan(seed),
    "surface": lambda points, seed: surface(10, seed),
    "lidar": lambda points, seed: lidar(seed=seed),
    "terrain": lambda points, seed: terrain(points, seed),
    "plain-terrain": lambda points, seed: terrain(points, seed, plain=True),
}


def main() -> None:
    """Write one generated cloud."""
    from pcc_cli import formats

    parser = argparse.ArgumentParser(prog="python -m pcc_cli.datasets.synthetic")
    parser.add_argument("out", type=Path, help="file to write, such as scan.ply")
    parser.add_argument("--kind", choices=_KINDS, default="scan")
    parser.add_argument("--points", type=int, default=1_000_000, help="of a terrain")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if options.points < 1:
        parser.error(f"--points must be at least 1, not {options.points}")
    cloud = _KINDS[options.kind](options.points, options.seed)
    options.out.write_bytes(formats.write(options.out.suffix, cloud))


if __name__ == "__main__":
    main()
