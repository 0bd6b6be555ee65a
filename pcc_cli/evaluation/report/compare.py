"""A file and what was made of it, side by side in one picture, each with its size.

python -m pcc_cli.evaluation.report.compare scan.ply scan.dcz docs/images/scan.png
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from pcc_cli.errors import InputError, PccError
from pcc_cli.evaluation.report.lettering import draw_text, text_width
from pcc_cli.evaluation.report.png import write_png
from pcc_cli.evaluation.report.render import Camera, render
from pcc_cli.geometry import Array, Mesh, MeshSet, PointCloud, Volume

_PANEL = 660  # pixels each way, without the label
_FINE = 3  # supersampling
_STRIP = 92  # pixels below for the label
_NAME, _DETAIL = 17.0, 12.5  # height of large letters
_INK, _FAINT = (52, 56, 64), (112, 117, 128)


def compare(first: Path, second: Path, *, azimuth: float = -75.0, elevation: float = 14.0) -> Array:
    """(h, w, 3) uint8: what is in `first` beside what is in `second`, seen by the same camera.

    A .dcz file is decoded; below each shape stand its file's name, its size and, for the second,
    whether it holds the same values. Errors as in `formats.read` and `api.decompress`.
    """
    shapes = [_load(path) for path in (first, second)]
    camera = Camera.looking_at(
        shapes[0], azimuth, elevation, width=_PANEL, height=_PANEL, margin=0.05
    )
    sizes = [path.stat().st_size for path in (first, second)]
    notes = ["", f" · {sizes[0] / sizes[1]:.1f} times smaller"]
    if same(*shapes):
        notes[1] += ", bit for bit the same"
    panels = []
    for path, shape, size, note in zip((first, second), shapes, sizes, notes, strict=True):
        count = f"{len(shape):,} ".replace(",", " ")
        count += "vertices" if isinstance(shape, Mesh) else "points"
        panel = _with_strip(render(shape, camera, supersampling=_FINE))
        _write_centred(panel, path.name, 30, _NAME, _INK)
        _write_centred(panel, f"{count} · {size / 1000:.0f} kB{note}", 62, _DETAIL, _FAINT)
        panels.append(panel)
    return np.concatenate(panels, axis=1)


def same(first: PointCloud | Mesh, second: PointCloud | Mesh) -> bool:
    """Whether both hold the same points with the same attributes, in any order, to the last bit."""
    if isinstance(first, Mesh) or isinstance(second, Mesh):
        return False  # faces would have to be compared, too
    kinds = [
        (shape.points.dtype, {name: column.dtype for name, column in shape.attributes.items()})
        for shape in (first, second)
    ]
    return kinds[0] == kinds[1] and bool(np.array_equal(_rows(first), _rows(second)))


def _rows(cloud: PointCloud) -> Array:
    """(n, k) uint8, the bytes of all values of each point, sorted."""
    columns = [*cloud.points.T, *cloud.attributes.values()]
    parts = [np.ascontiguousarray(c).view(np.uint8).reshape(len(c), -1) for c in columns]
    table = np.concatenate(parts, axis=1)
    return table[np.lexsort(table.T)]


def _load(path: Path) -> PointCloud | Mesh:
    from pcc_cli import api, formats

    data = path.read_bytes()
    packed = path.suffix == ".dcz"
    shape = api.decompress(data) if packed else formats.read(data, path.name)
    if isinstance(shape, Volume):
        raise InputError(f"{path}: a volume is drawn in slices")
    if isinstance(shape, MeshSet):
        raise InputError(f"{path}: holds a set of meshes; draw one of them")
    return shape


def _with_strip(panel: Array) -> Array:
    """`panel` with room for a label below, in the colour of its lowest row."""
    return np.concatenate([panel, np.repeat(panel[-1:], _STRIP, axis=0)])


def _write_centred(
    panel: Array, text: str, down: float, size: float, colour: tuple[int, ...]
) -> None:
    left = 0.5 * (panel.shape[1] - text_width(text, size))
    draw_text(panel, text, left, _PANEL + down, size, colour)


def main() -> None:
    """Write the picture of two files."""
    parser = argparse.ArgumentParser(prog="python -m pcc_cli.evaluation.report.compare")
    parser.add_argument("first", type=Path, help="the original, such as scan.ply")
    parser.add_argument("second", type=Path, help="its .dcz file, or another shape")
    parser.add_argument("out", type=Path, help="the picture, a .png file")
    parser.add_argument("--azimuth", type=float, default=-75.0, help="degrees about z")
    parser.add_argument("--elevation", type=float, default=14.0, help="degrees above the horizon")
    options = parser.parse_args()
    try:
        image = compare(
            options.first, options.second, azimuth=options.azimuth, elevation=options.elevation
        )
        write_png(options.out, image)
    except (OSError, PccError) as error:
        parser.exit(1, f"{error}\n")


if __name__ == "__main__":
    main()
