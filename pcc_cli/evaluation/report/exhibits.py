"""What a page shows of a run: for some rows the original, what came back, and where they differ."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pcc_cli.errors import InputError, PccError
from pcc_cli.evaluation import pictures
from pcc_cli.evaluation.report import deviation
from pcc_cli.evaluation.report.camera import Camera, points_of
from pcc_cli.evaluation.report.images import data_uri
from pcc_cli.evaluation.report.packing import packed
from pcc_cli.evaluation.report.ramp import ERROR
from pcc_cli.evaluation.report.render import best_camera, corner_colours, point_colours, render
from pcc_cli.evaluation.report.slices import Slices, plate, value_range
from pcc_cli.evaluation.report.triangles import spread
from pcc_cli.evaluation.rows import Row
from pcc_cli.geometry import Array, Mesh, PointCloud

WIDTH, HEIGHT = 520, 470  # pixels of a picture
BUDGET = 7_500_000  # bytes of pictures and points in a page
# What the errors of an exhibit are.
DISTANCES = "distance in units of the file"
COLOURS = "difference of colours, of 255; no point moved"
SAMPLES = "difference of samples, without its sign"
_POINTS = 130_000  # at most, of one shape that can be turned
_FEWEST = 8_000
_BYTES = 5  # of a shown point, about


@dataclass(frozen=True)
class Turned:
    """What can be turned.

    original, reconstruction : as from `packing.packed`
    camera : JSON, where the pictures were taken from
    """

    original: dict[str, Any]
    reconstruction: dict[str, Any]
    camera: dict[str, Any]


@dataclass(frozen=True)
class Exhibit:
    """One row that the page shows.

    pictures : "original", "reconstruction" and "error" as data URIs
    pixels : width and height of each
    top : end of the scale of errors; unit : what they are, in words
    turned : the shapes; None of a volume
    places : of a volume, the index of each slice, z, y, x
    """

    row: Row
    pictures: dict[str, str]
    pixels: tuple[int, int]
    top: float
    unit: str
    turned: Turned | None = None
    places: tuple[int, ...] = ()

    @property
    def size(self) -> int:
        """Bytes in the page, about; the original is counted with every row."""
        shapes = (self.turned.original, self.turned.reconstruction) if self.turned else ()
        return sum(map(len, self.pictures.values())) + sum(len(s["columns"]) for s in shapes)


def exhibits(rows: Sequence[Row], folder: Path) -> list[Exhibit]:
    """The rows worth looking at, as many as a page may hold; every file before a second of any.

    Rows whose files are gone or cannot be read are left out.
    """
    chosen = choice(rows)
    most = max(_FEWEST, min(_POINTS, BUDGET // 2 // _BYTES // max(2 * len(chosen), 1)))
    found: list[Exhibit] = []
    left = BUDGET
    for exhibit in _made(chosen, folder, most):
        left -= exhibit.size
        if left < 0:
            break
        found.append(exhibit)
    order = {row.key: place for place, row in enumerate(rows)}
    return sorted(found, key=lambda exhibit: order[exhibit.row.key])


def choice(rows: Sequence[Row]) -> list[Row]:
    """Rows to show, the most telling first: of each file and codec one at about the same rate.

    Then its lowest rate; of what was lossless only one row, for they all look the same.
    """
    kept = [row for row in rows if row.original and row.reconstruction and not row.skipped]
    rounds: list[list[Row]] = [[], []]
    for file in dict.fromkeys(row.file for row in kept):
        here = [row for row in kept if row.file == file]
        lossy = [row for row in here if not row.lossless]
        if not lossy:
            rounds[0] += here[:1]
            continue
        target = float(np.median([math.log(row.bpp) for row in lossy if row.bpp > 0] or [0.0]))
        for codec in dict.fromkeys(row.codec for row in lossy):
            mine = [row for row in lossy if row.codec == codec]
            near = min(mine, key=lambda row: abs(math.log(max(row.bpp, 1e-9)) - target))
            least = min(mine, key=lambda row: row.bpp)
            rounds[0].append(near)
            rounds[1] += [least] if least is not near else []
    return rounds[0] + rounds[1]


def _made(rows: Sequence[Row], folder: Path, most: int) -> Iterator[Exhibit]:
    stages: dict[str, _Stage | _Plates] = {}
    for row in rows:
        try:
            if row.original not in stages:
                stages[row.original] = _stage(pictures.read(folder / row.original), most)
            yield stages[row.original].exhibit(row, pictures.read(folder / row.reconstruction))
        except (OSError, PccError):
            continue


def _stage(original: PointCloud | Mesh | Slices, most: int) -> _Stage | _Plates:
    return _Plates(original) if isinstance(original, Slices) else _Stage(original, most)


class _Plates:
    """The slices of an original volume, and the grey levels that are black and white."""

    def __init__(self, original: Slices) -> None:
        self.original = original
        self.limits = value_range(original.samples())
        self.picture = plate(original, WIDTH, self.limits)

    def exhibit(self, row: Row, reconstruction: PointCloud | Mesh | Slices) -> Exhibit:
        if not (isinstance(reconstruction, Slices) and self.original.fits(reconstruction)):
            raise InputError("what was decoded is no volume of this shape")
        errors = self.original.difference(reconstruction)
        top = deviation.largest(errors.samples())
        decoded = reconstruction._replace(spacing=self.original.spacing)
        shown = {
            "original": self.picture,
            "reconstruction": plate(decoded, WIDTH, self.limits),
            "error": plate(errors, WIDTH, (0.0, top or 1.0), ERROR),
        }
        uris = {name: data_uri(image) for name, image in shown.items()}
        pixels = WIDTH, len(self.picture)
        return Exhibit(row, uris, pixels, top, SAMPLES, places=self.original.places)


class _Stage:
    """An original and the camera before it, the same for every row of its file."""

    def __init__(self, original: PointCloud | Mesh, most: int) -> None:
        self.original, self.most = original, most
        self.camera = best_camera(original, WIDTH, HEIGHT)
        self.picture = data_uri(render(original, self.camera, transparent=True))
        self.points = _packed(original, self.camera, None, 0.0, most)

    def exhibit(self, row: Row, reconstruction: PointCloud | Mesh | Slices) -> Exhibit:
        if isinstance(reconstruction, Slices):
            raise InputError("what was decoded has no points")
        errors, unit = self._errors(reconstruction)
        top = deviation.largest(errors)
        shown = deviation.recoloured(reconstruction, self.original)
        damage = deviation.painted(reconstruction, errors, top)
        uris = {
            "original": self.picture,
            "reconstruction": data_uri(render(shown, self.camera, transparent=True)),
            "error": data_uri(render(damage, self.camera, transparent=True)),
        }
        points = _packed(shown, self.camera, errors, top, self.most)
        turned = Turned(self.points, points, _view(self.camera))
        return Exhibit(row, uris, (WIDTH, HEIGHT), top, unit, turned)

    def _errors(self, reconstruction: PointCloud | Mesh) -> tuple[Array, str]:
        """Of each point, and what is counted: of colours where no point moved."""
        errors = deviation.errors_of(self.original, reconstruction)
        if not errors.any():
            colours = deviation.colour_errors_of(self.original, reconstruction)
            if colours is not None and colours.any():
                return colours, COLOURS
        return errors, DISTANCES


def _view(camera: Camera) -> dict[str, Any]:
    return {
        "position": camera.position,
        "target": camera.target,
        "up": camera.up,
        "fov": camera.fov_deg,
    }


def _packed(
    shape: PointCloud | Mesh, camera: Camera, errors: Array | None, top: float, most: int
) -> dict[str, Any]:
    """Of a mesh places all over its surface, in the light that falls on it."""
    points = points_of(shape)
    errors = np.zeros(len(points)) if errors is None else errors
    if isinstance(shape, Mesh):
        triangles, corners = corner_colours(shape, camera)
        places, rows = spread(points, triangles, 2 * most)
        mean = errors[triangles].mean(1)[rows]
        return packed(places, corners.mean(1)[rows], mean, top, most)
    finite = np.isfinite(points).all(1)
    colours = point_colours(shape, camera)
    return packed(points[finite], colours[finite], errors[finite], top, most)
