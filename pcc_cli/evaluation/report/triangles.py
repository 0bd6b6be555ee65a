"""Triangles into pixels: all candidate pixels of many triangles at once, nearest wins."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pcc_cli.evaluation.report.camera import Camera
from pcc_cli.evaluation.report.frame import Frame
from pcc_cli.geometry import Array

_CREASE = 0.85  # cosine of the angle from which an edge is sharp
_CHUNK = 1 << 20  # (triangle, pixel) pairs at a time: bounds the memory


def fan(face_sizes: Array, face_indices: Array) -> Array:
    """(t, 3) int64: the triangles of polygons, each cut from its first corner."""
    starts = np.cumsum(face_sizes, dtype=np.int64) - face_sizes
    counts = np.maximum(face_sizes.astype(np.int64) - 2, 0)
    first = np.repeat(starts, counts)
    step = np.arange(len(first)) - np.repeat(np.cumsum(counts) - counts, counts)
    corners = np.stack([first, first + step + 1, first + step + 2], axis=1)
    return face_indices[corners]


def corner_normals(points: Array, triangles: Array) -> Array:
    """(t, 3, 3) float64, unit: at each corner that of the vertex, or of the face at a crease.

    That of a vertex is the mean over the triangles around it, weighted by their angle there.
    """
    corners = points[triangles]
    flat = unit(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]))
    sides = unit(np.roll(corners, -1, axis=1) - corners)
    cosines = np.einsum("tcx,tcx->tc", sides, -np.roll(sides, 1, axis=1))
    angles = np.arccos(np.clip(cosines, -1.0, 1.0))
    sums = np.zeros((len(points), 3))
    for corner in range(3):
        np.add.at(sums, triangles[:, corner], angles[:, corner, None] * flat)
    smooth, flat = unit(sums)[triangles], flat[:, None]
    creased = np.einsum("tcx,tcx->tc", smooth, np.broadcast_to(flat, smooth.shape)) < _CREASE
    return np.where(creased[..., None], flat, smooth)


def draw_triangles(points: Array, triangles: Array, colours: Array, camera: Camera) -> Frame:
    """The frame that shows `triangles` (t, 3) of `points` (n, 3).

    colours : (t, 3, 3) of the corners, mixed in between

    Triangles that reach behind the camera are left out.
    """
    seen = camera.project(points)
    before = (seen[triangles, 2] > 0).all(1)
    corners, colours = seen[triangles[before]], colours[before]
    size = camera.width * camera.height
    depth = np.full(size, np.inf)
    colour = np.zeros((size, 3), dtype=np.float32)
    for rows, pixels, weights, depths in _fragments(corners, camera):
        np.minimum.at(depth, pixels, depths)
        won = depths == depth[pixels]
        rows, pixels, weights, depths = rows[won], pixels[won], weights[won], depths[won]
        # Perspective: what is linear on the screen is the value over the depth.
        parts = weights * depths[:, None] / corners[rows, :, 2]
        colour[pixels] = np.einsum("nk,nkc->nc", parts, colours[rows])
    shape = (camera.height, camera.width)
    return Frame(depth.reshape(shape).astype(np.float32), colour.reshape(*shape, 3))


def _fragments(corners: Array, camera: Camera) -> Iterator[tuple[Array, Array, Array, Array]]:
    """(rows of `corners`, flat pixels, weights (., 3), depths) of the covered pixel centres.

    By the lines that a triangle crosses, and on each by the pixels between its sides: a long
    thin triangle takes no more work than the pixels it covers.
    """
    heights = corners[..., 1]
    top = np.clip(np.ceil(heights.min(1) - 0.5), 0, camera.height).astype(np.int64)
    end = np.clip(np.floor(heights.max(1) - 0.5) + 1, 0, camera.height).astype(np.int64)
    for owner, place in _expanded(end - top):
        line = top[owner] + place
        left, right = _span(corners[owner], line + 0.5)
        first = np.clip(np.ceil(left - 0.5), 0, camera.width).astype(np.int64)
        last = np.clip(np.floor(right - 0.5) + 1, 0, camera.width).astype(np.int64)
        for span, step in _expanded(last - first):
            yield _covered(owner[span], first[span] + step, line[span], corners, camera.width)


def _expanded(counts: Array) -> Iterator[tuple[Array, Array]]:
    """(row, 0 .. count - 1) for each row and each of its `counts`, some rows at a time."""
    counts = np.maximum(counts, 0)
    ends = np.cumsum(counts)
    start = 0
    while start < len(counts):
        done = ends[start - 1] if start else 0
        stop = max(int(np.searchsorted(ends, done + _CHUNK, side="right")), start + 1)
        rows = np.repeat(np.arange(start, stop), counts[start:stop])
        yield rows, np.arange(len(rows)) - (ends[rows] - counts[rows] - done)
        start = stop


def _span(corners: Array, height: Array) -> tuple[Array, Array]:
    """Left and right (n,) where the line at `height` (n,) crosses the triangles (n, 3, 3)."""
    left, right = np.full(len(height), np.inf), np.full(len(height), -np.inf)
    for k in range(3):
        a, b = corners[:, k], corners[:, (k + 1) % 3]
        rise = b[:, 1] - a[:, 1]
        part = (height - a[:, 1]) / np.where(rise == 0, np.inf, rise)
        crossed = (rise != 0) & (part >= 0) & (part <= 1)
        across = a[:, 0] + part * (b[:, 0] - a[:, 0])
        left = np.where(crossed, np.minimum(left, across), left)
        right = np.where(crossed, np.maximum(right, across), right)
    empty = left > right
    return np.where(empty, 0.0, left), np.where(empty, -1.0, right)


def _covered(
    owner: Array, column: Array, line: Array, corners: Array, width: int
) -> tuple[Array, Array, Array, Array]:
    """What the pixels at `column` and `line` see of the triangles `owner`."""
    spot = np.stack([column, line], axis=1) + 0.5
    seen = corners[owner]
    a, b, c = (seen[:, k, :2] - spot for k in range(3))
    parts = np.stack([_cross(b, c), _cross(c, a), _cross(a, b)], axis=1)
    area = parts.sum(1)
    inside = ((parts >= 0).all(1) | (parts <= 0).all(1)) & (area != 0)
    weights = parts[inside] / area[inside, None]
    depths = 1.0 / (weights / seen[inside, :, 2]).sum(1)
    return owner[inside], (line * width + column)[inside], weights, depths


def spread(points: Array, triangles: Array, count: int) -> tuple[Array, Array]:
    """(count, 3) places spread evenly over the surface, and the triangle of each.

    Always the same ones; none without triangles.
    """
    if not len(triangles):
        return points[:0], np.zeros(0, np.int64)
    a, b, c = (points[triangles[:, k]] for k in range(3))
    area = np.linalg.norm(np.cross(b - a, c - a), axis=1)
    ends = np.cumsum(area)
    random = np.random.default_rng(0)
    rows = np.searchsorted(ends, random.uniform(0.0, ends[-1], count), side="right")
    rows = np.minimum(rows, len(triangles) - 1)
    u, v = random.uniform(size=(2, count, 1))
    u, v = np.where(u + v > 1.0, 1.0 - u, u), np.where(u + v > 1.0, 1.0 - v, v)
    return a[rows] + u * (b - a)[rows] + v * (c - a)[rows], rows


def unit(vectors: Array) -> Array:
    """`vectors` (..., 3) with length 1; those without any stay 0."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-300)


def _cross(a: Array, b: Array) -> Array:
    return a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]
