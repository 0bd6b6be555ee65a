"""LAS and LAZ, the files of airborne LiDAR, versions 1.0 to 1.4 and all point formats.

Points come out as float64 in file units, X * scale + offset, and go back to the same integers.
Every other dimension is an attribute of the type that the file stores, scaled extra bytes as
their integers. Header and records travel as raw bytes in `source`. Needs the extra `las`.
"""

from __future__ import annotations

import io
import logging
import struct
from dataclasses import replace
from typing import Any

import numpy as np

from pcc_cli.errors import InputError, OutputError, UnsupportedError
from pcc_cli.formats import lasfile
from pcc_cli.formats.columns import names_of
from pcc_cli.formats.lasfile import Parts
from pcc_cli.formats.talk import Note, listed, silent
from pcc_cli.geometry import Array, PointCloud

MESHES = False
_PARTS = ("header", "vlrs", "gap", "evlrs")
_X = ("X", "Y", "Z")


def read(data: bytes, name: str, note: Note = silent) -> PointCloud:
    """The cloud in `data`; UnsupportedError without laspy, InputError when it is damaged."""
    damage = _errors(f"{name}: reading LAS")
    try:
        parts, raw, dropped = lasfile.split(data)
        layout = _layout(parts)
        points, attributes = _columns(raw, parts, layout)
    except damage as error:
        raise InputError(f"{name}: damaged or unsupported LAS file: {error}") from None
    if dropped:
        note(f"not kept, for they describe the old order: the records {listed(dropped)}")
    if layout.has_waveform_packet and not parts.header[6] & 2:
        note("waveforms lie in a .wdp file beside the source, which is not part of the result")
    return PointCloud(points, attributes, _source(parts, compressed=bool(data[104] & 0x80)))


def _errors(purpose: str) -> tuple[type[Exception], ...]:
    """What laspy and lazrs raise for what they cannot do; UnsupportedError without them."""
    try:
        import laspy
        import lazrs
    except ImportError:
        raise UnsupportedError(f"{purpose} needs laspy: pip install 'pcc-cli[las]'") from None
    logging.getLogger("laspy").setLevel(logging.ERROR)  # warnings would land among our own lines
    own: tuple[type[Exception], ...] = laspy.errors.LaspyException, lazrs.LazrsError
    return (*own, ArithmeticError, LookupError, TypeError, ValueError, struct.error, OSError)


def _layout(parts: Parts) -> Any:
    """laspy's description of a point, extra bytes among its dimensions."""
    import laspy

    header = bytearray(parts.header)
    count = sum(1 for _ in lasfile.records_of(replace(parts, evlrs=b"")))
    struct.pack_into("<II", header, 96, len(header) + len(parts.vlrs), count)
    return laspy.LasHeader.read_from(io.BytesIO(bytes(header) + parts.vlrs)).point_format


def _columns(raw: Array, parts: Parts, layout: Any) -> tuple[Array, dict[str, Array]]:
    """Coordinates and attributes; ValueError where a coordinate does not tell its integer."""
    from laspy.point.record import PackedPointRecord

    record = PackedPointRecord(np.ascontiguousarray(raw).reshape(-1).view(layout.dtype()), layout)
    whole = np.stack([record.array[axis] for axis in _X], axis=1)
    scales, offsets = np.array(parts.scales), np.array(parts.offsets)
    if not (np.isfinite([scales, offsets]).all() and (scales > 0).all()):
        raise ValueError("its scales and offsets are no positive numbers")
    points = whole * scales + offsets
    back = _integers(points, scales, offsets)
    if back is None or not np.array_equal(back, whole):
        raise ValueError("its scale is finer than coordinates so far from 0 can be")
    attributes: dict[str, Array] = {}
    for name, field, count in _fields(layout):
        values = np.asarray(record[name] if field is None else record.array[field])
        components = map(np.ascontiguousarray, values.reshape(len(whole), count or 1).T)
        attributes |= dict(zip(names_of(name, count), components, strict=True))
    return points, attributes


def _fields(layout: Any) -> list[tuple[str, str | None, int | None]]:
    """(name, field of the record or None for a few bits, number of components) of dimensions."""
    from laspy.point.dims import DimensionKind

    return [
        (
            item.name,
            None if item.kind is DimensionKind.BitField else item.name,
            item.num_elements if item.num_elements > 1 else None,
        )
        for item in layout.dimensions
        if item.name not in _X
    ]


def _integers(points: Array, scales: Array, offsets: Array) -> Array | None:
    """(n, 3) int32 of which these are the coordinates, but for rounding; None if one has none."""
    index = np.rint((points.astype(np.float64) - offsets) / scales)
    limits = np.iinfo(np.int32)
    if len(index) and not (index.min() >= limits.min and index.max() <= limits.max):
        return None
    near = np.abs(index * scales + offsets - points) <= scales / 1000
    return index.astype(np.int32) if near.all() else None


def _source(parts: Parts, compressed: bool) -> dict[str, Any]:
    crs = lasfile.crs_of(parts)
    return {
        "format": "las",
        "suffix": ".laz" if compressed else ".las",
        "version": f"{parts.header[24]}.{parts.minor}",
        "point_format": parts.point_format,
        "scales": list(parts.scales),
        "offsets": list(parts.offsets),
        **({"crs": crs} if crs else {}),
        **{name: getattr(parts, name) for name in _PARTS if getattr(parts, name)},
    }


def write(shape: PointCloud, suffix: str = ".las", note: Note = silent) -> bytes:
    """The bytes of a LAS or, by the suffix, LAZ file.

    A cloud from LAS keeps its header and records; any other becomes LAS 1.4, its attributes the
    dimensions of their names, or extra bytes. UnsupportedError without laspy, OutputError for
    what LAS cannot hold.
    """
    errors = _errors("writing LAS")
    try:
        parts = _stored_parts(shape)
        if parts is None:
            from pcc_cli.formats import lasnew

            parts, shape = lasnew.convert(shape, note)
        layout = _layout(parts)
        record, place = _record(shape, parts, layout, note)
        return lasfile.join(parts, record, place, suffix == ".laz")
    except errors as error:
        raise OutputError(f"cannot write this as {suffix[1:].upper()}: {error}") from None


def _stored_parts(shape: PointCloud) -> Parts | None:
    """The parts that `shape` came with, if it is still a cloud of that layout."""
    if shape.source.get("format") != "las":
        return None
    stored = [shape.source.get(name, b"") for name in _PARTS]
    if not all(isinstance(part, bytes) for part in stored) or len(stored[0]) < 227:
        return None
    parts = Parts(*stored)
    known = {title for name, _, count in _fields(_layout(parts)) for title in names_of(name, count)}
    return parts if set(shape.attributes) <= known else None


def _record(
    shape: PointCloud, parts: Parts, layout: Any, note: Note
) -> tuple[Array, dict[str, Any]]:
    """The points as bytes, and what the header has to say of them."""
    from laspy.point.record import PackedPointRecord

    scales, offsets = np.array(parts.scales), np.array(parts.offsets)
    whole = _integers(shape.points, scales, offsets)
    if whole is None:
        from pcc_cli.formats import lasnew

        whole, scales, offsets = lasnew.placed(shape.points, note)
    record = PackedPointRecord(np.zeros(len(shape), layout.dtype()), layout)
    for axis, column in zip(_X, whole.T, strict=True):
        record.array[axis] = column
    missing = _fill(record, layout, shape.attributes)
    if missing and shape.source.get("format") == "las":
        note(f"zeros stand for what the .dcz file does not hold: {listed(missing)}")
    returns = np.bincount(np.asarray(record["return_number"]), minlength=16)
    about = {"returns": returns[1:16].tolist(), "low": [0.0] * 3, "high": [0.0] * 3}
    if len(whole):
        about["low"] = (whole.min(axis=0) * scales + offsets).tolist()
        about["high"] = (whole.max(axis=0) * scales + offsets).tolist()
    about |= {"scales": scales.tolist(), "offsets": offsets.tolist()}
    return record.array.view(np.uint8).reshape(len(shape), layout.size), about


def _fill(record: Any, layout: Any, attributes: dict[str, Array]) -> list[str]:
    """Puts the attributes into their dimensions; the names of those that have none."""
    missing = []
    for name, field, count in _fields(layout):
        titles = names_of(name, count)
        if not all(title in attributes for title in titles):
            missing.append(name)
            continue
        values = [attributes[title] for title in titles]
        if field is None:
            record[name] = values[0]
        else:
            record.array[field] = values[0] if count is None else np.stack(values, axis=1)
    return missing


def plain(shape: PointCloud, note: Note) -> PointCloud:
    """`shape` as other formats see it: scaled extra bytes as the numbers that they mean."""
    parts = _stored_parts(shape)
    if parts is None:
        return shape
    attributes = dict(shape.attributes)
    for item in _layout(parts).extra_dimensions:
        titles = names_of(item.name, item.num_elements if item.num_elements > 1 else None)
        for i, title in enumerate(titles if item.is_scaled else []):
            if title in attributes:
                attributes[title] = attributes[title] * item.scales[i] + item.offsets[i]
    if any(True for _ in lasfile.records_of(parts)):
        note("the records of the LAS file (VLRs) have no place here")
    return PointCloud(shape.points, attributes, shape.source)
