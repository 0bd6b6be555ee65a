"""Triangles into pixels: all candidate pixels of many triangles at once, nearest wins."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pcc_cli.evaluation.report.camera import Camera
from pcc_cli.evaluation.report.frame import Frame
from pcc_cli.geometry import Array

_CHUNK = 1 << 21  # (triangle, pixel) pairs at a time: bounds the memory


def fan(face_sizes: Array, face_indices: Array) -> Array:
    """(t, 3) int64: the triangles of polygons, each cut from its first corner."""
    starts = np.cumsum(face_sizes, dtype=np.int64) - face_sizes
    counts = np.maximum(face_sizes.astype(np.int64) - 2, 0)
    first = np.repeat(starts, counts)
    step = np.arange(len(first)) - np.repeat(np.cumsum(counts) - counts, counts)
    corners = np.stack([first, first + step + 1, first + step + 2], axis=1)
    return face_indices[corners]


def vertex_normals(points: Array, triangles: Array) -> Array:
    """(n, 3) float64, unit: of the triangles around each vertex, weighted by their area."""
    corners = points[triangles]
    across = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals = np.zeros((len(points), 3))
    for corner in range(3):
        np.add.at(normals, triangles[:, corner], across)
    return normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-300)


def draw_triangles(points: Array, triangles: Array, colours: Array, camera: Camera) -> Frame:
    """The frame that shows `triangles` (t, 3) of `points` (n, 3), `colours` (n, 3) interpolated.

    Triangles that reach behind the camera are left out.
    """
    seen = camera.project(points)
    triangles = triangles[(seen[triangles, 2] > 0).all(1)]
    size = camera.width * camera.height
    depth = np.full(size, np.inf)
    colour = np.zeros((size, 3), dtype=np.float32)
    for rows, pixels, weights, depths in _fragments(seen, triangles, camera):
        np.minimum.at(depth, pixels, depths)
        won = depths == depth[pixels]
        rows, pixels, weights, depths = rows[won], pixels[won], weights[won], depths[won]
        corners = triangles[rows]
        # Perspective: what is linear on the screen is the value over the depth.
        parts = weights * depths[:, None] / seen[corners, 2]
        colour[pixels] = np.einsum("nk,nkc->nc", parts, colours[corners])
    shape = (camera.height, camera.width)
    return Frame(depth.reshape(shape).astype(np.float32), colour.reshape(*shape, 3))


def _fragments(
    seen: Array, triangles: Array, camera: Camera
) -> Iterator[tuple[Array, Array, Array, Array]]:
    """(rows of `triangles`, flat pixels, weights (., 3), depths) of the covered pixel centres."""
    places = seen[triangles, :2]
    frame = np.array([camera.width, camera.height])
    low = np.clip(np.ceil(places.min(1) - 0.5), 0, frame).astype(np.int64)
    high = np.clip(np.floor(places.max(1) - 0.5) + 1, 0, frame).astype(np.int64)
    counts = np.prod(np.maximum(high - low, 0), axis=1)
    ends = np.cumsum(counts)
    start = 0
    while start < len(triangles):
        done = ends[start - 1] if start else 0
        stop = max(int(np.searchsorted(ends, done + _CHUNK, side="right")), start + 1)
        rows = np.repeat(np.arange(start, stop), counts[start:stop])
        place = np.arange(len(rows)) - np.repeat(
            ends[start:stop] - counts[start:stop] - done, counts[start:stop]
        )
        yield _covered(rows, place, seen, triangles, low, high, camera.width)
        start = stop


def _covered(
    rows: Array, place: Array, seen: Array, triangles: Array, low: Array, high: Array, width: int
) -> tuple[Array, Array, Array, Array]:
    """The candidates that lie inside: `place` counts pixels of the box of triangle `rows`."""
    across = high[rows, 0] - low[rows, 0]
    column, line = low[rows, 0] + place % across, low[rows, 1] + place // across
    spot = np.stack([column, line], axis=1) + 0.5
    corners = seen[triangles[rows]]
    a, b, c = (corners[:, k, :2] - spot for k in range(3))
    parts = np.stack([_cross(b, c), _cross(c, a), _cross(a, b)], axis=1)
    area = parts.sum(1)
    inside = ((parts >= 0).all(1) | (parts <= 0).all(1)) & (area != 0)
    weights = parts[inside] / area[inside, None]
    depths = 1.0 / (weights / corners[inside, :, 2]).sum(1)
    return rows[inside], (line * width + column)[inside], weights, depths


def _cross(a: Array, b: Array) -> Array:
    return a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]
