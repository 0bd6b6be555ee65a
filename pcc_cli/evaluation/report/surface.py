"""What points alone tell about the surface they lie on: how dense they are, which way it faces."""

from __future__ import annotations

import numpy as np

from pcc_cli.geometry import Array
from pcc_cli.tree.morton import morton_order

_BESIDE = 6  # points before and after one in Morton order that may be its neighbours
_RANK = 3  # of these: it is about as far as the fourth nearest of all
_RUN = 16  # points in Morton order that share one spacing
_UNEVEN = 5.0  # no spacing differs more than that from the median: dust is no surface
_CELL = 4.0  # size of the cells whose points share a normal, in spacings
_SHIFTS = (0.0, 0.25, 0.5, 0.75)  # of the cells, in cells: their mean hides the cells


def spacings(points: Array) -> Array:
    """(n,) float64: about how far each of `points` (n, 3) is from those around it on the surface.

    From the distances between neighbours in Morton order: about that to the fourth nearest point
    (exact search takes four times as long). 1.0 when all points coincide.
    """
    extent = float(np.ptp(points, axis=0).max()) if len(points) else 0.0
    if extent == 0.0:
        return np.ones(len(points))
    places = (points - points.min(0)) / extent
    order = morton_order((places * ((1 << 16) - 1)).astype(np.int64))
    distances = extent * _distances(places[order].astype(np.float32))
    # Of a run of points the median: in Morton order some neighbours are missed here and there.
    runs = np.pad(distances, (0, -len(distances) % _RUN), mode="edge").reshape(-1, _RUN)
    middle = np.repeat(np.median(runs, axis=1), _RUN)[: len(distances)]
    found = np.empty(len(points))
    found[order] = middle
    usual = float(np.median(found))
    return np.clip(found, usual / _UNEVEN, usual * _UNEVEN)


def spacing(points: Array) -> float:
    """The median of `spacings`; 1.0 when there are no points."""
    return float(np.median(spacings(points))) if len(points) else 1.0


def _distances(places: Array) -> Array:
    """(n,): from each of `places` to the `_RANK`-th nearest of those beside it; itself not counted.

    Where there are not as many, to the farthest of them.
    """
    squares = np.full((len(places), 2 * _BESIDE), np.inf, dtype=np.float32)
    for away in range(1, min(_BESIDE, len(places) - 1) + 1):
        square = ((places[away:] - places[:-away]) ** 2).sum(1)
        square[square == 0.0] = np.inf
        squares[away:, 2 * away - 2] = square
        squares[:-away, 2 * away - 1] = square
    lowest = np.sort(np.partition(squares, _RANK - 1, axis=1)[:, :_RANK], axis=1)
    last = np.maximum(np.isfinite(lowest).sum(1) - 1, 0)
    square = lowest[np.arange(len(places)), last]
    known = np.isfinite(square)
    square[~known] = np.median(square[known]) if known.any() else 1.0
    return np.sqrt(square)


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
