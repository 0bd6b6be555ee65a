"""Points small enough for a page: some of them, on a grid, as columns of bytes, deflated.

page/points.js reads them. For each of n points, in Morton order: x, y, z as steps of 0 .. 2**14 - 1
of the longest side, the difference to the point before modulo 2**16, low bytes of all points
before high bytes; red, green and blue as differences modulo 256; the error as 0 .. 255.
"""

from __future__ import annotations

import base64
import zlib
from typing import Any

import numpy as np

from pcc_cli.evaluation.report.surface import spacing
from pcc_cli.geometry import Array
from pcc_cli.tree.morton import morton_order

_BITS = 14


def packed(points: Array, colours: Array, errors: Array, top: float, most: int) -> dict[str, Any]:
    """JSON: at most `most` of `points` (n, 3), with colours (n, 3) in 0 .. 1 and errors (n,).

    count; low : corner (3,) in the units of the points; step : of the grid
    spacing : between neighbours of those that are shown; top : the error that 255 stands for
    columns : base64 of the deflated bytes
    """
    low = points.min(0, initial=np.inf) if len(points) else np.zeros(3)
    step = float(np.ptp(points, axis=0).max() if len(points) else 0.0) / ((1 << _BITS) - 1) or 1.0
    voxels = np.rint((points - low) / step).astype(np.int64)
    order = morton_order(voxels)
    if len(order) > most:
        order = order[np.linspace(0, len(order) - 1, most).astype(np.int64)]
    places = np.diff(voxels[order], axis=0, prepend=0).astype("<u2").T
    shades = np.rint(255.0 * np.clip(colours[order], 0.0, 1.0)).astype(np.int16)
    steps = np.diff(shades, axis=0, prepend=np.int16(0)).astype(np.uint8)
    share = np.clip(errors[order] / (top or 1.0), 0.0, 1.0)
    bytes_of = np.ascontiguousarray(places).view(np.uint8).reshape(3, -1, 2).transpose(0, 2, 1)
    body = (
        bytes_of.tobytes() + steps.T.tobytes() + np.rint(255.0 * share).astype(np.uint8).tobytes()
    )
    return {
        "count": len(order),
        "low": [float(value) for value in low],
        "step": step,
        "spacing": spacing(points[order]),
        "top": top,
        "columns": base64.b64encode(zlib.compress(body, 9)).decode("ascii"),
    }
