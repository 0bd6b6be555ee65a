"""OBJ, OFF, STL, GLB and glTF: what comes in, what goes out, and what is said of the rest."""

from __future__ import annotations

import io

import numpy as np
import pytest
import trimesh

from pcc_cli import api, formats
from pcc_cli.errors import InputError, OutputError
from pcc_cli.geometry import Mesh, PointCloud

QUAD = (
    b"# a quad\nmtllib a.mtl\no thing\nv 0 0 0 1 0 0\nv 1 0 0 0 1 0\nv 1 1 0 0 0 1\n"
    b"v 0 1 0.1 1 1 1\nvt 0 0\nvt 1 0\nvt 1 1\nvt 0 1\nvn 0 0 1\nusemtl x\n"
    b"f 1/1/1 2/2/1 3/3/1 4/4/1\n"
)
COFF = (
    b"COFF 3 1 0\n0 0 0 255 0 0 255\n1 0 0 0 255 0 255 # green\n\n1 1 0 0 0 255 255\n"
    b"3 0 1 2 0.5 0.5 0.25\n"
)


def read(data, name):
    notes = []
    return formats.read(data, name, notes.append), notes


def box(dtype=np.float32) -> Mesh:
    shape = trimesh.creation.box((1.0, 2.0, 3.1))
    faces = np.asarray(shape.faces, np.int64)
    sizes = np.full(len(faces), 3, np.int32)
    return Mesh(np.asarray(shape.vertices, dtype), sizes, faces.ravel())


def triangles(mesh: Mesh) -> np.ndarray:
    """Corners of every triangle, sorted, whatever the order of vertices and faces."""
    corners = mesh.points[mesh.face_indices.reshape(-1, 3)].astype(np.float64)
    return corners[np.lexsort(corners.reshape(len(corners), 9).T)]


def test_obj_keeps_polygons_colours_texture_and_normals():
    mesh, notes = read(QUAD, "a.obj")
    assert isinstance(mesh, Mesh)
    assert mesh.face_sizes.tolist() == [4]
    assert mesh.points[3].tolist() == [0, 1, 0.1]
    assert list(mesh.attributes) == ["red", "green", "blue", "u", "v", "nx", "ny", "nz"]
    assert mesh.attributes["u"].tolist() == [0, 1, 1, 0]
    assert notes == ["not kept: mtllib, usemtl"]
    again, _ = read(formats.write(".obj", mesh), "b.obj")
    assert again.face_indices.tolist() == mesh.face_indices.tolist()
    for name, column in mesh.attributes.items():
        assert again.attributes[name].tolist() == column.tolist()


def test_obj_splits_vertices_whose_corners_differ_and_counts_backwards():
    text = b"v 0 0 0\nv 1 0 0\nv 0 1 0\nvt 0 0\nvt 1 1\nf -3/1 -2/1 -1/1\nf 1/2 3/2 2/2\n"
    mesh, notes = read(text, "a.obj")
    assert len(mesh) == 6
    assert mesh.points[mesh.face_indices[3:]].tolist() == [[0, 0, 0], [0, 1, 0], [1, 0, 0]]
    assert mesh.attributes["u"][mesh.face_indices].tolist() == [0, 0, 0, 1, 1, 1]
    assert notes == ["3 vertices split where texture or normals differ"]


def test_obj_and_off_without_faces_are_clouds():
    for name, text in (("a.obj", b"v 0 0 0\nv 1 2 3\n"), ("a.off", b"OFF\n2 0 0\n0 0 0\n1 2 3\n")):
        cloud, _ = read(text, name)
        assert isinstance(cloud, PointCloud)
        assert cloud.points.tolist() == [[0, 0, 0], [1, 2, 3]]
        assert isinstance(read(formats.write(name[1:], cloud), name)[0], PointCloud)


def test_off_keeps_colours():
    mesh, notes = read(COFF, "a.off")
    assert not notes
    assert mesh.attributes["green"].tolist() == [0, 255, 0]
    assert mesh.face_attributes["blue"].tolist() == [0.25]
    again, _ = read(formats.write(".off", mesh), "b.off")
    assert again.attributes["alpha"].dtype == np.uint8
    assert again.face_attributes["red"].tolist() == [0.5]


@pytest.mark.parametrize(
    "head", [b"OFF4 1 0\n", b"OFF 4 1 0\n", b"OFF\n4 1\n", b"\n OFF\n# c\n4 1 0\n"]
)
def test_off_heads(head):
    mesh, _ = read(head + b"0 0 0\n1 0 0\n1 1 0\n0 1 -.1\n4 0 1 2 3\n", "a.off")
    assert mesh.face_sizes.tolist() == [4]
    assert mesh.points[3].tolist() == [0, 1, -0.1]


@pytest.mark.parametrize("suffix", formats.MESH_SUFFIXES)
def test_a_mesh_comes_back_and_others_read_it(suffix):
    mesh = box()
    data = formats.write(suffix, mesh)
    back, _ = read(data, "a" + suffix)
    assert len(back) == len(mesh)
    assert np.allclose(triangles(back), triangles(mesh), atol=1e-7)
    kind = suffix[1:]
    other = trimesh.load_scene(io.BytesIO(data), file_type=kind).to_mesh()
    assert other.volume == pytest.approx(6.2, rel=1e-6)


@pytest.mark.parametrize("suffix", formats.MESH_SUFFIXES)
def test_a_mesh_goes_through_a_file_exactly(suffix):
    mesh, _ = read(formats.write(suffix, box()), "a" + suffix)
    back = api.decompress(api.compress(mesh))
    assert back.points.tobytes() == mesh.points.tobytes()
    assert back.points.dtype == mesh.points.dtype
    assert back.face_indices.tolist() == mesh.face_indices.tolist()
    assert formats.suffix_for(back.source) == suffix


def test_glb_keeps_colours_normals_and_joins_parts():
    scene = trimesh.Scene()
    for place in (0.0, 5.0):
        part = trimesh.creation.icosphere(1)
        part.visual.vertex_colors = np.full((len(part.vertices), 4), (9, 8, 7, 255), np.uint8)
        turn = trimesh.transformations.translation_matrix([place, 0, 0])
        scene.add_geometry(part, transform=turn)
    mesh, notes = read(scene.export(file_type="glb"), "a.glb")
    assert len(mesh) == 84
    assert np.ptp(mesh.points[:, 0]) == pytest.approx(7, rel=1e-6)
    assert mesh.attributes["green"].tolist() == [8] * 84
    assert "2 parts joined to one mesh" in notes
    again, _ = read(formats.write(".glb", mesh), "b.glb")
    assert again.attributes["red"].tolist() == [9] * 84


def test_stl_vertices_are_joined():
    data = formats.write(".stl", box())
    assert len(read(data, "a.stl")[0]) == 8
    text = trimesh.creation.box().export(file_type="stl_ascii")
    assert len(read(text.encode(), "a.stl")[0]) == 8


def test_what_a_format_cannot_hold_is_said():
    mesh, _ = read(QUAD, "a.obj")
    notes = []
    formats.write(".stl", mesh, notes.append)
    text = " ".join(notes)
    assert "cut into triangles" in text
    assert "no place for red, green, blue, u" in text
    assert "rounded to float32" in text
    with pytest.raises(OutputError, match="hold triangles"):
        formats.write(".stl", PointCloud(np.eye(3)))


def test_a_mesh_is_exact_by_default_and_keyspheres_is_mentioned():
    stream = io.BytesIO()
    data = trimesh.creation.icosphere(2).export(file_type="obj").encode()
    report = api.compress_to(stream, read(data, "a.obj")[0])
    assert report.codecs == ["plain.1"]
    assert any("keyspheres" in note for note in report.notes)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.obj", b"v 1 2\n"),
        ("a.obj", b"v 1 2 x\n"),
        ("a.obj", b"v 1 2 3\nf 1 2 9\n"),
        ("a.obj", b"v 1 2 3\nf 0 1 1\n"),
        ("a.off", b"OFF\n3 1\n0 0 0\n"),
        ("a.off", b"OFF\n-1 1\n0 0 0\n"),
        ("a.off", b"4OFF\n"),
        ("a.stl", b"\x07" * 500),
        ("a.glb", b"glTF\x02\0\0\0junk"),
        ("a.gltf", b'{"asset": 1}'),
    ],
)
def test_damaged_files_are_refused(name, data):
    with pytest.raises(InputError, match=r"a\.") as caught:
        read(data, name)
    assert "\n" not in str(caught.value)
