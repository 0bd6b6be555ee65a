"""What a page shows of a run: for some rows the original, what came back, and where they differ."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from pcc_cli import formats
from pcc_cli.errors import InputError, PccError
from pcc_cli.evaluation.report import deviation
from pcc_cli.evaluation.report.camera import Camera, points_of
from pcc_cli.evaluation.report.images import data_uri
from pcc_cli.evaluation.report.packing import packed
from pcc_cli.evaluation.report.render import best_camera, corner_colours, point_colours, render
from pcc_cli.evaluation.report.triangles import spread
from pcc_cli.evaluation.rows import Row
from pcc_cli.geometry import Array, Mesh, PointCloud, Volume

WIDTH, HEIGHT = 520, 470  # pixels of a picture
BUDGET = 7_500_000  # bytes of pictures and points in a page
_POINTS = 130_000  # at most, of one shape that can be turned
_FEWEST = 8_000
_BYTES = 5  # of a shown point, about


@dataclass(frozen=True)
class Exhibit:
    """One row that the page shows.

    pictures : "original", "reconstruction" and "error" as data URIs
    original, reconstruction : as from `packing.packed`
    top : end of the scale of errors, in units of the file
    camera : JSON, where the pictures were taken from
    """

    row: Row
    pictures: dict[str, str]
    original: dict[str, Any]
    reconstruction: dict[str, Any]
    top: float
    camera: dict[str, Any] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Bytes in the page, about; the original is counted with every row."""
        shapes = (self.original, self.reconstruction)
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
    stages: dict[str, _Stage] = {}
    for row in rows:
        try:
            stage = stages.get(row.original) or _Stage(_read(folder / row.original), most)
            stages[row.original] = stage
            yield stage.exhibit(row, _read(folder / row.reconstruction))
        except (OSError, PccError):
            continue


def _read(path: Path) -> PointCloud | Mesh:
    shape = formats.read(path.read_bytes(), path.name)
    if isinstance(shape, Volume):
        raise InputError(f"{path.name}: a volume has no points to draw")
    return shape


class _Stage:
    """An original and the camera before it, the same for every row of its file."""

    def __init__(self, original: PointCloud | Mesh, most: int) -> None:
        self.original, self.most = original, most
        self.camera = best_camera(original, WIDTH, HEIGHT)
        self.picture = data_uri(render(original, self.camera, transparent=True))
        self.points = _packed(original, self.camera, None, 0.0, most)

    def exhibit(self, row: Row, reconstruction: PointCloud | Mesh) -> Exhibit:
        errors = deviation.errors_of(self.original, reconstruction)
        top = deviation.largest(errors)
        shown = deviation.recoloured(reconstruction, self.original)
        damage = deviation.painted(reconstruction, errors, top)
        pictures = {
            "original": self.picture,
            "reconstruction": data_uri(render(shown, self.camera, transparent=True)),
            "error": data_uri(render(damage, self.camera, transparent=True)),
        }
        points = _packed(shown, self.camera, errors, top, self.most)
        return Exhibit(row, pictures, self.points, points, top, _view(self.camera))


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
