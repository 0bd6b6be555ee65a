"""Volumes made here, and files of every format that holds them: FILES, name -> bytes."""

from __future__ import annotations

import gzip
import io
import struct
import zlib
from collections.abc import Callable

import numpy as np

from pcc_cli.geometry import Volume


def blobs(shape: tuple[int, int, int] = (20, 24, 28), dtype: str = "float32") -> np.ndarray:
    """A few soft balls on a slope, with a sharp edge, between 0 and 250."""
    z, y, x = np.meshgrid(*(np.linspace(0, 1, n) for n in shape), indexing="ij")
    field = 60 * x + 20 * y * z
    rng = np.random.default_rng(5)
    for cz, cy, cx, size in rng.random((5, 4)):
        square = (z - cz) ** 2 + (y - cy) ** 2 + (x - cx) ** 2
        field += 110 * np.exp(-square / (0.01 + 0.04 * size))
    field[(z - 0.5) ** 2 + (y - 0.4) ** 2 < 0.03] += 25
    return (field * 250 / field.max()).astype(dtype)


def small(dtype: str = "<i2") -> np.ndarray:
    """(3, 4, 5) numbers that differ."""
    return (np.arange(60).reshape(3, 4, 5) * 3 - 40).astype(dtype)


def npy(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def npz(**arrays: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.savez_compressed(stream, **arrays)
    return stream.getvalue()


def nrrd(encoding: str = "raw", extra: str = "", array: np.ndarray | None = None) -> bytes:
    array = small(">i2") if array is None else array
    raw = array.tobytes()
    body = {
        "raw": raw,
        "gzip": gzip.compress(raw, mtime=0),
        "ascii": " ".join(map(str, array.ravel().tolist())).encode(),
    }[encoding]
    sizes = " ".join(map(str, reversed(array.shape)))
    head = (
        f"NRRD0004\n# made by hand\ntype: short\ndimension: {array.ndim}\n{extra}sizes: {sizes}\n"
        f"endian: big\nencoding: {encoding}\nhospital:=none\n\n"
    )
    return head.encode() + body


TURNED = "space: right-anterior-superior\nspace directions: (0,2,0) (3,0,0) (0,0,4)\n"
TURNED += "space origin: (10,20,30)\n"


def nifti(order: str = "<", dim: tuple[int, ...] = (3, 5, 4, 3), kind: int = 4) -> bytes:
    values = np.arange(np.prod(dim[1:]))
    head = bytearray(348)
    struct.pack_into(order + "i", head, 0, 348)
    struct.pack_into(order + "8h", head, 40, *dim, *[1] * (8 - len(dim)))
    struct.pack_into(order + "2h", head, 70, kind, {2: 8, 4: 16, 16: 32}[kind])
    struct.pack_into(order + "8f", head, 76, -1, 2, 3, 4, 1, 0, 0, 0)
    struct.pack_into(order + "3f", head, 108, 352, 2.0, 5.0)
    struct.pack_into(order + "2h", head, 252, 1, 0)
    struct.pack_into(order + "6f", head, 256, 0, 0, 0.6, 7, 8, 9)
    head[344:348] = b"n+1\0"
    return (
        bytes(head)
        + b"\0" * 4
        + values.astype(order + {2: "u1", 4: "i2", 16: "f4"}[kind]).tobytes()
    )


def metaimage(compressed: bool = False, place: str = "LOCAL") -> bytes:
    raw = small("<u2").tobytes()
    body = zlib.compress(raw) if compressed else raw
    head = (
        "ObjectType = Image\nNDims = 3\nBinaryData = True\nBinaryDataByteOrderMSB = False\n"
        f"CompressedData = {compressed}\nCompressedDataSize = {len(body)}\n"
        "TransformMatrix = 0 1 0 1 0 0 0 0 1\nOffset = 1 2 3\nElementSpacing = 0.5 0.25 2\n"
        f"DimSize = 5 4 3\nElementType = MET_USHORT\nModality = CT\nElementDataFile = {place}\n"
    )
    return head.encode() + (body if place == "LOCAL" else b"")


def vti(form: str = "appended", packed: bool = False, cells: bool = False) -> bytes:
    values = small("<i2")
    raw = values.tobytes()
    if packed:
        half = len(raw) // 2
        parts = [zlib.compress(raw[:half]), zlib.compress(raw[half:])]
        lengths = np.array([2, half, 0, *map(len, parts)], "<u4").tobytes()
        blob = lengths + b"".join(parts)
        import base64

        text = base64.b64encode(lengths) + base64.b64encode(b"".join(parts))
    else:
        import base64

        blob = np.array([len(raw)], "<u4").tobytes() + raw
        text = base64.b64encode(blob)
    inside = {
        "appended": b"",
        "binary": text,
        "ascii": " ".join(map(str, values.ravel().tolist())).encode(),
    }[form]
    offset = b' offset="0"' if form == "appended" else b""
    ends = b"2 7 0 4 0 3" if cells else b"2 6 0 3 0 2"
    group = b"CellData" if cells else b"PointData"
    compressor = b' compressor="vtkZLibDataCompressor"' if packed else b""
    tail = (
        b'<AppendedData encoding="raw">_' + blob + b"</AppendedData>" if form == "appended" else b""
    )
    return (
        b'<VTKFile type="ImageData" version="0.1" byte_order="LittleEndian"' + compressor + b">"
        b'<ImageData WholeExtent="' + ends + b'" Origin="1 2 3" Spacing="0.5 1 2">'
        b'<Piece Extent="' + ends + b'"><' + group + b' Scalars="b">'
        b'<DataArray type="Float32" Name="a" format="ascii">0</DataArray>'
        b'<DataArray type="Int16" Name="b" format="'
        + form.encode()
        + b'"'
        + offset
        + b">"
        + inside
        + b"</DataArray></"
        + group
        + b"></Piece></ImageData>"
        + tail
        + b"</VTKFile>"
    )


def vtk(coding: str = "BINARY") -> bytes:
    values = small(">f4")
    body = (
        values.tobytes()
        if coding == "BINARY"
        else b" ".join(b"%r" % v for v in values.ravel().tolist())
    )
    head = (
        f"# vtk DataFile Version 2.0\na title\n{coding}\nDATASET STRUCTURED_POINTS\n"
        "DIMENSIONS 5 4 3\nORIGIN 1 2 3\nSPACING 0.5 1 2\nPOINT_DATA 60\n"
        "SCALARS density float 1\nLOOKUP_TABLE default\n"
    )
    return head.encode() + body + b"\n"


def avs(kind: str = "byte") -> bytes:
    values = small("u1" if kind == "byte" else ">f4")
    places = np.array([1, 3, 0, 3, 5, 9], "<f4" if kind == "byte" else ">f4").tobytes()
    head = (
        "# AVS field file\nndim = 3\ndim1 = 5\ndim2 = 4\ndim3 = 3\nnspace = 3\nveclen = 1\n"
        f"data = {kind}\nfield = uniform\n"
    )
    return head.encode() + b"\x0c\x0c" + values.tobytes() + places


FILES: dict[str, Callable[[], bytes]] = {
    "plain.npy": lambda: npy(small("<i2")),
    "big.npy": lambda: npy(small(">f8")),
    "fortran.npy": lambda: npy(np.asfortranarray(small("<f4"))),
    "bools.npy": lambda: npy(small() > 0),
    "halves.npy": lambda: npy(small("<f2")),
    "colours.npy": lambda: npy(np.arange(180, dtype=np.uint8).reshape(3, 4, 5, 3)),
    "times.npy": lambda: npy(np.arange(360, dtype=np.uint8).reshape(6, 3, 4, 5)),
    "both.npy": lambda: npy(np.arange(720, dtype=np.uint16).reshape(2, 3, 4, 5, 6)),
    "thin.npy": lambda: npy(np.arange(9, dtype=np.int8).reshape(1, 9, 1)),
    "one.npz": lambda: npz(volume=small()),
    "placed.npz": lambda: npz(v=small(), spacing=np.array([1.0, 2, 3]), note=np.arange(4)),
    "big.nrrd": nrrd,
    "packed.nrrd": lambda: nrrd("gzip"),
    "text.nrrd": lambda: nrrd("ascii"),
    "turned.nrrd": lambda: nrrd(extra=TURNED),
    "vectors.nrrd": lambda: nrrd(
        extra="kinds: vector domain domain domain\n", array=small(">i2").reshape(3, 4, 1, 5)
    ),
    "little.nii": nifti,
    "big.nii": lambda: nifti(">"),
    "packed.nii.gz": lambda: gzip.compress(nifti(kind=16), mtime=0),
    "times.nii": lambda: nifti(dim=(4, 5, 4, 3, 2)),
    "vectors.nii": lambda: nifti(dim=(5, 5, 4, 3, 1, 3)),
    "local.mha": metaimage,
    "packed.mha": lambda: metaimage(compressed=True),
    "appended.vti": vti,
    "packed.vti": lambda: vti(packed=True),
    "inline.vti": lambda: vti("binary"),
    "inline packed.vti": lambda: vti("binary", packed=True),
    "text.vti": lambda: vti("ascii"),
    "cells.vti": lambda: vti(cells=True),
    "binary.vtk": vtk,
    "text.vtk": lambda: vtk("ASCII"),
    "bytes.fld": avs,
    "floats.fld": lambda: avs("xdr_float"),
    "samples_5x4x3_int16.raw": lambda: small("<i2").tobytes(),
}


def same(one: Volume, other: Volume) -> bool:
    """Equal values, bit for bit, at the same places."""
    place = one.axes, one.spacing, one.origin, one.direction
    return (
        place == (other.axes, other.spacing, other.origin, other.direction)
        and one.values.dtype == other.values.dtype
        and one.values.tobytes() == other.values.tobytes()
    )
