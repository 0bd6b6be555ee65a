"""What points alone tell about the surface they lie on: how dense they are, which way it faces."""

from __future__ import annotations

import numpy as np

from pcc_cli.geometry import Array

_POINTS_IN_CELL = 16.0
_CELLS_PER_AREA = 1.5  # a plane of random direction crosses that many cells per cell-sized area
_CELL = 4.0  # size of the cells whose points share a normal, in spacings
_SHIFTS = (0.0, 0.25, 0.5, 0.75)  # of the cells, in cells: their mean hides the cells


def spacing(points: Array) -> float:
    """About the distance between neighbours on the surface that `points` (n, 3) sample.

    The area comes from the number of cells that hold points, so that clusters and repeated
    points count little. 1.0 when all points coincide, or there are none.
    """
    if not len(points):
        return 1.0
    low = points.min(0)
    extent = float((points - low).max())
    if extent == 0.0:
        return 1.0
    for halvings in range(1, 21):
        size = extent / 2.0**halvings
        cells = ((points - low) / size).astype(np.int64) @ (1, 1 << 21, 1 << 42)
        occupied = len(np.unique(cells))
        if len(points) <= _POINTS_IN_CELL * occupied:
            break
    return size * float(np.sqrt(occupied / (_CELLS_PER_AREA * len(points))))


def estimated_normals(points: Array) -> Array:
    """(n, 3) float64, unit, of either sign: across the plane through the points around each one.

    Zero where the points around lie on no plane.
    """
    size = _CELL * spacing(points)
    normals = np.zeros((len(points), 3))
    for shift in _SHIFTS:
        cells, owner = _cells_of(points, size, shift)
        flat, across = _planes(points, owner, cells)
        turn = np.where(np.einsum("ij,ij->i", normals, across[owner]) < 0, -1.0, 1.0)
        normals += (turn * flat[owner])[:, None] * across[owner]
    return normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-300)


def _cells_of(points: Array, size: float, shift: float) -> tuple[int, Array]:
    """How many cells hold points, and the number of the cell of each point."""
    places = np.floor((points - points.min(0, initial=np.inf)) / size + shift).astype(np.int64)
    keys = places @ (1, 1 << 21, 1 << 42)
    found, owner = np.unique(keys, return_inverse=True)
    return len(found), owner.ravel()


def _planes(points: Array, owner: Array, cells: int) -> tuple[Array, Array]:
    """Of each cell: how flat its points lie (0 to 1), and the direction (3,) across them."""
    counts = np.bincount(owner, minlength=cells)
    sums = np.stack([np.bincount(owner, column, cells) for column in points.T], axis=1)
    offset = points - (sums / counts[:, None])[owner]
    spread = np.empty((cells, 3, 3))
    for row, column in np.ndindex(3, 3):
        spread[:, row, column] = np.bincount(owner, offset[:, row] * offset[:, column], cells)
    widths, axes = np.linalg.eigh(spread)
    flat = 1.0 - np.maximum(widths[:, 0], 0.0) / np.maximum(widths[:, 1], 1e-300)
    return np.where((counts > 3) & (widths[:, 1] > 1e-300), flat, 0.0), axes[:, :, 0]
