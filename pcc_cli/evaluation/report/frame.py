"""What splats and triangles draw into: depth and colour of the nearest surface at each pixel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pcc_cli.geometry import Array

_STRENGTH = 1.2  # of the eye-dome lighting
_FARTHEST = np.float32(1e30)  # stands for no depth at all where a logarithm is taken


@dataclass(frozen=True)
class Frame:
    """One value per pixel.

    depth : (h, w) float32, distance along the view, infinite where nothing is
    colour : (h, w, 3) float32, 0 to 1 as shown on a screen, meaningless where nothing is
    """

    depth: Array
    colour: Array

    @property
    def covered(self) -> Array:
        """(h, w) bool."""
        return np.isfinite(self.depth)


def eye_dome(frame: Frame, radius: int) -> Array:
    """(h, w) float32 in 0 .. 1: how much light the depths around each pixel leave to it.

    A pixel that lies behind its neighbours gets less: edges stand out and hollows darken, without
    normals (Boucheny 2009, the shading of CloudCompare and Potree).
    """
    depth = np.where(frame.covered, frame.depth, _FARTHEST)
    height = np.log2(depth)  # differences are ratios of depths: free of scale
    drop = np.zeros_like(depth)
    for reach in (1, 2):
        for angle in range(0, 360, 45):
            across = round(reach * radius * np.cos(np.radians(angle)))
            down = round(reach * radius * np.sin(np.radians(angle)))
            beside = shifted(height, down, across)
            drop += np.clip(height - beside, 0.0, 0.05)
    return np.exp(-_STRENGTH * drop).astype(np.float32)


def shifted(image: Array, down: int, across: int) -> Array:
    """`image` (h, w) as seen `down` rows and `across` columns away; the border is repeated."""
    rows = np.clip(np.arange(image.shape[0]) + down, 0, image.shape[0] - 1)
    columns = np.clip(np.arange(image.shape[1]) + across, 0, image.shape[1] - 1)
    return image[np.ix_(rows, columns)]


def blurred(image: Array, radius: int) -> Array:
    """`image` (h, w) under three box filters, close to a Gaussian of deviation `radius`."""
    for _ in range(3):
        for axis in (0, 1):
            pad = [(0, 0), (0, 0)]
            pad[axis] = (radius + 1, radius)
            sums = np.cumsum(np.pad(image, pad, mode="edge"), axis=axis, dtype=np.float64)
            width = 2 * radius + 1
            upper = sums.take(range(width, sums.shape[axis]), axis=axis)
            image = (upper - sums.take(range(sums.shape[axis] - width), axis=axis)) / width
    return image.astype(np.float32)
