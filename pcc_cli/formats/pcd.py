"""PCD, the point cloud file of PCL: a text header, then ascii, binary or binary_compressed points.

Fields named `_` are padding and are dropped. Fields of several components become one attribute
each, `name_0`, `name_1` and so on. A packed `rgb` stays the number that the file stores.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

import numpy as np

from pcc_cli.errors import InputError
from pcc_cli.formats import lzf
from pcc_cli.geometry import PointCloud

Array = np.ndarray[Any, Any]

_KINDS = {"F": "f", "I": "i", "U": "u"}
_SIZES = {"F": (4, 8), "I": (1, 2, 4, 8), "U": (1, 2, 4, 8)}
_HEADER_LIMIT = 1 << 16


@dataclass(frozen=True)
class _Header:
    """types[i] is the type of one component of field i; body is where the points start."""

    fields: list[str]
    types: list[np.dtype[Any]]
    counts: list[int]
    points: int
    encoding: str
    body: int
    kept: dict[str, Any]

    @property
    def components(self) -> list[tuple[str, np.dtype[Any]]]:
        """A unique name and the type of each number in a point; padding starts with '_ '."""
        found = []
        for index, (field, kind, count) in enumerate(
            zip(self.fields, self.types, self.counts, strict=True)
        ):
            stem = f"_ {index}" if field == "_" else field
            found += [(f"{stem}_{i}" if count > 1 else stem, kind) for i in range(count)]
        return found


def read(data: bytes, name: str) -> PointCloud:
    """The cloud in `data`, points in their own type; raises InputError when it is damaged."""
    try:
        header = _read_header(data)
        columns = _BODIES[header.encoding](header, data[header.body :])
    except (ValueError, KeyError, IndexError, OverflowError) as error:
        raise InputError(f"{name}: damaged or unsupported PCD file: {error}") from None
    missing = [axis for axis in "xyz" if axis not in columns]
    if missing:
        raise InputError(f"{name}: the PCD file has no field '{missing[0]}'")
    points = np.stack([columns.pop(axis) for axis in "xyz"], axis=1)
    return PointCloud(points, columns, header.kept)


def _read_header(data: bytes) -> _Header:
    entries: dict[str, list[str]] = {}
    body = 0
    while "DATA" not in entries:
        end = data.find(b"\n", body, _HEADER_LIMIT)
        if end < 0:
            raise ValueError("the header has no DATA line")
        line = data[body:end].decode("utf-8", "replace").split()
        body = end + 1
        if line and not line[0].startswith("#"):
            entries[line[0]] = line[1:]
    return _check_header(entries, body)


def _check_header(entries: dict[str, list[str]], body: int) -> _Header:
    missing = [key for key in ("FIELDS", "SIZE", "TYPE", "DATA") if not entries.get(key)]
    if missing:
        raise ValueError(f"the header has no {missing[0]} line")
    fields = entries["FIELDS"]
    types = [
        _component_type(kind, int(size))
        for kind, size in zip(entries["TYPE"], entries["SIZE"], strict=True)
    ]
    counts = [int(count) for count in entries.get("COUNT", ["1"] * len(fields))]
    width, height = (int(entries.get(key, ["1"])[0]) for key in ("WIDTH", "HEIGHT"))
    points = int(entries["POINTS"][0]) if "POINTS" in entries else width * height
    encoding = entries["DATA"][0].lower()
    if encoding not in _BODIES:
        raise ValueError(f"unknown encoding '{encoding}'")
    if not len(fields) == len(types) == len(counts) or min(counts) < 1 or points < 0:
        raise ValueError("FIELDS, SIZE, TYPE and COUNT do not match")
    kept = {"format": "pcd", "encoding": encoding, "width": width, "height": height}
    if "VIEWPOINT" in entries:
        kept["viewpoint"] = " ".join(entries["VIEWPOINT"])
    header = _Header(fields, types, counts, points, encoding, body, kept)
    names = [component for component, _ in header.components]
    if len(set(names)) < len(names):
        raise ValueError("a field appears twice")
    return header


def _component_type(kind: str, size: int) -> np.dtype[Any]:
    if size not in _SIZES.get(kind, ()):
        raise ValueError(f"unknown field type {kind}{size}")
    return np.dtype(f"<{_KINDS[kind]}{size}")


def _native(columns: dict[str, Array]) -> dict[str, Array]:
    """Without padding, contiguous, in the byte order of this machine."""
    return {
        name: np.ascontiguousarray(column, dtype=column.dtype.newbyteorder("="))
        for name, column in columns.items()
        if not name.startswith("_ ")
    }


def _read_ascii(header: _Header, body: bytes) -> dict[str, Array]:
    dtype = np.dtype(header.components)
    rows = np.zeros(0, dtype)
    if header.points:
        text = io.StringIO(body.decode("ascii", "replace"))
        rows = np.atleast_1d(np.loadtxt(text, dtype=dtype, comments=None))
    if len(rows) != header.points:
        raise ValueError(f"it holds {len(rows)} points, not {header.points}")
    return _native({name: rows[name] for name, _ in header.components})


def _read_binary(header: _Header, body: bytes) -> dict[str, Array]:
    dtype = np.dtype(header.components)
    if len(body) < header.points * dtype.itemsize:
        raise ValueError(f"it ends after {len(body) // dtype.itemsize} of {header.points} points")
    rows = np.frombuffer(body, dtype=dtype, count=header.points)
    return _native({name: rows[name] for name, _ in header.components})


def _read_compressed(header: _Header, body: bytes) -> dict[str, Array]:
    """Field after field, each with all components of a point together, behind LZF."""
    total = header.points * np.dtype(header.components).itemsize
    if len(body) < 8:
        raise ValueError("it ends before the compressed points")
    packed, size = (int(length) for length in np.frombuffer(body, dtype="<u4", count=2))
    if size != total or len(body) < 8 + packed:
        raise ValueError(f"{packed} compressed bytes for {size} are not as the header says")
    plain = lzf.decompress(body[8 : 8 + packed], size)
    values: list[Array] = []
    at = 0
    for kind, count in zip(header.types, header.counts, strict=True):
        block = np.frombuffer(plain, dtype=kind, count=header.points * count, offset=at)
        values += list(block.reshape(header.points, count).T)
        at += block.nbytes
    names = [component for component, _ in header.components]
    return _native(dict(zip(names, values, strict=True)))


_BODIES = {"ascii": _read_ascii, "binary": _read_binary, "binary_compressed": _read_compressed}
