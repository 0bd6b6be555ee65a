"""Pictures of shapes without a display: `render(shape, camera)` gives an image, numpy only.

Points become round splats, polygons become triangles. Colours come from the shape; without them
lamps shine on clay, or on colours of height when it is land, by the shape's normals or estimated
ones. Edges and hollows are darkened from the depths (eye-dome lighting). Drawn larger, then
averaged down. `best_camera(shape)` picks a view.
"""

from __future__ import annotations

import numpy as np

from pcc_cli.evaluation.report.camera import Camera, points_of
from pcc_cli.evaluation.report.frame import Frame, eye_dome
from pcc_cli.evaluation.report.png import encode_png, write_png
from pcc_cli.evaluation.report.shading import (
    background,
    by_height,
    clay,
    colours_of,
    lit,
    normals_of,
)
from pcc_cli.evaluation.report.splats import draw_points
from pcc_cli.evaluation.report.surface import estimated_normals
from pcc_cli.evaluation.report.triangles import (
    corner_normals,
    draw_triangles,
    fan,
    spread,
)
from pcc_cli.evaluation.report.viewpoint import best_camera, scene_of
from pcc_cli.geometry import Array, Mesh, PointCloud, Visible, VoxelCloud

__all__ = ["Camera", "best_camera", "encode_png", "render", "write_png"]

_SHADING = 100_000  # places on a mesh that throw its shadow


def render(
    shape: Visible, camera: Camera, *, supersampling: int = 2, transparent: bool = False
) -> Array:
    """(h, w, 3) uint8 sRGB: `shape` as `camera` sees it, before a soft background.

    supersampling : the picture is drawn this many times as large each way and averaged down
    transparent : (h, w, 4) instead, with opacity in place of the background

    Points that are NaN or infinite are left out, and so are triangles that touch one.
    """
    large = camera.enlarged(supersampling)
    points = points_of(shape)
    finite = np.asarray(np.isfinite(points).all(1))
    frame = _drawn(shape, points, finite, large)
    covered = frame.covered[..., None]
    light = eye_dome(frame, supersampling)[..., None]
    drawn = np.concatenate([np.where(covered, frame.colour * light, 0.0), covered], axis=2)
    drawn = drawn.reshape(camera.height, supersampling, camera.width, supersampling, 4)
    drawn = drawn.mean(axis=(1, 3))
    colour, opacity = drawn[..., :3], drawn[..., 3:]
    if transparent:
        image = np.concatenate([colour / np.maximum(opacity, 1e-6), opacity], axis=2)
    else:
        image = colour + (1.0 - opacity) * background(camera, _shading(shape, points, finite))
    return np.rint(255.0 * np.clip(image, 0.0, 1.0)).astype(np.uint8)


def _drawn(shape: Visible, points: Array, finite: Array, camera: Camera) -> Frame:
    if isinstance(shape, Mesh):
        triangles, colours = corner_colours(shape, camera)
        return draw_triangles(points, triangles, colours, camera)
    return draw_points(points[finite], point_colours(shape, camera)[finite], camera)


def point_colours(shape: PointCloud | VoxelCloud, camera: Camera) -> Array:
    """(n, 3) float32: its own colours, or those of clay or of height in the light of lamps."""
    points = points_of(shape)
    columns = {} if isinstance(shape, VoxelCloud) else shape.attributes
    own = colours_of(columns, len(points))
    if own is not None:  # a scanner's colours are lit already
        return own
    finite = np.isfinite(points).all(1)
    normals = normals_of(columns)
    if normals is None:
        normals = np.zeros((len(points), 3))
        normals[finite] = estimated_normals(points[finite])
    land = scene_of(shape).kind in ("land", "sweep")
    colours = by_height(points[:, 2]) if land else clay(len(points))
    return lit(colours, points, normals, camera)


def corner_colours(mesh: Mesh, camera: Camera) -> tuple[Array, Array]:
    """The triangles (t, 3) of `mesh` and the colours (t, 3, 3) float32 of their corners, lit."""
    points = points_of(mesh)
    triangles = _triangles(mesh, np.asarray(np.isfinite(points).all(1)))
    own, normals = colours_of(mesh.attributes, len(points)), normals_of(mesh.attributes)
    at_corners = corner_normals(points, triangles) if normals is None else normals[triangles]
    colours = (clay(len(points)) if own is None else own)[triangles].reshape(-1, 3)
    colours = lit(colours, points[triangles].reshape(-1, 3), at_corners.reshape(-1, 3), camera)
    return triangles, colours.reshape(-1, 3, 3)


def _triangles(mesh: Mesh, finite: Array) -> Array:
    triangles = fan(mesh.face_sizes, mesh.face_indices)
    return triangles[finite[triangles].all(1)]


def _shading(shape: Visible, points: Array, finite: Array) -> Array:
    """(n, 3): points of `shape` that throw its shadow."""
    if isinstance(shape, Mesh):
        return spread(points, _triangles(shape, finite), _SHADING)[0]
    return points[finite]
