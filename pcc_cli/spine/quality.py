"""How near what comes back is to what was compressed, measured on what the decoder will see.

docs/metrics.md defines the numbers. Between the tiles of a large cloud no neighbours are looked
for, so that D1 is a little better than this says.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from pcc_cli.attributes.colour import peak
from pcc_cli.geometry import Array, Volume, VoxelCloud
from pcc_cli.metrics import colour
from pcc_cli.metrics.neighbours import Neighbours
from pcc_cli.spine.header import Header
from pcc_cli.spine.tile import Piece
from pcc_cli.tree.morton import among, distinct, firsts


class Quality:
    """Measures of a lossy file, collected tile by tile."""

    def __init__(self, header: Header, colours: slice | None = None) -> None:
        """colours : columns that may lose something"""
        self._header, self._colours = header, colours
        self._shades = np.zeros((2, 3)), np.zeros(2)  # sums of squares, number of points
        self._errors = np.zeros((2, 2))  # direction -> sum of squared distances, number of points
        self._corners: list[Array] = []
        self._values: dict[str, float] = {}

    def add(self, piece: Piece, back: Piece) -> None:
        """Compares a tile with what it decodes to. Codecs of meshes measure themselves."""
        shape, decoded = piece.shape, back.shape
        if self._header.lossless and self._colours is None:
            return
        if isinstance(shape, Volume) and isinstance(decoded, Volume):
            self._values = _of_samples(shape.values, decoded.values)
        elif isinstance(shape, VoxelCloud) and len(shape) and len(decoded):
            scale = 1.0
            if self._colours is not None:
                scale = 255 / peak(piece.columns[self._colours])
            one, other = (_places(part, self._colours, scale) for part in (piece, back))
            if self._header.lossless:
                self._add_colours(one, other)
            else:
                self._add_points(one, other)

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

    def _add_colours(self, one: _Places, other: _Places) -> None:
        """Of the same places, which are their own nearest neighbours."""
        sums, counts = self._shades
        sums += colour.squares(other.colours, one.colours)
        counts += len(one.voxels)

    def _add_points(self, one: _Places, other: _Places) -> None:
        """One search a direction, for distances and for colours: it takes most of the time."""
        assert self._header.grid is not None
        steps = np.array(self._header.grid.steps) / self._header.grid.steps[0]
        for direction, (near, far) in enumerate(((other, one), (one, other))):
            index = Neighbours(near.voxels * steps, threads=-1)
            if self._colours is None:
                # Most points come back, and need no search.
                moved = far.voxels[~among(far.voxels, near.voxels)]
                distance, _ = index.nearest(moved * steps)
            else:
                ties = index.ties(far.voxels * steps)
                distance = ties.distance
                self._shades[0][direction] += colour.squares(far.colours, near.colours, ties)
                self._shades[1][direction] += len(far.voxels)
            self._errors[direction] += float((distance**2).sum()), len(far.voxels)
        self._corners += [one.voxels.min(axis=0), one.voxels.max(axis=0)]

    def _peak(self) -> float:
        """As `pcc eval` takes it: 2^bits - 1 for integers from 0 on, else the longest side."""
        grid = self._header.grid
        assert grid is not None
        if set(grid.steps) == {1.0} and min(grid.offset) >= 0:
            largest = int((np.max(self._corners, axis=0) + np.array(grid.offset)).max())
            return float((1 << max(largest, 1).bit_length()) - 1)
        sides = np.ptp(self._corners, axis=0) * np.array(grid.steps) / grid.steps[0]
        return float(sides.max())


class _Places(NamedTuple):
    """Where points are, (m, 3) each place once, and their mean colour (m, 3), 0 to 255."""

    voxels: Array
    colours: Array


def _places(piece: Piece, columns: slice | None, scale: float) -> _Places:
    """The mean is whole, as `metrics.points` makes it; without `columns` there are no colours."""
    assert isinstance(piece.shape, VoxelCloud)
    voxels = piece.shape.voxels
    if columns is None:
        return _Places(distinct(voxels), np.empty((0, 3)))
    colours = np.stack(piece.columns[columns], axis=1) * scale
    starts = np.flatnonzero(firsts(voxels))
    if len(starts) == len(voxels):
        return _Places(voxels, colours)
    means = np.add.reduceat(colours, starts) / np.diff(starts, append=len(voxels))[:, None]
    return _Places(voxels[starts], np.floor(means))


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
