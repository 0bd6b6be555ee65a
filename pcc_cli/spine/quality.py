"""How near what comes back is to what was compressed, measured on what the decoder will see.

docs/metrics.md defines the numbers. Between the tiles of a large cloud no neighbours are looked
for, so that D1 is a little better than this says.
"""

from __future__ import annotations

import math

import numpy as np

from pcc_cli.attributes.colour import peak
from pcc_cli.geometry import Array, Volume, VoxelCloud
from pcc_cli.metrics import colour
from pcc_cli.metrics.neighbours import Neighbours
from pcc_cli.spine.header import Header
from pcc_cli.spine.tile import Piece
from pcc_cli.tree.morton import distinct


class Quality:
    """Measures of a lossy file, collected tile by tile."""

    def __init__(self, header: Header, colours: slice | None = None) -> None:
        self._header, self._colours = header, colours
        self._shades = np.zeros((2, 3)), np.zeros(2)  # sums of squares, number of points
        self._errors = np.zeros((2, 2))  # direction -> sum of squared distances, number of points
        self._corners: list[Array] = []
        self._values: dict[str, float] = {}

    def add(self, piece: Piece, back: Piece) -> None:
        """Compares a tile with what it decodes to. Codecs of meshes measure themselves."""
        shape, decoded = piece.shape, back.shape
        if self._colours is not None and len(shape) and len(decoded):
            self._add_colours(piece, back, self._colours)
        if self._header.lossless:
            return
        if isinstance(shape, VoxelCloud) and isinstance(decoded, VoxelCloud):
            if len(shape) and len(decoded):
                self._add_points(shape.voxels, decoded.voxels)
        elif isinstance(shape, Volume) and isinstance(decoded, Volume):
            self._values = _of_samples(shape.values, decoded.values)

    def values(self) -> dict[str, float]:
        """Name of a measure -> its value; none where nothing was lost."""
        if self._colours is not None and self._shades[1].all():
            sums, counts = self._shades
            self._values |= colour.decibels((sums / counts[:, None]).max(axis=0))
        if not self._corners:
            return self._values
        error = float((self._errors[:, 0] / self._errors[:, 1]).max())
        psnr = 10 * math.log10(3 * self._peak() ** 2 / error) if error else math.inf
        return {"d1_psnr_db": psnr, **self._values}

    def _add_colours(self, piece: Piece, back: Piece, colours: slice) -> None:
        scale = 255 / peak(piece.columns[colours])
        (there, one), (here, other) = (_places(part, colours, scale) for part in (piece, back))
        sums, counts = self._shades
        counts += len(other), len(one)
        if self._header.lossless:
            sums += colour.squares(other, one)
            return
        steps = np.array(self._header.grid.steps) if self._header.grid else np.ones(3)
        there, here = there * (steps / steps[0]), here * (steps / steps[0])
        sums[0] += colour.squares(other, one, Neighbours(there).ties(here))
        sums[1] += colour.squares(one, other, Neighbours(here).ties(there))

    def _add_points(self, voxels: Array, decoded: Array) -> None:
        # Imported here: only lossy files need it, and it takes half a second.
        from scipy.spatial import cKDTree

        assert self._header.grid is not None
        steps = np.array(self._header.grid.steps)
        one, other = (distinct(cells) * (steps / steps[0]) for cells in (voxels, decoded))
        for sums, near, far in zip(self._errors, (other, one), (one, other), strict=True):
            distance, _ = cKDTree(near).query(far, workers=-1)
            sums += float((distance**2).sum()), len(far)
        self._corners += [voxels.min(axis=0), voxels.max(axis=0)]

    def _peak(self) -> float:
        """As `pcc eval` takes it: 2^bits - 1 for integers from 0 on, else the longest side."""
        grid = self._header.grid
        assert grid is not None
        if set(grid.steps) == {1.0} and min(grid.offset) >= 0:
            largest = int((np.max(self._corners, axis=0) + np.array(grid.offset)).max())
            return float((1 << max(largest, 1).bit_length()) - 1)
        sides = np.ptp(self._corners, axis=0) * np.array(grid.steps) / grid.steps[0]
        return float(sides.max())


def _places(piece: Piece, columns: slice, scale: float) -> tuple[Array, Array]:
    """(m, 3) each place once, and its mean colour, whole as `metrics.points` makes it."""
    assert isinstance(piece.shape, VoxelCloud)
    voxels = piece.shape.voxels
    colours = np.stack(piece.columns[columns], axis=1) * scale
    first = np.append(True, (voxels[1:] != voxels[:-1]).any(axis=1))
    starts = np.flatnonzero(first)
    sums = np.add.reduceat(colours, starts)
    if len(starts) == len(voxels):
        return voxels, colours
    return voxels[starts], np.floor(sums / np.diff(starts, append=len(voxels))[:, None])


def _of_samples(values: Array, decoded: Array) -> dict[str, float]:
    """PSNR over the range of the values that are finite, and their largest error."""
    known = np.isfinite(values)
    there, back = values[known].astype(np.float64), decoded[known].astype(np.float64)
    if not there.size:
        return {}
    error = float(((there - back) ** 2).mean())
    peak = float(np.ptp(there))
    psnr = 10 * math.log10(peak**2 / error) if error and peak else math.inf
    return {"psnr_db": psnr, "max_error": float(np.abs(there - back).max())}
