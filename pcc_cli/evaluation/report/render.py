"""Pictures of shapes without a display: `render(shape, camera)` gives an image, numpy only.

Points become round splats, polygons become triangles. Colours come from the shape; without them
lamps shine on clay, by the shape's normals or estimated ones. Edges and hollows are darkened from
the depths (eye-dome lighting). Drawn larger, then averaged down.
"""

from __future__ import annotations

import numpy as np

from pcc_cli.evaluation.report.camera import Camera, points_of
from pcc_cli.evaluation.report.frame import Frame, eye_dome
from pcc_cli.evaluation.report.png import encode_png, write_png
from pcc_cli.evaluation.report.shading import background, clay, colours_of, lit, normals_of
from pcc_cli.evaluation.report.splats import draw_points
from pcc_cli.evaluation.report.surface import estimated_normals
from pcc_cli.evaluation.report.triangles import draw_triangles, fan, vertex_normals
from pcc_cli.geometry import Array, Mesh, Shape, VoxelCloud

__all__ = ["Camera", "encode_png", "render", "write_png"]


def render(shape: Shape, camera: Camera, *, supersampling: int = 2) -> Array:
    """(h, w, 3) uint8 sRGB: `shape` as `camera` sees it, before a soft background.

    supersampling : the picture is drawn this many times as large each way and averaged down

    Points that are NaN or infinite are left out, and so are triangles that touch one.
    """
    large = camera.enlarged(supersampling)
    points = points_of(shape)
    finite = np.asarray(np.isfinite(points).all(1))
    frame = _drawn(shape, points, finite, large)
    light = eye_dome(frame, supersampling)
    covered = frame.covered[..., None]
    ground = background(large, points[finite])
    image = np.where(covered, frame.colour * light[..., None], ground)
    blocks = (camera.height, supersampling, camera.width, supersampling, 3)
    image = image.reshape(blocks).mean(axis=(1, 3))
    return np.rint(255.0 * np.clip(image, 0.0, 1.0)).astype(np.uint8)


def _drawn(shape: Shape, points: Array, finite: Array, camera: Camera) -> Frame:
    """The frame of `shape`, in its own colours, or in those of clay in the light of lamps."""
    columns = {} if isinstance(shape, VoxelCloud) else shape.attributes
    own = colours_of(columns, len(points))
    colours = clay(len(points)) if own is None else own
    normals = normals_of(columns)
    if isinstance(shape, Mesh):
        triangles = fan(shape.face_sizes, shape.face_indices)
        triangles = triangles[finite[triangles].all(1)]
        normals = vertex_normals(points, triangles) if normals is None else normals
        colours = lit(colours, points, normals, camera)
        return draw_triangles(points, triangles, colours, camera)
    points, colours = points[finite], colours[finite]
    if own is None:  # a scanner's colours are lit already
        normals = estimated_normals(points) if normals is None else normals[finite]
        colours = lit(colours, points, normals, camera)
    return draw_points(points, colours, camera)
