"""Points as round splats: the nearest ones of a pixel are blended, what lies behind is hidden."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pcc_cli.evaluation.report.camera import Camera
from pcc_cli.evaluation.report.frame import Frame, shifted
from pcc_cli.evaluation.report.surface import spacing
from pcc_cli.geometry import Array

_RADIUS = 1.5  # of a splat, in point spacings
_SOLID = 0.8  # sum of weights that makes a surface; in the middle of one it is about twice that
_LAYERS = 4  # that a pixel can look through
_SHARPNESS = 4.0  # the weight of a point falls to exp(-_SHARPNESS) at its rim
_LARGEST = 30.0  # pixels: a point next to the camera must not fill the picture
_CHUNK = 1 << 21  # (point, pixel) pairs at a time: bounds the memory


def draw_points(points: Array, colours: Array, camera: Camera) -> Frame:
    """The frame that shows `points` (n, 3) in `colours` (n, 3) float32, finite.

    A pixel takes the weighted mean of the points near to its nearest splat: where splats overlap,
    the surface is smooth. Where the weights are too small for a surface, at an outline, the pixel
    looks past it, to the next surface behind, unless it is only a hole.
    """
    gap = spacing(points)
    splats = _visible(points, colours, gap, camera)
    size = camera.width * camera.height
    depth = np.full(size, np.inf, dtype=np.float32)
    colour = np.zeros((size, 3), dtype=np.float32)
    past = np.full(size, -np.inf, dtype=np.float32)  # what lies nearer has been looked past
    reach = round(float(np.median(splats.reach))) if len(splats.reach) else 0
    first, total = np.zeros((5, size)), np.zeros(size)
    for number in range(_LAYERS):
        front, sums, used = _layer(splats, past, 2.0 * gap, camera)
        first = first if number else sums
        total += sums[0]
        solid = sums[0] >= _SOLID
        _fill(depth, colour, solid, sums)
        past = np.where(solid, np.inf, front + np.float32(2.0 * gap))
        splats = splats.chosen(used)
    shape = (camera.height, camera.width)
    # A surface seen along itself spreads over several layers.
    grazed = ~np.isfinite(depth) & (total >= _SOLID)
    holes = _holes(depth.reshape(shape), reach, 3.0 * gap).ravel() & (first[0] > 0)
    _fill(depth, colour, grazed | holes, first)
    return Frame(depth.reshape(shape), colour.reshape(*shape, 3))


def _fill(depth: Array, colour: Array, where: Array, sums: Array) -> None:
    """Put the weighted means of `sums` into the pixels `where`."""
    mean = sums[1:, where] / sums[0, where]
    depth[where], colour[where] = mean[0], mean[1:].T


def _holes(depth: Array, reach: int, step: float) -> Array:
    """(h, w) bool: pixels that have something nearer by `step` on all eight sides.

    Within `reach` pixels; so a pixel beside an outline is none.
    """
    farthest = np.zeros_like(depth)
    for down, across in ((-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1)):
        side = np.full_like(depth, np.inf)
        for distance in range(1, reach + 1):
            np.minimum(side, shifted(depth, distance * down, distance * across), out=side)
        np.maximum(farthest, side, out=farthest)
    return np.asarray(farthest + np.float32(step) < depth)


@dataclass(frozen=True)
class _Splats:
    """seen : (n, 3) column, row and depth; reach : (n,) pixels; colours : (n, 3)."""

    seen: Array
    reach: Array
    colours: Array

    @property
    def weight(self) -> Array:
        """(n,) in the middle: 1, and more for the small, which must fill a pixel alone."""
        return 1.0 / np.clip(0.5 * self.reach - 1.0, 0.01, 1.0)

    def chosen(self, rows: Array) -> _Splats:
        return _Splats(self.seen[rows], self.reach[rows], self.colours[rows])


def _visible(points: Array, colours: Array, gap: float, camera: Camera) -> _Splats:
    """The splats of the points in front of the camera that reach into the picture."""
    seen = camera.project(points)
    reach = _RADIUS * gap * camera.focal / np.maximum(seen[:, 2], 1e-300)
    # At least 0.75 pixels: the splat of a far point still covers the middle of one.
    reach = np.clip(reach, 0.75, _LARGEST)
    half = 0.5 * np.array([camera.width, camera.height])
    inside = (np.abs(seen[:, :2] - half) < half + reach[:, None]).all(1) & (seen[:, 2] > 0)
    return _Splats(seen[inside], reach[inside], colours[inside])


def _layer(
    splats: _Splats, past: Array, thickness: float, camera: Camera
) -> tuple[Array, Array, Array]:
    """The nearest surface beyond the depths `past` at each pixel.

    Its depth (pixels,), infinite where nothing is; the sums (5, pixels) of weights, weighted
    depths and colours; and which splats (n,) bool lie beyond.
    """
    front = np.full(len(past), np.inf, dtype=np.float32)
    used = np.zeros(len(splats.seen), dtype=bool)
    for rows, pixels, _ in _fragments(splats, past, camera):
        np.minimum.at(front, pixels, splats.seen[rows, 2].astype(np.float32))
        used[rows] = True
    sums = np.zeros((5, len(past)))
    for rows, pixels, away in _fragments(splats, past, camera):
        near = splats.seen[rows, 2] <= front[pixels] + thickness
        rows, pixels = rows[near], pixels[near]
        weights = np.exp(-_SHARPNESS * away[near]) * splats.weight[rows]
        layers = (weights, weights * splats.seen[rows, 2], *(weights * splats.colours[rows].T))
        for total, layer in zip(sums, layers, strict=True):
            np.add.at(total, pixels, layer)
    return front, sums, used


def _fragments(
    splats: _Splats, past: Array, camera: Camera
) -> Iterator[tuple[Array, Array, Array]]:
    """(splats, flat pixels, squared distance over squared reach) of what splats cover.

    Only where the splat lies beyond the depth `past` (pixels,).
    """
    sizes = np.ceil(splats.reach).astype(np.int64)
    for size in np.unique(sizes):
        members = np.flatnonzero(sizes == size)
        window = np.indices((2 * size + 1,) * 2).reshape(2, -1).T - size
        step = max(1, _CHUNK // len(window))
        for start in range(0, len(members), step):
            rows = members[start : start + step]
            owners, pixels, away = _covered(splats.chosen(rows), window, camera)
            beyond = splats.seen[rows[owners], 2] > past[pixels]
            yield rows[owners[beyond]], pixels[beyond], away[beyond]


def _covered(splats: _Splats, window: Array, camera: Camera) -> tuple[Array, Array, Array]:
    """The pairs of `splats` with the pixels of `window` (m, 2) around their middle."""
    middle = np.floor(splats.seen[:, :2]).astype(np.int64)
    column = middle[:, None, 0] + window[:, 1]
    line = middle[:, None, 1] + window[:, 0]
    across = column + 0.5 - splats.seen[:, None, 0]
    down = line + 0.5 - splats.seen[:, None, 1]
    away = (across * across + down * down) / (splats.reach[:, None] ** 2)
    hit = away <= 1.0
    hit &= (column >= 0) & (column < camera.width) & (line >= 0) & (line < camera.height)
    return np.nonzero(hit)[0], (line * camera.width + column)[hit], away[hit]
