"""NIfTI-1 and NIfTI-2 in one file, .nii or .nii.gz. Header and extensions are kept as they are.

Samples are as stored: a scale (scl_slope, scl_inter) stays in the header. Places are turned from
the right-anterior-superior of NIfTI to left-posterior-superior, as ITK has them. Specification:
https://nifti.nimh.nih.gov/nifti-1
"""

from __future__ import annotations

import gzip
import struct
from dataclasses import replace
from typing import Any

import numpy as np

from pcc_cli.errors import InputError
from pcc_cli.formats.samples import DAMAGE, Layout, framed, inflated, steps_of, three, widened
from pcc_cli.formats.talk import Note, silent
from pcc_cli.geometry import Array, Volume

MESHES = False
_TYPES = {2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8", 256: "i1", 512: "u2", 768: "u4",
          1024: "i8", 1280: "u8", 128: "u1", 2304: "u1"}  # fmt: skip
_COLOURS = {128: 3, 2304: 4}  # RGB24, RGBA32
_GZIP = b"\x1f\x8b"
_SIZES = {348: 1, 540: 2}  # of the header -> version


class _Head:
    """The fields of a header that say what the samples are."""

    def __init__(self, data: bytes) -> None:
        self.order = next(
            o for o in "<>" if len(data) >= 348 and struct.unpack_from(o + "i", data)[0] in _SIZES
        )
        self.size = self._one("i", 0)(data)
        one = _SIZES[self.size] == 1
        if data[4:7] == b"ni2" if one else data[344:347] == b"ni1":
            raise ValueError("a pair of .hdr and .img, which pcc does not read")
        self.dim = struct.unpack_from(
            f"{self.order}8{'h' if one else 'q'}", data, 40 if one else 16
        )
        self.datatype = self._one("h", 70 if one else 12)(data)
        kind, at = ("f", 76) if one else ("d", 104)
        self.pixdim = struct.unpack_from(f"{self.order}8{kind}", data, at)
        self.start = int(self._one("f" if one else "q", 108 if one else 168)(data))
        self.scale = struct.unpack_from(f"{self.order}2{kind}", data, 112 if one else 176)
        self.codes = struct.unpack_from(
            f"{self.order}2{'h' if one else 'i'}", data, 252 if one else 344
        )
        self.quaternion = struct.unpack_from(f"{self.order}6{kind}", data, 256 if one else 352)
        self.rows = struct.unpack_from(f"{self.order}12{kind}", data, 280 if one else 400)

    def _one(self, kind: str, at: int) -> Any:
        return lambda data: struct.unpack_from(self.order + kind, data, at)[0]

    def layout(self) -> Layout:
        count = self.dim[0]
        sizes = [int(size) for size in self.dim[1 : count + 1]]
        if not 1 <= count <= 7 or any(size != 1 for size in sizes[5:]) or min(sizes) < 0:
            raise ValueError(f"axes of {sizes} samples")
        x, y, z, t, c = [*sizes, 1, 1, 1, 1][:5]
        shape: tuple[int, ...] = (z, y, x)
        axes = "zyx"
        if count > 3 and (t > 1 or count == 4):
            shape, axes = (t, *shape), "t" + axes
        if self.datatype in _COLOURS:
            c = _COLOURS[self.datatype]
        if c > 1:
            shape, axes = (*shape, c), axes + "c"
        kind = _TYPES[self.datatype]
        return Layout(("|" if kind[1] == "1" else self.order) + kind, shape, axes, *self._place())

    def _place(self) -> tuple[Any, Any, Any]:
        """Spacing, origin and direction: by the matrix, else the quaternion, else the steps."""
        steps = [abs(step) or 1.0 for step in self.pixdim[1:4]]
        matrix = np.diag(steps)
        offset = [0.0, 0.0, 0.0]
        if self.codes[1] > 0:
            whole = np.array(self.rows, np.float64).reshape(3, 4)
            matrix, offset = whole[:, :3], whole[:, 3].tolist()
        elif self.codes[0] > 0:
            matrix = _rotation(*self.quaternion[:3]) * steps
            if self.pixdim[0] < 0:
                matrix[:, 2] *= -1
            offset = list(self.quaternion[3:])
        turn = np.array([-1.0, -1.0, 1.0])
        spacing, direction = framed((matrix * turn[:, None]).tolist())
        origin = three((turn * offset + 0.0).tolist())
        return spacing, origin, direction


def _rotation(b: float, c: float, d: float) -> Array:
    a = max(1.0 - (b * b + c * c + d * d), 0.0) ** 0.5
    return np.array(
        [
            [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
            [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
            [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - b * b - c * c],
        ]
    )


def read(data: bytes, name: str, note: Note = silent) -> Volume:
    """The volume in `data`; InputError when it is damaged or of a kind that pcc does not read."""
    try:
        packed = data.startswith(_GZIP)
        head = _Head(inflated(data, "zlib", 540) if packed else data)
        layout = head.layout()
        start = max(head.start, head.size)
        size = start + layout.size_bytes
        if size > 1100 * len(data):  # deflate makes 1032 bytes of one at most
            raise ValueError(f"no {layout.shape} samples in {len(data):,} bytes")
        whole = inflated(data, "zlib", size) if packed else data[:size]
        source: dict[str, Any] = {"format": "nifti", "header": whole[:start]}
        slope, shift = head.scale
        if slope not in (0.0, 1.0) or (slope and shift):
            note(f"samples are kept as stored, their scale {slope:g} and offset {shift:g} beside")
            source["scale"] = [float(slope), float(shift)]
        return _volume(head, layout, whole[start:], source)
    except StopIteration:
        raise InputError(f"{name}: not a NIfTI file") from None
    except (*DAMAGE, struct.error) as error:
        why = str(error)[:120]
        raise InputError(f"{name}: damaged or unsupported NIfTI file: {why}") from None


def _volume(head: _Head, layout: Layout, raw: bytes, source: dict[str, Any]) -> Volume:
    """Components are the slowest axis of the file, unless they are colours."""
    if layout.axes[-1] != "c" or head.datatype in _COLOURS:
        return layout.volume(raw, source)
    slow = replace(layout, shape=(layout.shape[-1], *layout.shape[:-1]), axes="tzyx"[-4:])
    if len(layout.shape) == 5:
        slow = replace(slow, axes="tzyxc")
    values = slow.volume(raw, {}).values
    return layout.placed(np.moveaxis(values, 0, -1), source)


def write(volume: Volume, suffix: str = ".nii", note: Note = silent) -> bytes:
    """The bytes of a .nii or .nii.gz file, with the header of the source where that fits."""
    own = volume.source.get("format") == "nifti"
    head: bytes = volume.source.get("header", b"") if own else b""
    volume = widened(volume, _TYPES.values(), suffix, note)
    layout = Layout.of(volume)
    if not head or _Head(head).layout() != layout:
        head = _new_header(layout)
    values = volume.values
    if layout.axes[-1] == "c" and _Head(head).datatype not in _COLOURS:
        values = np.moveaxis(values, -1, 0)
    data = head + np.ascontiguousarray(values).astype(layout.type, copy=False).tobytes()
    return gzip.compress(data, 6, mtime=0) if suffix == ".nii.gz" else data


def plain(volume: Volume, note: Note) -> Volume:
    """The volume as other formats see it, which have no place for a scale of the samples."""
    if "scale" in volume.source:
        slope, shift = volume.source["scale"]
        note(f"samples are as stored: their scale {slope:g} and offset {shift:g} are not applied")
    return volume


def _new_header(layout: Layout) -> bytes:
    order = ">" if layout.type[0] == ">" else "<"
    x, y, z = layout.sides
    axes = 5 if layout.axes[-1] == "c" else 4 if layout.axes[0] == "t" else 3
    dim = [axes, x, y, z, layout.steps, layout.components, 1, 1]
    if max(dim) > 32767:
        raise InputError("NIfTI-1 files have at most 32767 samples along an axis")
    codes = {kind: code for code, kind in _TYPES.items() if code not in _COLOURS}
    kind = layout.type[1:]
    turn = np.array([-1.0, -1.0, 1.0])
    matrix = np.array(steps_of(layout)) * turn[:, None]
    rows = np.concatenate([matrix, (turn * layout.origin)[:, None]], axis=1)
    head = bytearray(352)
    struct.pack_into(order + "i", head, 0, 348)
    struct.pack_into(order + "8h", head, 40, *dim)
    struct.pack_into(order + "2h", head, 70, codes[kind], 8 * int(kind[1]))
    struct.pack_into(order + "8f", head, 76, 1.0, *layout.spacing, *[1.0] * 4)
    struct.pack_into(order + "3f", head, 108, 352.0, 1.0, 0.0)
    struct.pack_into(order + "2h", head, 252, 0, 2)
    struct.pack_into(order + "12f", head, 280, *rows.ravel())
    head[344:348] = b"n+1\0"
    return bytes(head)
