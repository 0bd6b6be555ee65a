"""Key spheres: balls inside a solid that give its coarse shape.

As in the generator of SN-Graph, which the paper uses: candidates are the balls around the interior
cells of a grid, large ones first, that do not meet a ball taken before; balls smaller than a cell
are all candidates. The first key sphere is large and near the middle of the solid; each one after
it is the candidate farthest from the spheres chosen so far. Cao et al. 2022, "High-fidelity 3D
Model Compression based on Key Spheres".
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pcc_cli.geometry import Array
from pcc_cli.levelset.solid import CELLS

RADII = 256  # steps of a radius in 1
MOST_CANDIDATES = 2048


@dataclass(frozen=True)
class Spheres:
    """cells : (m,) int64, ascending, of the centres, (x CELLS + y) CELLS + z
    radii : (m,) int64, in steps of 1 / RADII
    """

    cells: Array
    radii: Array

    def __len__(self) -> int:
        return len(self.cells)

    def centres(self) -> Array:
        """(m, 3) float64 in [-1, 1]."""
        return (_places(self.cells) + 0.5) * (2 / CELLS) - 1


def find(grid: Array, count: int) -> Spheres:
    """At most `count` key spheres; grid : (CELLS,)^3 signed distances, negative inside."""
    cells, radii = _candidates(-grid.ravel() * (CELLS / 2))
    chosen = _spread(_places(cells).astype(np.float64), radii, min(count, len(cells)))
    kept = np.sort(chosen)
    by_cell = kept[np.argsort(cells[kept])]
    steps = np.rint(radii[by_cell] * (2 / CELLS) * RADII).astype(np.int64)
    return Spheres(cells[by_cell], np.maximum(steps, 0))


def _places(cells: Array) -> Array:
    """(m, 3) indices of cells."""
    return np.stack([cells // CELLS**2, cells // CELLS % CELLS, cells % CELLS], axis=1)


def _candidates(depth: Array) -> tuple[Array, Array]:
    """Cells and radii, in cells, of balls, large ones first; depth : of each cell, in cells."""
    inner = np.flatnonzero(depth > 0)
    inner = inner[np.argsort(-depth[inner], kind="stable")]
    large = inner[depth[inner] >= 1]
    places = _places(large).astype(np.float64)
    radii = depth[large]
    free = np.ones(len(large), bool)
    taken: list[int] = []
    while free.any() and len(taken) < MOST_CANDIDATES:
        ball = int(free.argmax())
        taken.append(ball)
        gaps = np.sqrt(((places - places[ball]) ** 2).sum(axis=1))
        free &= gaps > radii + radii[ball]
        free[ball] = False
    small = inner[depth[inner] < 1]
    kept = np.concatenate([large[taken], small])[:MOST_CANDIDATES]
    return kept, depth[kept]


def _spread(places: Array, radii: Array, count: int) -> Array:
    """Indices of `count` candidates by furthest-sphere sampling; in units of cells."""
    if not count:
        return np.zeros(0, np.int64)
    middle = (CELLS - 1) / 2
    off = np.sqrt(((places - middle) ** 2).sum(axis=1))
    worth = radii / radii.max() * (radii - 1) - off
    worth[radii**2 <= radii.max() ** 2 / 4] = -np.inf
    chosen = [int(worth.argmax())]
    gain = np.full(len(radii), np.inf)
    while len(chosen) < count:
        last = chosen[-1]
        gaps = np.sqrt(((places - places[last]) ** 2).sum(axis=1))
        gain = np.minimum(gain, gaps - radii[last] + 2 * radii)
        gain[chosen] = -np.inf
        chosen.append(int(gain.argmax()))
    return np.array(chosen)
