"""LAS and LAZ, the files of airborne LiDAR, through laspy (the extra `las`).

Coordinates are stored integers X times a scale plus an offset, per axis. Points come out as
float64 in file units; the scales and offsets are in `source`, from which the integers follow.
"""

from __future__ import annotations

import io
import struct
from typing import Any

import numpy as np

from pcc_cli.errors import InputError, UnsupportedError
from pcc_cli.geometry import PointCloud

Array = np.ndarray[Any, Any]


def read(data: bytes, name: str) -> PointCloud:
    """The cloud in `data`, every other dimension as an attribute of its own type.

    Raises UnsupportedError without laspy, InputError when the file is damaged.
    """
    try:
        import laspy
    except ImportError:
        raise UnsupportedError(
            f"{name}: reading LAS needs laspy: pip install 'pcc-cli[las]'"
        ) from None
    damage = (laspy.errors.LaspyException, ValueError, RuntimeError, OSError, EOFError,
              struct.error)  # fmt: skip
    try:
        las = laspy.read(io.BytesIO(data))
    except damage as error:
        raise InputError(f"{name}: damaged or unsupported LAS file: {error}") from None
    points = np.stack([np.asarray(las[axis], dtype=np.float64) for axis in "xyz"], axis=1)
    attributes = {
        title: column
        for dimension in las.point_format.dimension_names
        if dimension not in "XYZ"
        for title, column in _columns(dimension, np.asarray(las[dimension]))
    }
    return PointCloud(points, attributes, _source(las))


def _columns(dimension: str, values: Array) -> list[tuple[str, Array]]:
    """One column, or one for each component of an extra dimension that has several."""
    if values.ndim == 1:
        return [(dimension, np.ascontiguousarray(values))]
    parts = np.ascontiguousarray(values.T)
    return [(f"{dimension}_{i}", part) for i, part in enumerate(parts)]


def _source(las: Any) -> dict[str, Any]:
    return {
        "format": "las",
        "version": str(las.header.version),
        "point_format": int(las.header.point_format.id),
        "scales": [float(scale) for scale in las.header.scales],
        "offsets": [float(offset) for offset in las.header.offsets],
    }
