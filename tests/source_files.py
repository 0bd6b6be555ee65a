"""A small file of every format that pcc reads, made here: FILES, name -> how to make its bytes."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from typing import Any

import numpy as np

LAS_FORMATS = range(11)
LAZ_FORMATS = range(9)
WKT = 'PROJCS["Testland / zone 1",GEOGCS["Testland"],UNIT["metre",1]]'
GEO_KEYS = np.array([1, 1, 0, 2, 1024, 0, 1, 1, 3072, 0, 1, 26917], "<u2").tobytes()


def random() -> np.random.Generator:
    return np.random.default_rng(7)


def las(
    number: int, compressed: bool = False, count: int = 60, extra: bool = True, **header_fields: Any
) -> bytes:
    """LAS of one point format: all fields random, extra bytes, records on both sides of the points.

    The coordinates are those of UTM, with millimetres, three of them the same.
    """
    import laspy

    rng = random()
    header = laspy.LasHeader(point_format=number, version="1.4" if number > 5 else "1.3")
    header.scales, header.offsets = [0.001, 0.001, 0.0025], [400000.0, 5000000.0, -100.0]
    header.system_identifier = "a scanner"
    for name, value in header_fields.items():
        setattr(header, name, value)
    if extra:
        kinds = laspy.ExtraBytesParams
        header.add_extra_dim(kinds("height", "i2", scales=[0.01], offsets=[5.0]))
        header.add_extra_dim(kinds("direction", "3f4"))
        header.add_extra_dim(kinds("tree", "u8"))
    header.vlrs.append(laspy.VLR("LASF_Projection", 34735, "GeoTIFF", GEO_KEYS))
    header.vlrs.append(laspy.VLR("pcc", 7, "bytes of somebody", bytes(range(256)) * 3))
    file = laspy.LasData(header)
    if number > 5:
        file.evlrs = laspy.vlrs.vlrlist.VLRList()
        file.evlrs.append(laspy.VLR("LASF_Projection", 2112, "WKT", WKT.encode() + b"\0"))
    points = laspy.PackedPointRecord(
        np.zeros(count, header.point_format.dtype()), header.point_format
    )
    raw = rng.integers(0, 256, (count, points.array.dtype.itemsize), dtype=np.uint8)
    points.array[:] = raw.view(points.array.dtype).reshape(-1)
    for name in points.array.dtype.names:
        if points.array[name].dtype.kind == "f":
            points.array[name] = rng.normal(size=points.array[name].shape)
    for axis in "XYZ":
        points.array[axis] = rng.integers(-(1 << 20), 1 << 20, count)
    points.array[3:6] = points.array[:3]
    file.points = laspy.ScaleAwarePointRecord(
        points.array, header.point_format, header.scales, header.offsets
    )
    stream = io.BytesIO()
    file.write(stream, do_compress=compressed)
    return stream.getvalue()


def las_with_waveforms() -> bytes:
    """LAS 1.3 whose waveform packets follow the points."""
    data = bytearray(las(4))
    packets = struct.pack("<H16sHQ32s", 0, b"LASF_Spec", 65535, 500, b"waveforms") + bytes(500)
    struct.pack_into("<H", data, 6, struct.unpack_from("<H", data, 6)[0] | 2)
    struct.pack_into("<Q", data, 227, len(data))
    return bytes(data) + packets


def pcd(encoding: str, organised: bool = True) -> bytes:
    """PCD with holes, packed colours, padding, fields of several numbers, and a view point."""
    from pcc_cli.formats import lzf

    rng = random()
    kind = np.dtype(
        [("xyz", "<f4", 3), ("_", "u1", 5), ("rgb", "<f4"), ("normal", "<f8", 2), ("label", "<i2")]
    )
    rows = np.zeros(24, kind)
    rows["xyz"] = np.rint(rng.normal(size=(24, 3)) * 1000) / np.float32(1000)
    rows["xyz"][[4, 9, 23]] = np.nan
    rows["xyz"][10, 1] = np.inf
    rows["rgb"] = rng.integers(0, 1 << 24, 24, dtype=np.uint32).view(np.float32)
    rows["normal"] = rng.normal(size=(24, 2))
    rows["label"] = rng.integers(-30000, 30000, 24)
    width, height = (6, 4) if organised else (24, 1)
    head = (
        "# .PCD v0.7 - Point Cloud Data file format\nVERSION 0.7\n"
        "FIELDS x y z _ rgb normal label\nSIZE 4 4 4 1 4 8 2\n"
        f"TYPE F F F U F F I\nCOUNT 1 1 1 5 1 2 1\nWIDTH {width}\nHEIGHT {height}\n"
        f"VIEWPOINT 1 2 3 0.5 0.5 0.5 0.5\nPOINTS 24\nDATA {encoding}\n"
    ).encode()
    if encoding == "binary":
        return head + rows.tobytes()
    if encoding == "binary_compressed":
        names = ("_", "rgb", "normal", "label")
        plain = rows["xyz"].T.tobytes() + b"".join(rows[name].tobytes() for name in names)
        packed = lzf.compress(plain)
        return head + struct.pack("<II", len(packed), len(plain)) + packed
    lines = (" ".join(str(v) for part in row for v in np.atleast_1d(part)) for row in rows)
    return head + "\n".join(lines).encode() + b"\n"


def table(mark: str, head: str = "", width: int = 6) -> bytes:
    """Text: metres with three decimals, and whole numbers behind them."""
    rng = random()
    metres = np.rint(rng.normal(size=(20, 3)) * 1e6) / 1000
    whole = rng.integers(0, 256, (20, width - 3))
    lines = (
        mark.join([*(f"{v:.3f}" for v in row), *map(str, rest)])
        for row, rest in zip(metres, whole, strict=True)
    )
    return (head + "\n".join(lines) + "\n").encode()


def scan(width: int) -> bytes:
    """Rows of float32: metres, an intensity below 1, and a ring."""
    rng = random()
    rows = np.rint(rng.uniform(-80, 80, (60, width)) * 1000).astype(np.float32) / np.float32(1000)
    rows[:, 3] = rng.random(60)
    rows[:, 4:] = rng.integers(0, 32, (60, width - 4))
    return rows.astype("<f4").tobytes()


def npy(kind: Any, shape: tuple[int, ...] = (30,)) -> bytes:
    """An array of any type, random bits in it but for floats, which are multiples of 1/8."""
    rng = random()
    array = np.zeros(shape, kind)
    for name in array.dtype.names or [()]:
        part = array[name]
        if part.dtype.kind == "f":
            array[name] = np.rint(rng.normal(size=part.shape) * 100) / 8
        else:
            array[name] = (
                rng.integers(0, 2, part.shape).astype(bool)
                if part.dtype == bool
                else (rng.integers(0, 100, part.shape))
            )
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def npz() -> bytes:
    """Points, columns with and without components, and arrays that are no columns."""
    rng = random()
    stream = io.BytesIO()
    np.savez_compressed(
        stream,
        colors=rng.integers(0, 256, (30, 3), dtype=np.uint8),
        points=np.rint(rng.normal(size=(30, 3)) * 1e6) / 1e4,
        valid=rng.integers(0, 2, 30).astype(bool),
        pose=np.eye(4),
        scale=np.array(3.5),
    )
    return stream.getvalue()


def e57(scans: int = 2, spherical: bool = False) -> bytes:
    """E57: scans with poses, scaled and other fields, groups of points, and an image."""
    import tempfile
    from pathlib import Path

    from pcc_cli.formats import e57tree

    limit = float(np.finfo(np.float64).max)
    axes = ("sphericalRange", "sphericalAzimuth", "sphericalElevation")
    scaled = ["scaled", 0, -(1 << 20), 1 << 20, 0.001, 10.0]
    angle = ["float", 0.0, 8, -limit, limit]
    fields = [
        [axis, angle if spherical else scaled] for axis in (axes if spherical else e57tree.AXES)
    ]
    fields += [
        ["intensity", ["scaled", 0, 0, 2047, 1 / 2047, 0.0]],
        ["colorRed", ["integer", 0, 0, 255]],
        ["colorGreen", ["integer", 0, 0, 255]],
        ["colorBlue", ["integer", 0, 0, 255]],
        ["timeStamp", ["float", 0.0, 8, -limit, limit]],
        ["cartesianInvalidState", ["integer", 0, 0, 0]],
    ]
    groups = ["structure", [["pointCount", ["integer", 0, 0, 100]]]]
    none = ["vector", True, []]
    tree = e57tree.Tree(extensions=[["", "http://www.astm.org/COMMIT/E57/2010-e57-v1.0"]])
    found = []
    for number in range(scans):
        rng = np.random.default_rng(number)
        tree.tables += [
            {"pointCount": rng.integers(0, 100, 5).astype("q")},
            {name: _column(node, 30, rng) for name, node in fields},
        ]
        lines = [["groups", ["table", 2 * number, groups, none]]]
        turn = zip("wxyz", (0.5, 0.5, 0.5, 0.5), strict=True)
        move = zip("xyz", (1.0 + number, 2.0, 3.0), strict=True)
        pose = [
            ["rotation", ["structure", [[n, ["float", v, 8, -limit, limit]] for n, v in turn]]],
            ["translation", ["structure", [[n, ["float", v, 8, -limit, limit]] for n, v in move]]],
        ]
        parts = [
            ["guid", ["string", f"{{scan {number}}}"]],
            ["pose", ["structure", pose]],
            ["pointGroupingSchemes", ["structure", [["groupingByLine", ["structure", lines]]]]],
            ["points", ["table", 2 * number + 1, ["structure", fields], none]],
        ]
        found.append(["structure", parts])
    tree.blobs.append(bytes(range(256)) * 5)
    tree.root = [
        "structure",
        [
            ["formatName", ["string", "ASTM E57 3D Imaging Data File"]],
            ["guid", ["string", "{a file}"]],
            ["versionMajor", ["integer", 1, 0, 10]],
            ["versionMinor", ["integer", 0, 0, 10]],
            ["coordinateMetadata", ["string", WKT]],
            ["data3D", ["vector", True, found]],
            ["images2D", ["vector", True, [["structure", [["jpegImage", ["blob", 0, 1280]]]]]]],
        ],
    ]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "made.e57"
        e57tree.save(tree, str(path))
        return path.read_bytes()


def _column(node: Any, rows: int, rng: np.random.Generator) -> np.ndarray:
    if node[0] == "float":
        return rng.uniform(0, 1, rows)
    low, high = max(node[2], -(1 << 15)), min(node[3], 1 << 15)
    return rng.integers(low, high, rows, endpoint=True).astype("q")


STRUCTURED = [("y", ">f8"), ("x", ">f8"), ("z", ">f8"), ("ok", "?"), ("rgb", "u1", (3,))]

FILES: dict[str, Callable[[], bytes]] = {
    **{f"format{n}.las": lambda n=n: las(n) for n in LAS_FORMATS},  # type: ignore[misc]
    **{f"format{n}.laz": lambda n=n: las(n, True) for n in LAZ_FORMATS},  # type: ignore[misc]
    "waveforms.las": las_with_waveforms,
    "bare.las": lambda: las(0, extra=False, count=1),
    "none.las": lambda: las(6, count=0),
    "ascii.pcd": lambda: pcd("ascii"),
    "binary.pcd": lambda: pcd("binary"),
    "compressed.pcd": lambda: pcd("binary_compressed"),
    "line.pcd": lambda: pcd("binary", organised=False),
    "blanks.xyz": lambda: table(" "),
    "comments.xyz": lambda: table(" ", "# by a test\n//X Y Z R G B\n"),
    "tabs.txt": lambda: table("\t", "# by a test\n"),
    "names.csv": lambda: table(",", "X,Y,Z,Red,Green,Blue\n"),
    "semicolons.csv": lambda: table(";"),
    "count.pts": lambda: table(" ", "20\n", width=7),
    "four.bin": lambda: scan(4),
    "five.bin": lambda: scan(5),
    "plain.npy": lambda: npy("<f4", (30, 5)),
    "integers.npy": lambda: npy("<u2", (30, 3)),
    "structured.npy": lambda: npy(STRUCTURED),
    "aligned.npy": lambda: npy(
        np.dtype([(n, "f4") for n in "xyz"] + [("k", "u1"), ("t", "f8")], align=True)
    ),
    "several.npz": npz,
    "two.e57": e57,
    "one.e57": lambda: e57(1),
    "sphere.e57": lambda: e57(1, spherical=True),
}
