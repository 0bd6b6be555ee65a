"""Clouds from other formats as LAS: a header, a grid, a dimension for each attribute."""

from __future__ import annotations

import io
import math
from dataclasses import replace
from typing import Any

import numpy as np

from pcc_cli import grid
from pcc_cli.errors import OutputError
from pcc_cli.formats import lasfile
from pcc_cli.formats.columns import as_integers, same
from pcc_cli.formats.lasfile import Parts
from pcc_cli.formats.talk import Note, listed
from pcc_cli.geometry import Array, PointCloud

_COLOURS = ("red", "green", "blue")
_NAME_BYTES = 32  # of an extra dimension
_WHOLE = (1 << 31) - 1
_FINE = 1e8  # steps along the longest axis of a cloud without a grid, at least


def convert(shape: PointCloud, note: Note) -> tuple[Parts, PointCloud]:
    """The parts of a LAS 1.4 file for `shape`, and `shape` with attributes that fit them.

    Points that are not finite have no place there and are left out. OutputError for names that
    LAS cannot tell apart.
    """
    finite = np.isfinite(shape.points).all(axis=1)
    if not finite.all():
        note(f"{(~finite).sum():,} points that are not finite have no place in LAS: left out")
        columns = {name: column[finite] for name, column in shape.attributes.items()}
        shape = replace(shape, points=shape.points[finite], attributes=columns)
    names = set(shape.attributes)
    number = 8 if "nir" in names else 7 if names & set(_COLOURS) else 6
    limits = _limits(number)
    attributes: dict[str, Array] = {}
    extra: dict[str, Array] = {}
    for name, column in _scaled_colours(shape.attributes, note).items():
        fitting = _fitting(column, limits[name]) if name in limits else None
        if fitting is not None:
            attributes[name] = fitting
        else:
            extra[_free_name(name, {*limits, *extra})] = _storable(column)
    if extra:
        note(f"kept as extra bytes: {listed(list(extra))}")
    parts = _parts(number, extra, shape.source.get("crs"))
    return parts, PointCloud(shape.points, {**attributes, **extra}, shape.source)


def placed(points: Array, note: Note) -> tuple[Array, Array, Array]:
    """(n, 3) int32 for these coordinates, and the scales and offsets that restore them."""
    scales, offsets = np.full(3, 0.001), np.zeros(3)
    if not len(points):
        return np.zeros((0, 3), np.int32), scales, offsets
    wide = points.astype(np.float64)
    low, high = wide.min(axis=0), wide.max(axis=0)
    extent = float((high - low).max())
    place = grid.fit(points, lossless=True).grid
    if place.kind == "step":
        scales = np.maximum(place.steps, (high - low) / (2.0 * _WHOLE))
    elif extent:
        scales[:] = 10.0 ** math.floor(math.log10(extent / _FINE))
    phase = low - np.rint(low / scales) * scales  # a grid of 2 mm may stand on odd millimetres
    phase[np.abs(phase) <= scales / 1000] = 0.0
    far = np.maximum(np.abs(low), np.abs(high)) > scales * _WHOLE
    offsets = phase + np.where(far, np.rint((low + high) / 2 / scales) * scales, 0.0)
    whole = np.rint((wide - offsets) / scales)
    error = float(np.sqrt(((whole * scales + offsets - wide) ** 2).sum(axis=1)).max())
    if error > scales.max() / 1000:
        note(f"LAS stores multiples of {scales.max():.6g}: coordinates differ by up to {error:.3g}")
    return whole.astype(np.int32), scales, offsets


def _limits(number: int) -> dict[str, tuple[int, int, str]]:
    """Least and largest value, and numpy type, of each dimension of a point format."""
    import laspy

    limits = {}
    for item in laspy.PointFormat(number).dimensions:
        kind = "f8" if item.name == "gps_time" else (item.dtype or np.dtype("u1")).str
        limits[item.name] = (int(item.min), int(item.max), kind) if kind != "f8" else (0, 0, kind)
    return {name: limit for name, limit in limits.items() if name not in ("X", "Y", "Z")}


def _fitting(column: Array, limit: tuple[int, int, str]) -> Array | None:
    """The column as the dimension stores it, None if a value does not fit."""
    low, high, kind = limit
    if kind == "f8":
        return same(column, "f8")
    whole = as_integers(column) if column.dtype.kind == "f" else column
    if whole is None or (len(whole) and not (low <= int(whole.min()) and int(whole.max()) <= high)):
        return None if len(column) else column.astype(kind)
    return whole.astype(kind)


def _scaled_colours(attributes: dict[str, Array], note: Note) -> dict[str, Array]:
    """Colours of 8 bits as the 16 bits that LAS wants; other attributes as they are."""
    narrow = [n for n in _COLOURS if n in attributes and attributes[n].dtype == np.uint8]
    if not narrow:
        return attributes
    note("8-bit colours were multiplied by 256, as LAS wants them")
    return {n: c.astype(np.uint16) << 8 if n in narrow else c for n, c in attributes.items()}


def _free_name(name: str, taken: set[str]) -> str:
    free = f"original_{name}" if name in taken else name
    if free in taken or len(free.encode()) > _NAME_BYTES or not free.isascii():
        raise OutputError(f"LAS has no place for an attribute called '{name}'; --drop it first")
    return free


def _storable(column: Array) -> Array:
    return column.astype("f4") if column.dtype == np.float16 else column


def _parts(number: int, extra: dict[str, Array], crs: Any) -> Parts:
    """A new header with records for extra bytes and the reference system."""
    import laspy

    header = laspy.LasHeader(version="1.4", point_format=number)
    header.generating_software = "pcc"
    for name, column in extra.items():
        kind = column.dtype.newbyteorder("=")
        header.add_extra_dim(laspy.ExtraBytesParams(name, kind))
    if isinstance(crs, str) and not crs.startswith("EPSG:"):
        header.global_encoding.wkt = True
        text = crs.encode() + b"\0"
        header.vlrs.append(laspy.VLR("LASF_Projection", 2112, "OGC WKT", text))
    stream = io.BytesIO()
    laspy.LasData(header).write(stream)
    return lasfile.split(stream.getvalue())[0]
