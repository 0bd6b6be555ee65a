"""How much of the volume of two closed meshes is common to both: intersection over union.

Both are cut by the same vertical lines. Along a line a point is inside when the number of triangles
below it is odd, so that each mesh becomes a grid of cells that are in or out.
"""

from __future__ import annotations

import numpy as np

from pcc_cli.geometry import Array

LINES = 160  # along the longest side, and cells along the vertical


def overlap(one: Array, other: Array) -> float:
    """Intersection over union, 0 to 1, of meshes given as (m, 3, 3) corners of their triangles."""
    corners = np.concatenate([one.reshape(-1, 3), other.reshape(-1, 3)])
    low, size = corners.min(axis=0), float(np.ptp(corners, axis=0).max())
    # Odd fractions: lines do not pass through the round coordinates where vertices like to be.
    shift = low - size / LINES * np.array([0.4142, 0.7321, 0.2361])
    scale = LINES / size
    first, second = (_inside((mesh - shift) * scale) for mesh in (one, other))
    union = np.count_nonzero(first | second)
    return np.count_nonzero(first & second) / union if union else 1.0


def _inside(corners: Array) -> Array:
    """(LINES + 2,)^3 bool: whether the cell of the integer (x, y) and height z is inside."""
    cells = LINES + 2
    crossed = np.zeros(cells**3, np.int32)
    triangle, x, y = _candidates(corners)
    a, b, c = corners[triangle].transpose(1, 0, 2)
    # Barycentric coordinates of the line (x, y) in the triangle seen from above.
    area = _cross(b - a, c - a)
    line = np.stack([x, y], axis=1) - a[:, :2]
    u, v = _cross(b - a, line), _cross(line, c - a)  # weights of c and of b, times the area
    hit = (area != 0) & (u * area > 0) & (v * area > 0) & ((area - u - v) * area > 0)
    u, v, area = u[hit], v[hit], area[hit]
    z = a[hit, 2] + (v * (b - a)[hit, 2] + u * (c - a)[hit, 2]) / area
    height = np.ceil(z).astype(np.int64).clip(0, cells - 1)
    np.add.at(crossed, (x[hit] * cells + y[hit]) * cells + height, 1)
    inside: Array = np.cumsum(crossed.reshape(cells, cells, cells), axis=2) % 2 == 1
    return inside


def _candidates(corners: Array) -> tuple[Array, Array, Array]:
    """Pairs of a triangle and an integer line (x, y) in the rectangle around it."""
    low = np.ceil(corners[:, :, :2].min(axis=1)).astype(np.int64)
    high = np.floor(corners[:, :, :2].max(axis=1)).astype(np.int64)
    wide, deep = (high - low + 1).clip(0).T
    count = wide * deep
    triangle = np.repeat(np.arange(len(corners)), count)
    place = np.arange(len(triangle)) - np.repeat(np.cumsum(count) - count, count)
    x = low[triangle, 0] + place // np.maximum(deep[triangle], 1)
    y = low[triangle, 1] + place % np.maximum(deep[triangle], 1)
    return triangle, x, y


def _cross(one: Array, other: Array) -> Array:
    product: Array = one[:, 0] * other[:, 1] - one[:, 1] * other[:, 0]
    return product
