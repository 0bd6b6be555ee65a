"""PLY: any encoding, type and order comes back as it was; what would be lost is refused."""

from __future__ import annotations

import io
import struct
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from plyfile import PlyData

from pcc_cli import formats
from pcc_cli.errors import InputError, OutputError
from pcc_cli.formats import ply
from pcc_cli.geometry import Mesh, PointCloud

RANDOM = np.random.default_rng(3)
ORDERS = {"ascii": "", "binary_little_endian": "<", "binary_big_endian": ">"}
TYPES = {
    **{"char": "i1", "uchar": "u1", "short": "i2", "ushort": "u2", "int": "i4", "uint": "u4"},
    **{"float": "f4", "double": "f8", "int8": "i1", "uint8": "u1", "int16": "i2"},
    **{"uint16": "u2", "int32": "i4", "uint32": "u4", "float32": "f4", "float64": "f8"},
}
XYZ = [f"property float {axis}" for axis in "xyz"]
FACES = [[0, 1, 2], [2, 1, 3], [3, 0, 2]]
MIXED = [[0, 1, 2], [2, 1, 3, 0], [3, 0, 2], [0, 1, 2, 3, 1], []]


def header(encoding: str, *lines: str, newline: str = "\n") -> bytes:
    return newline.join(["ply", f"format {encoding} 1.0", *lines, "end_header", ""]).encode()


def vertices(count: int, types: dict[str, str]) -> tuple[list[str], dict[str, np.ndarray]]:
    """Header lines and random columns, the ends of each type among them."""
    lines, columns = [f"element vertex {count}"], {}
    for name, kind in types.items():
        column = np.zeros(count, TYPES[kind])
        if column.dtype.kind == "f":
            column[:] = RANDOM.normal(size=count)
        else:
            limits = np.iinfo(column.dtype)
            column[:] = RANDOM.integers(limits.min, limits.max, count, endpoint=True)
            column[:2] = limits.min, limits.max
        lines.append(f"property {kind} {name}")
        columns[name] = column
    return lines, columns


def body(columns: dict[str, np.ndarray], order: str) -> bytes:
    if not order:
        rows = zip(*(column.tolist() for column in columns.values()), strict=True)
        return "".join(" ".join(map(repr, row)) + "\n" for row in rows).encode()
    fields = [(name, column.dtype.newbyteorder(order)) for name, column in columns.items()]
    records = np.empty(len(next(iter(columns.values()))), fields)
    for name, column in columns.items():
        records[name] = column
    return records.tobytes()


def lists(faces: list[list[int]], order: str) -> bytes:
    """uchar counts and int indices."""
    if not order:
        return "".join(f"{len(face)} {' '.join(map(str, face))}\n" for face in faces).encode()
    return b"".join(struct.pack(f"{order}B{len(face)}i", len(face), *face) for face in faces)


def cloud_file(encoding: str, count: int = 40) -> tuple[bytes, dict[str, np.ndarray]]:
    """Coordinates not first, a comment in each place, every type under some name."""
    named = {f"{kind}_{i}": kind for i, kind in enumerate(TYPES)}
    lines, columns = vertices(count, named | {"z": "float", "x": "float", "y": "float"})
    lines[1:1] = ["comment between", "obj_info of  a   scanner"]
    lines = ["comment made by a test", *lines, "comment last"]
    return header(encoding, *lines) + body(columns, ORDERS[encoding]), columns


def mesh_file(encoding: str, faces: list[list[int]] = FACES) -> bytes:
    lines, columns = vertices(4, {"x": "float", "y": "float", "z": "float", "red": "uchar"})
    lines += [f"element face {len(faces)}", "property list uchar int vertex_index"]
    order = ORDERS[encoding]
    return header(encoding, *lines) + body(columns, order) + lists(faces, order)


@pytest.mark.parametrize("encoding", ORDERS)
def test_cloud_round_trip(encoding: str) -> None:
    data, columns = cloud_file(encoding)
    cloud = formats.read(data, "scan.ply")
    assert isinstance(cloud, PointCloud)
    for axis, name in enumerate("xyz"):
        assert cloud.points[:, axis].tobytes() == columns.pop(name).tobytes()
    assert list(cloud.attributes) == list(columns)
    for name, column in columns.items():
        assert cloud.attributes[name].dtype == column.dtype
        assert cloud.attributes[name].tobytes() == column.tobytes()
    again = formats.write(".PLY", cloud)
    if encoding != "ascii":
        assert again == data
    assert again[: again.index(b"end_header")] == data[: data.index(b"end_header")]
    assert ply.write(ply.read(again, "again")) == again


@pytest.mark.parametrize("faces", [FACES, MIXED, [[1, 2, 3]], [[]]])
@pytest.mark.parametrize("encoding", ORDERS)
def test_mesh_round_trip(encoding: str, faces: list[list[int]]) -> None:
    data = mesh_file(encoding, faces)
    mesh = formats.read(data, "bunny.ply")
    assert isinstance(mesh, Mesh)
    assert mesh.face_sizes.tolist() == [len(face) for face in faces]
    assert mesh.face_indices.tolist() == [corner for face in faces for corner in face]
    again = ply.write(mesh)
    if encoding != "ascii":
        assert again == data
    assert ply.write(ply.read(again, "again")) == again


@pytest.mark.parametrize("encoding", ORDERS)
def test_another_program_reads_what_we_write(encoding: str) -> None:
    faces = [face for face in MIXED if face]  # plyfile warns of empty ones
    mesh = ply.read(mesh_file(encoding, faces), "in")
    parsed = PlyData.read(io.BytesIO(ply.write(mesh)))
    assert [face.tolist() for face in parsed["face"]["vertex_index"]] == faces
    assert parsed["vertex"]["x"].tolist() == mesh.points[:, 0].tolist()
    assert parsed["vertex"]["red"].tolist() == mesh.attributes["red"].tolist()


@pytest.mark.parametrize("encoding", ORDERS)
@pytest.mark.parametrize("count_type", ["uchar", "ushort", "int", "char"])
def test_faces_with_properties_around_the_list(encoding: str, count_type: str) -> None:
    order, code = ORDERS[encoding], np.dtype(TYPES[count_type]).char
    lines, columns = vertices(4, {"x": "double", "y": "double", "z": "double"})
    lines += [f"element face {len(MIXED)}", "property float weight"]
    lines += [f"property list {count_type} ushort vertex_indices", "property short group"]
    rows = [(0.5 + i, face, i - 2) for i, face in enumerate(MIXED)]
    if order:
        faces = b"".join(
            struct.pack(f"{order}f{code}{len(face)}Hh", weight, len(face), *face, group)
            for weight, face, group in rows
        )
    else:
        text = (f"{w} {' '.join(map(str, [len(face), *face]))} {g}\n" for w, face, g in rows)
        faces = "".join(text).encode()
    data = header(encoding, *lines) + body(columns, order) + faces
    mesh = ply.read(data, "in")
    assert isinstance(mesh, Mesh)
    assert mesh.face_attributes["weight"].tolist() == [0.5, 1.5, 2.5, 3.5, 4.5]
    assert mesh.face_attributes["group"].tolist() == [-2, -1, 0, 1, 2]
    assert mesh.face_indices.tolist() == [corner for face in MIXED for corner in face]
    again = ply.write(mesh)
    assert again == data or not order
    assert ply.write(ply.read(again, "again")) == again


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ORDERS)
def test_line_ends(encoding: str, newline: str) -> None:
    lines, columns = vertices(3, {"x": "float", "y": "float", "z": "float"})
    rows = body(columns, ORDERS[encoding])
    if encoding == "ascii":
        rows = rows.replace(b"\n", newline.encode())
    cloud = ply.read(header(encoding, *lines, newline=newline) + rows, "in")
    assert cloud.points.tobytes() == np.stack(list(columns.values()), axis=1).tobytes()


def test_comments_in_any_charset() -> None:
    lines, columns = vertices(2, {"x": "float", "y": "float", "z": "float"})
    rows = body(columns, "<")
    for comment in ("comment Fluß \u8def", "comment Flu\udcdf", "comment end_header"):
        text = header("binary_little_endian", "@", *lines)
        data = text.replace(b"@", comment.encode("utf-8", "surrogateescape")) + rows
        assert ply.write(ply.read(data, "in")) == data


def test_text_keeps_special_floats() -> None:
    values = np.array([[np.nan, np.inf, -np.inf], [-0.0, 1e-45, 3.4e38]], np.float32)
    source = {"format": "ply", "header": ["format ascii 1.0", "element vertex 0", *XYZ]}
    cloud = PointCloud(np.zeros((2, 3)), {f"a{i}": values[:, i] for i in range(3)}, source)
    data = ply.write(cloud)
    assert data.endswith(b"0 0 0 nan inf -inf\n0 0 0 -0.0 1e-45 3.4e+38\n")
    back = ply.read(data, "in")
    for name, column in cloud.attributes.items():
        np.testing.assert_array_equal(back.attributes[name], column)
        assert (np.signbit(back.attributes[name]) == np.signbit(column)).all()


def test_text_is_free_in_its_spacing() -> None:
    data = header("ascii", "element vertex 2", *(f"property {t}" for t in ("int x", "int y")))
    data = data.replace(b"end_header", b"property int z\nend_header")
    assert ply.read(data + b"\n  1 2\t3\n\n4.0 5e0 +6", "in").points.tolist() == [
        [1, 2, 3],
        [4, 5, 6],
    ]


def test_coordinates_of_different_types() -> None:
    lines, columns = vertices(5, {"x": "double", "y": "float", "z": "int"})
    data = header("binary_little_endian", *lines) + body(columns, "<")
    cloud = ply.read(data, "in")
    assert cloud.points.dtype == np.float64
    assert ply.write(cloud) == data


@pytest.mark.parametrize("encoding", ORDERS)
def test_empty_clouds_and_elements(encoding: str) -> None:
    lines, _ = vertices(0, {})
    lines += [*XYZ, "element face 0", "property list uchar int vertex_indices"]
    lines += ["element camera 0", "property list uchar float view"]
    data = header(encoding, *lines)
    cloud = ply.read(data, "in")
    assert isinstance(cloud, PointCloud) and len(cloud) == 0
    assert ply.write(cloud) == data


def test_dropped_and_added_attributes() -> None:
    data, _ = cloud_file("binary_big_endian")
    cloud = ply.read(data, "in")
    assert isinstance(cloud, PointCloud)
    kept = {name: cloud.attributes[name] for name in ("float_6", "uchar_1")}
    smaller = replace(cloud, attributes=kept | {"new": np.arange(40, dtype=np.uint16)})
    back = ply.read(ply.write(smaller), "out")
    assert list(back.attributes) == ["uchar_1", "float_6", "new"]
    assert back.points.tobytes() == cloud.points.tobytes()
    assert [line for line in back.source["header"] if line.startswith("comment")] == [
        line for line in cloud.source["header"] if line.startswith("comment")
    ]


def test_type_that_became_too_narrow_changes() -> None:
    lines, columns = vertices(3, {"x": "float", "y": "float", "z": "float"})
    cloud = ply.read(header("ascii", *lines) + body(columns, ""), "in")
    finer = PointCloud(cloud.points + 1e-9, {}, cloud.source)
    assert ply.read(ply.write(finer), "out").points.tobytes() == finer.points.tobytes()


def test_shapes_from_other_formats() -> None:
    attributes = {
        "scan angle": np.arange(5, dtype=np.int64) - 2,
        "time": np.arange(5, dtype=np.uint64) + (1 << 40),
        "half": np.linspace(0, 1, 5).astype(np.float16),
        "big": np.full(5, 1 << 31, dtype=np.int64),
    }
    cloud = PointCloud(RANDOM.normal(size=(5, 3)), attributes, {"format": "las"})
    back = ply.read(ply.write(cloud), "out")
    assert back.points.tobytes() == cloud.points.tobytes()
    assert [column.dtype.str[1:] for column in back.attributes.values()] == ["i4", "f8", "f4", "u4"]
    for column, original in zip(back.attributes.values(), attributes.values(), strict=True):
        assert (column == original).all()
    mesh = Mesh(np.zeros((400, 3), np.int8), np.array([300, 3]), np.arange(303))
    again = ply.read(ply.write(mesh), "out")
    assert isinstance(again, Mesh) and again.face_sizes.tolist() == [300, 3]


def test_attributes_that_ply_has_no_type_for_are_left_out() -> None:
    told: list[str] = []
    columns = {"time": np.array([(1 << 60) + 1]), "whole": np.array([1 << 20])}
    cloud = ply.read(ply.write(PointCloud(np.zeros((1, 3)), columns), ".ply", told.append), "a")
    assert list(cloud.attributes) == ["whole"]
    assert told == ["PLY has no type for the values of time"]


@pytest.mark.parametrize(
    "attributes",
    [
        {"a b": np.zeros(1), "a_b": np.zeros(1)},
        {"x": np.zeros(1)},
        {"": np.zeros(1)},
    ],
)
def test_names_that_ply_cannot_hold(attributes: dict[str, Any]) -> None:
    with pytest.raises(OutputError, match="cannot write this as PLY"):
        ply.write(PointCloud(np.zeros((1, 3)), attributes))


@pytest.mark.parametrize(
    "lines",
    [
        "format ascii 1.0",
        [1],
        ["format ascii 1.0\nend_header", "element vertex 1"],
        ["element vertex"],
        ["format ascii 1.0", "element vertex 1", "property list uchar int x"],
        [],
    ],
)
def test_damaged_source_is_no_crash(lines: Any) -> None:
    source = {"format": "ply", "header": lines}
    with pytest.raises(OutputError):
        ply.write(PointCloud(np.zeros((1, 3)), {}, source))


@pytest.mark.parametrize("data", [cloud_file("binary_big_endian", 2)[0], *map(mesh_file, ORDERS)])
def test_every_truncation_is_noticed(data: bytes) -> None:
    end = len(data) if b"binary" in data else len(data.rstrip()) - 1
    for size in range(end):
        with pytest.raises(InputError):
            formats.read(data[:size], "short.ply")


@pytest.mark.parametrize("faces", [FACES, MIXED])
def test_truncated_lists_say_where(faces: list[list[int]]) -> None:
    data = mesh_file("binary_little_endian", faces)
    with pytest.raises(InputError, match=r"bunny\.ply: .*within the element 'face'"):
        ply.read(data[:-1], "bunny.ply")


REFUSED = {
    "no coordinates": (["element vertex 0", *XYZ[:2]], b"", "x, y and z"),
    "no vertices": (["element point 0", *XYZ], b"", "x, y and z"),
    "a list of a vertex": (
        ["element vertex 1", *XYZ, "property list uchar int tags"],
        bytes(13),
        "list property 'tags'",
    ),
    "another element": (
        ["element vertex 0", *XYZ, "element edge 1", "property int vertex1"],
        bytes(4),
        "elements 'edge'",
    ),
    "another list of a face": (
        ["element vertex 0", *XYZ, "element face 1", "property list uchar float texcoord"],
        bytes(1),
        "list property 'texcoord'",
    ),
    "faces without a list": (
        ["element vertex 0", *XYZ, "element face 1", "property int a"],
        bytes(4),
        "one list of vertices",
    ),
    "corners that are no integers": (
        ["element vertex 0", *XYZ, "element face 1", "property list uchar float vertex_index"],
        bytes(1),
        "not made of integers",
    ),
    "a corner out of range": (
        ["element vertex 0", *XYZ, "element face 1", "property list uchar int vertex_index"],
        b"\1" + bytes(4),
        "names vertex 0",
    ),
    "a list of negative length": (
        ["element vertex 0", *XYZ, "element face 1", "property list char int vertex_index"],
        b"\xff",
        "no valid length",
    ),
    "bytes at the end": (["element vertex 1", *XYZ], bytes(13), "1 bytes follow"),
    "too many vertices": ([f"element vertex {10**18}", *XYZ], bytes(99), "truncated"),
    "rows without properties": (["element vertex 0", *XYZ, "element face 2"], b"", "PLY faces"),
    "two properties of a name": (["element vertex 0", *XYZ, XYZ[0]], b"", "not valid"),
    "an unknown type": (["element vertex 0", *XYZ, "property int128 a"], b"", "not valid"),
    "a negative count": (["element vertex -1", *XYZ], b"", "not valid"),
    "a line that is none": (["hello", "element vertex 0", *XYZ], b"", "not valid"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_would_be_lost_is_refused(name: str) -> None:
    lines, rows, message = REFUSED[name]
    with pytest.raises(InputError, match=f"^in: .*{message}"):
        ply.read(header("binary_little_endian", *lines) + rows, "in")


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (b"1 2", "truncated"),
        (b"1 2 x", "not a number"),
        (b"1 2 3 4", "1 numbers follow"),
        (b"1 2 256", "'z' does not fit"),
        (b"1 2 1.5", "'z' does not fit"),
        (b"1 2 nan", "'z' does not fit"),
        (b"1 2 \xb2", "not a number"),
    ],
)
def test_damaged_text(rows: bytes, message: str) -> None:
    lines = ["element vertex 1", *XYZ[:2], "property uchar z"]
    with pytest.raises(InputError, match=message):
        ply.read(header("ascii", *lines) + rows, "in")


def test_dispatch() -> None:
    data = mesh_file("ascii")
    assert isinstance(formats.read(data, "wrong.las"), Mesh)
    assert isinstance(formats.read(data, "-"), Mesh)
    for content, name in ((b"", "a.ply"), (b"solid", "a.stl"), (b"solid", "a.ply"), (b"x", "-")):
        with pytest.raises(InputError, match=f"^{name}: "):
            formats.read(content, name)
    with pytest.raises(InputError, match="pcc decompress"):
        formats.read(b"\x89DCZ\r\n\x1a\n", "a.ply")
    for suffix in (".odd", ""):
        with pytest.raises(OutputError, match=r"it writes \.ply"):
            formats.write(suffix, PointCloud(np.zeros((1, 3))))


@pytest.mark.parametrize(
    ("name", "suffix"),
    [("a/b.c/d", ""), ("D:\\scans\\A.PLY", ".ply"), (".ply", ""), ("a.tar.laz", ".laz")],
)
def test_suffix(name: str, suffix: str) -> None:
    assert formats.suffix_of(name) == suffix
