"""Signed distance fields: solid shapes as functions of space, negative inside.

A field maps (n, 3) points to (n,) distances. Fields of bent, blended or displaced shapes are only
close to the distance, so the scanner steps by a part of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from pcc_cli.geometry import Array

Field = Callable[[Array], Array]
Vector = tuple[float, float, float]

_CACHED = 2048  # points at a time whose distances to many rods stay in the cache
_NEAR = 9.0  # beyond this distance from what bounds it, a field is not looked at


def ball(center: Vector, radii: Vector) -> Field:
    """An ellipsoid; exact where the three radii are equal."""
    middle, scale = np.array(center), np.array(radii)

    def field(points: Array) -> Array:
        offset = (points - middle) / scale
        near = _length(offset)
        steep = _length(offset / scale)  # gradient of `near`, times `near`
        return near * (near - 1.0) / np.maximum(steep, 1e-9)

    return field


def limb(start: Vector, end: Vector, first: float, last: float) -> Field:
    """A rod with round ends whose radius goes from `first` to `last`."""
    origin, along = np.array(start), np.subtract(end, start)

    def field(points: Array) -> Array:
        offset = points - origin
        part = np.clip(offset @ along / (along @ along), 0.0, 1.0)
        return _length(offset - part[:, None] * along) - (first + part * (last - first))

    return field


def limbs(starts: Array, ends: Array, first: Array, last: Array) -> Field:
    """Many rods at once, without fillets: `starts` and `ends` (m, 3), radii (m,)."""
    along = ends - starts
    squares = np.einsum("ij,ij->i", along, along)

    def distances(points: Array) -> Array:
        forward = points @ along.T - np.einsum("ij,ij->i", starts, along)  # (n, m)
        away = _length(points)[:, None] ** 2 - 2.0 * points @ starts.T
        away += np.einsum("ij,ij->i", starts, starts)
        part = np.clip(forward / squares, 0.0, 1.0)
        away += part * (part * squares - 2.0 * forward)
        return np.asarray((np.sqrt(np.maximum(away, 0.0)) - first - part * (last - first)).min(1))

    def field(points: Array) -> Array:
        parts = np.array_split(points, len(points) // _CACHED + 1)
        return np.concatenate([distances(part) for part in parts])

    return field


def block(center: Vector, half: Vector, edge: float) -> Field:
    """A box with half sizes `half`, its edges rounded with the radius `edge`."""
    middle, inner = np.array(center), np.array(half) - edge

    def field(points: Array) -> Array:
        beyond = np.abs(points - middle) - inner
        return _length(np.maximum(beyond, 0.0)) + np.minimum(beyond.max(1), 0.0) - edge

    return field


def slab(center: Vector, half: Vector, corner: float, edge: float) -> Field:
    """A plate whose outline has corners of radius `corner`, its rims rounded with `edge`."""
    middle = np.array(center)
    inner = np.array(half[:2]) - corner

    def field(points: Array) -> Array:
        offset = np.abs(points - middle)
        beyond = offset[:, :2] - inner
        outline = _length(np.maximum(beyond, 0.0)) + np.minimum(beyond.max(1), 0.0) - corner
        sides = np.stack([outline, offset[:, 2] - half[2]], axis=1) + edge
        return _length(np.maximum(sides, 0.0)) + np.minimum(sides.max(1), 0.0) - edge

    return field


def ring(center: Vector, axis: Vector, radius: float, thickness: float) -> Field:
    """A torus around `axis`, a unit vector; `thickness` is the radius of the tube."""
    middle, pole = np.array(center), np.array(axis)

    def field(points: Array) -> Array:
        offset = points - middle
        height = offset @ pole
        across = _length(offset - height[:, None] * pole)
        return np.hypot(across - radius, height) - thickness

    return field


def turned(profile: Sequence[tuple[float, float]], center: tuple[float, float]) -> Field:
    """A vessel or column from a lathe: `profile` lists (height, radius), joined smoothly."""
    heights, radii = _smooth(np.array(profile, dtype=np.float64))
    slope = float(np.abs(np.gradient(radii, heights)).max())
    middle, half = 0.5 * (heights[0] + heights[-1]), 0.5 * (heights[-1] - heights[0])
    flat = 1.0 / np.hypot(1.0, min(slope, 2.0))

    def field(points: Array) -> Array:
        across = _length(points[:, :2] - center)
        wall = (across - np.interp(points[:, 2], heights, radii)) * flat
        return np.maximum(wall, np.abs(points[:, 2] - middle) - half)

    return field


def union(fields: Sequence[Field], blend: float = 0.0) -> Field:
    """All of `fields`; where two meet, a fillet of about `blend`."""

    def field(points: Array) -> Array:
        nearest = fields[0](points)
        for other in fields[1:]:
            distance = other(points)
            lower = np.minimum(nearest, distance)
            if blend:
                overlap = np.maximum(blend - np.abs(nearest - distance), 0.0)
                lower = lower - overlap * overlap / (4.0 * blend)
            nearest = lower
        return nearest

    return field


def hollow(field: Field, inside: Field) -> Field:
    """`field` without what lies within `inside`."""
    return lambda points: np.maximum(field(points), -inside(points))


def bounded(field: Field, center: Vector, radius: float) -> Field:
    """`field`, which a ball holds: far from the ball, the distance to that, which costs less."""
    middle = np.array(center)

    def within(points: Array) -> Array:
        distance = _length(points - middle) - radius
        near = distance < _NEAR
        distance[near] = field(points[near])
        return distance

    return within


def rough(field: Field, relief: Field, height: float) -> Field:
    """`field` whose surface `relief`, within -`height` .. `height`, moves in and out."""

    def moved(points: Array) -> Array:
        distance = field(points)
        near = distance < _NEAR + height
        distance[near] += relief(points[near])
        distance[~near] -= height
        return distance

    return moved


def normals(field: Field, points: Array, reach: float = 0.1) -> Array:
    """(n, 3) float64, unit, outward, from differences over `reach` in four directions."""
    total = np.zeros_like(points)
    for corner in ((1, -1, -1), (-1, -1, 1), (-1, 1, -1), (1, 1, 1)):
        total += field(points + reach * np.array(corner))[:, None] * corner
    return total / np.maximum(_length(total), 1e-12)[:, None]


def _length(vectors: Array) -> Array:
    return np.sqrt(np.einsum("ij,ij->i", vectors, vectors))


def _smooth(profile: Array) -> tuple[Array, Array]:
    """The profile with corners cut (Chaikin, three times); its ends stay."""
    for _ in range(3):
        cuts = np.stack([0.75 * profile[:-1] + 0.25 * profile[1:],
                         0.25 * profile[:-1] + 0.75 * profile[1:]], axis=1)  # fmt: skip
        profile = np.concatenate([profile[:1], cuts.reshape(-1, 2), profile[-1:]])
    return profile[:, 0], profile[:, 1]
