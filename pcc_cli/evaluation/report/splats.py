"""Points as round splats: each pixel blends those near to its nearest one, the rest is hidden."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from pcc_cli.evaluation.report.camera import Camera
from pcc_cli.evaluation.report.frame import Frame
from pcc_cli.evaluation.report.surface import spacings
from pcc_cli.geometry import Array

_COVER = 0.85  # radius within which a splat makes a surface, in point spacings
_BLEND = 1.6  # radius within which it adds to the colour of one
_DEEP = 2.0  # spacings behind the nearest splat that still count as its surface
_HOLE = 3.0  # spacings: what lies that far behind all around it is seen through a hole
_SHARPNESS = 6.0  # the weight of a splat falls to exp(-_SHARPNESS) at its rim
_LEAST, _MOST = 0.8, 24.0  # radius in pixels: no point is lost, none fills the picture
_DUST = 2.5  # no splat is larger than that times the usual one: scattered points stay points
_STEPS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 36)  # sizes of the windows that splats are drawn in


def draw_points(points: Array, colours: Array, camera: Camera) -> Frame:
    """The frame that shows `points` (n, 3) in `colours` (n, 3) float32, finite.

    The splat of a point is as large as the points around it are apart: sparse parts close
    up, fine ones stay sharp.
    """
    splats = _one_a_pixel(_visible(points, colours, camera))
    front = np.full(splats.size, np.inf, dtype=np.float32)
    for rows, pixels, _ in _fragments(splats, _COVER):
        front[pixels] = np.minimum(front[pixels], splats.values[0, rows])
    front = _closed(front, splats)
    sums = np.zeros((5, splats.size), dtype=np.float32)
    for rows, pixels, away in _fragments(splats, _BLEND):
        behind = splats.values[0, rows] - front[pixels]  # -inf where there is no surface
        near = (behind <= _DEEP * splats.gap[rows]) & (behind > -np.inf)
        rows, pixels = rows[near], pixels[near]
        weight = np.exp(-_SHARPNESS * away[near])
        for total, value in zip(sums, splats.values, strict=False):
            total[pixels] += weight * value[rows]
        sums[4, pixels] += weight
    mean = sums[:4] / np.maximum(sums[4], np.float32(1e-30))
    depth = np.where(sums[4] > 0, mean[0], np.float32(np.inf))
    return Frame(splats.cut(depth), splats.cut(mean[1:].T))


def _closed(front: Array, splats: _Splats) -> Array:
    """The depths `front` (size,) without holes of a few spacings, which show what lies behind."""
    if not len(splats.gap):
        return front
    image = front.reshape(splats.height, splats.width)
    reach = int(np.clip(0.85 * np.median(splats.gap * splats.scale), 1, _MOST))
    for best in (np.minimum, np.maximum):  # of the window around each pixel
        for axis in (0, 1):
            steps = range(-reach, reach + 1)
            image = best.reduce([np.roll(image, step, axis) for step in steps])
    hole = image.ravel() + _HOLE * np.median(splats.gap) < front
    return np.where(hole, image.ravel(), front)


@dataclass(frozen=True)
class _Splats:
    """What is drawn, on a frame with a margin so that no splat reaches over its border.

    place : (n, 2) float32, column and row; values : (4, n) float32, depth, red, green and blue
    gap : (n,) float32, spacing of the points around; scale : (n,) float32, pixels per unit
    """

    place: Array
    values: Array
    gap: Array
    scale: Array
    height: int
    width: int

    margin = 2 * _STEPS[-1]  # a splat may lie in its inner half and reach into the outer one

    @property
    def size(self) -> int:
        return self.height * self.width

    @property
    def pixel(self) -> Array:
        """(n,) int64: the flat pixel of the middle."""
        column, row = self.place.astype(np.int64).T
        return row * self.width + column

    def chosen(self, rows: Array) -> _Splats:
        values, gap, scale = self.values[:, rows], self.gap[rows], self.scale[rows]
        return _Splats(self.place[rows], values, gap, scale, self.height, self.width)

    def cut(self, flat: Array) -> Array:
        """`flat` (size, ...) as an image without the margin."""
        image = flat.reshape(self.height, self.width, *flat.shape[1:])
        return image[self.margin : -self.margin, self.margin : -self.margin]


def _visible(points: Array, colours: Array, camera: Camera) -> _Splats:
    """The splats of the points in front of the camera, in the frame or just beside it."""
    gaps = spacings(points)
    seen = camera.project(points)
    margin = _Splats.margin
    place = seen[:, :2] + margin
    frame = np.array([camera.width, camera.height]) + 2 * margin
    edge = margin // 2 + 1
    inside = (seen[:, 2] > 0) & (place >= edge).all(1) & (place < frame - edge).all(1)
    place, gap = place[inside].astype(np.float32), gaps[inside].astype(np.float32)
    values = np.stack([seen[inside, 2], *colours[inside].T]).astype(np.float32)
    scale = np.float32(camera.focal) / values[0]
    return _Splats(place, values, gap, scale, int(frame[1]), int(frame[0]))


def _one_a_pixel(splats: _Splats) -> _Splats:
    """The points of each pixel that lie within a spacing of its nearest one, as one splat.

    So that drawing takes no longer when there are more points than pixels, and that the
    pixels of one step of `_fragments` are all different.
    """
    pixel, depth = splats.pixel, splats.values[0]
    front = np.full(splats.size, np.inf, dtype=np.float32)
    np.minimum.at(front, pixel, depth)
    near = splats.chosen(depth <= front[pixel] + splats.gap)
    _, first, group = np.unique(near.pixel, return_index=True, return_inverse=True)
    count = np.bincount(group)
    mean = [np.bincount(group, column) / count for column in near.values]
    return replace(near.chosen(first), values=np.stack(mean).astype(np.float32))


def _fragments(splats: _Splats, radius: float) -> Iterator[tuple[Array, Array, Array]]:
    """(splats, flat pixels, squared distance over squared reach) of what splats cover.

    radius : of the splats, in spacings. The pixels of one step are all different.
    """
    reach = splats.gap * splats.scale  # in pixels
    usual = np.median(reach) if len(reach) else 0.0
    reach = np.clip(radius * reach, _LEAST, radius * np.clip(_DUST * usual, 2.0, _MOST))
    inside = splats.place - np.floor(splats.place) - np.float32(0.5)
    steps = np.array(_STEPS)[np.searchsorted(_STEPS, np.minimum(reach, _STEPS[-1]))]
    pixel = splats.pixel
    for step in np.unique(steps):
        members = np.flatnonzero(steps == step)
        base, narrow = pixel[members], np.float32(1.0) / reach[members] ** 2
        across, down = inside[members].T
        for row, column in _disc(int(step)):
            away = ((column - across) ** 2 + (row - down) ** 2) * narrow
            hit = np.flatnonzero(away <= 1.0)
            yield members[hit], base[hit] + (row * splats.width + column), away[hit]


def _disc(radius: int) -> list[tuple[int, int]]:
    """The (row, column) around a pixel that a disc of `radius` about a place in it can touch."""
    window = range(-radius, radius + 1)
    limit = (radius + 0.75) ** 2
    return [(row, column) for row in window for column in window if row**2 + column**2 <= limit]
