"""How far a reconstruction is from its original, point by point, as colours with their scale."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pcc_cli.evaluation.report.camera import Camera, points_of
from pcc_cli.evaluation.report.lettering import draw_text, text_width
from pcc_cli.evaluation.report.ramp import ERROR, Ramp
from pcc_cli.evaluation.report.render import render
from pcc_cli.evaluation.report.shading import colours_of
from pcc_cli.evaluation.report.triangles import fan, spread
from pcc_cli.geometry import Array, Mesh, PointCloud
from pcc_cli.metrics.neighbours import Neighbours

_RGB = ("red", "green", "blue")
_SAMPLES = 300_000  # places on a mesh that stand for its surface
_USUAL = 0.99  # part of the points whose errors the scale tells apart
_BAR, _STRIP = 12, 52  # pixels: height of the bar of colours, and of what it stands on
_LETTER, _INK, _PAPER = 11.0, (52, 56, 64), (246, 246, 246)


def errors_of(original: PointCloud | Mesh, reconstruction: PointCloud | Mesh) -> Array:
    """(n,) float64: from each point of `reconstruction` to the nearest of `original`, its units.

    Of meshes the vertices count, against places spread over the surface of `original`.
    """
    there, points = _places(original), points_of(reconstruction)
    finite = np.isfinite(points).all(1)
    found = np.zeros(len(points))
    if len(there) and finite.any():
        found[finite] = Neighbours(there).nearest(points[finite])[0]
    return found


def colour_errors_of(
    original: PointCloud | Mesh, reconstruction: PointCloud | Mesh
) -> Array | None:
    """(n,) float64: of each point of `reconstruction` the mean difference of red, green and blue
    from the nearest of `original`, in parts of 255; None where one of them has no colours."""
    wanted, found = (_colours(shape) for shape in (original, reconstruction))
    if wanted is None or found is None or not len(wanted) or not len(found):
        return None
    return 255.0 * np.abs(found - wanted[_nearest(original, reconstruction)]).mean(axis=1)


def _colours(shape: PointCloud | Mesh) -> Array | None:
    return colours_of(shape.attributes, len(shape))


def _nearest(original: PointCloud | Mesh, reconstruction: PointCloud | Mesh) -> Array:
    """(n,) which point of `original` is nearest to each of `reconstruction`."""
    there, points = points_of(original), points_of(reconstruction)
    finite = np.flatnonzero(np.isfinite(there).all(1))
    _, nearest = Neighbours(there[finite]).nearest(np.nan_to_num(points))
    return finite[nearest]


def largest(errors: Array) -> float:
    """The end of a scale for `errors`: a round number that few of them exceed; 0 for no error."""
    top = float(np.quantile(errors, _USUAL)) if len(errors) else 0.0
    top = top or float(errors.max(initial=0.0))
    if top == 0.0:
        return 0.0
    power = 10.0 ** np.floor(np.log10(top))
    step = next(
        step for step in (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 8.0, 10.0) if step * power >= 0.999 * top
    )
    return float(f"{step * power:.6g}")


def painted(shape: PointCloud | Mesh, errors: Array, top: float) -> PointCloud | Mesh:
    """`shape` in the colours of `errors` (n,), from 0 to `top`."""
    colours = np.rint(255.0 * ERROR.colours(errors / (top or 1.0))).astype(np.uint8)
    columns = {
        name: column for name, column in shape.attributes.items() if name in ("nx", "ny", "nz")
    }
    columns |= dict(zip(_RGB, colours.T, strict=True))
    return replace(shape, attributes=columns)


def recoloured(reconstruction: PointCloud | Mesh, original: PointCloud | Mesh) -> PointCloud | Mesh:
    """`reconstruction` with the colours of the nearest points of `original`, if it has none.

    So that a codec of geometry alone can be compared by eye.
    """
    colours = {name: original.attributes[name] for name in _RGB if name in original.attributes}
    have = all(name in reconstruction.attributes for name in _RGB)
    if have or len(colours) < len(_RGB) or not len(original) or not len(reconstruction):
        return reconstruction
    nearest = _nearest(original, reconstruction)
    taken = {name: column[nearest] for name, column in colours.items()}
    return replace(reconstruction, attributes=reconstruction.attributes | taken)


def render_errors(
    original: PointCloud | Mesh, reconstruction: PointCloud | Mesh, camera: Camera
) -> Array:
    """(h, w, 3) uint8: `reconstruction` coloured by its errors, a labelled bar of colours below."""
    errors = errors_of(original, reconstruction)
    top = largest(errors)
    image = render(painted(reconstruction, errors, top), camera)
    return np.concatenate([image, colour_bar(camera.width, top)])


def colour_bar(width: int, top: float, *, ramp: Ramp = ERROR) -> Array:
    """(h, width, 3) uint8: the colours from 0 to `top`, with numbers below."""
    strip = np.full((_STRIP, width, 3), _PAPER, dtype=np.uint8)
    left, right = width // 8, width - width // 8
    shades = ramp.colours(np.linspace(0.0, 1.0, right - left))
    strip[10 : 10 + _BAR, left:right] = np.rint(255.0 * shades)
    for part in (0.0, 0.5, 1.0):
        text = f"{part * top:g}"
        middle = left + part * (right - left)
        draw_text(strip, text, middle - text_width(text, _LETTER) / 2, 41.0, _LETTER, _INK)
    return strip


def _places(shape: PointCloud | Mesh) -> Array:
    points = points_of(shape)
    finite = np.isfinite(points).all(1)
    if isinstance(shape, Mesh):
        triangles = fan(shape.face_sizes, shape.face_indices)
        triangles = triangles[np.asarray(finite)[triangles].all(1)]
        return np.concatenate([points[finite], spread(points, triangles, _SAMPLES)[0]])
    return points[finite]
