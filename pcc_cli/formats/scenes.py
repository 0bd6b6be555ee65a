"""STL, GLB and glTF through trimesh: the triangles of all parts, where the scene has them.

Texture coordinates, normals and colours of vertices are kept, materials and textures are not.
"""

from __future__ import annotations

import io
from typing import Any

import numpy as np

from pcc_cli.errors import InputError, OutputError
from pcc_cli.formats.columns import same
from pcc_cli.formats.talk import Note, listed, silent
from pcc_cli.geometry import Array, Mesh, PointCloud

MESHES = True
COLOURS = ("red", "green", "blue", "alpha")
TEXTURE, NORMAL = ("u", "v"), ("nx", "ny", "nz")


def read(data: bytes, name: str, note: Note = silent) -> PointCloud | Mesh:
    """The shape in the bytes of a file; InputError when trimesh cannot read it."""
    # Imported here: it takes half a second.
    import trimesh

    kind = _kind(data, name)
    try:
        scene = trimesh.load_scene(io.BytesIO(data), file_type=kind, process=False)
        parts: list[Any] = [part for part in scene.dump() if hasattr(part, "vertices")]
        meshes = [part for part in parts if len(getattr(part, "faces", ()))]
        found = [_part(part, kind, note) for part in (meshes or parts)]
    except Exception:  # noqa: BLE001  (of damaged files trimesh raises nearly anything)
        raise InputError(f"{name}: not a {kind.upper()} file that can be read") from None
    if not found:
        raise InputError(f"{name}: the file holds no triangles and no points")
    if len(found) > 1:
        note(f"{len(found)} parts joined to one mesh")
    source = {"format": "scenes"}
    points = np.concatenate([vertices for vertices, _, _ in found])
    shared = [key for key in found[0][2] if all(key in columns for _, _, columns in found)]
    gone = {key for _, _, columns in found for key in columns} - set(shared)
    if gone:
        note(f"{listed(sorted(gone))} not kept: not all parts have it")
    columns = {key: np.concatenate([part[2][key] for part in found]) for key in shared}
    if not meshes:
        return PointCloud(points, columns, source)
    starts = np.cumsum([0] + [len(vertices) for vertices, _, _ in found])
    faces = np.concatenate([part[1] + start for part, start in zip(found, starts, strict=False)])
    return Mesh(points, np.full(len(faces), 3, np.int32), faces.ravel(), columns, source=source)


def write(shape: PointCloud | Mesh, suffix: str = ".glb", note: Note = silent) -> bytes:
    """The bytes of a file; polygons become triangles. OutputError for points without faces."""
    import trimesh

    if not isinstance(shape, Mesh) or not len(shape.face_sizes):
        raise OutputError(f"{suffix} files hold triangles, and this shape has none")
    if (shape.face_sizes != 3).any():
        note("polygons were cut into triangles")
    kept = {} if suffix == ".stl" else _parts(shape.attributes)
    gone = [n for n in [*shape.attributes, *shape.face_attributes] if n not in kept]
    if gone:
        note(f"{suffix[1:].upper()} files have no place for {listed(gone)}")
    if same(shape.points, np.float32) is None:
        note(f"coordinates rounded to float32, as {suffix[1:].upper()} files have them")
    return _exported(trimesh, shape, shape.triangles(), kept, suffix)


def _exported(
    trimesh: Any, shape: Mesh, faces: Array, kept: dict[str, Array], suffix: str
) -> bytes:
    options: dict[str, Any] = {}
    if NORMAL[0] in kept:
        options["vertex_normals"] = np.stack([kept[name] for name in NORMAL], axis=1)
    mesh = trimesh.Trimesh(shape.points, faces, process=False, **options)
    if COLOURS[0] in kept:
        mesh.visual.vertex_colors = np.stack([kept[n] for n in COLOURS if n in kept], axis=1)
    elif TEXTURE[0] in kept:
        uv = np.stack([kept[name] for name in TEXTURE], axis=1)
        mesh.visual = trimesh.visual.TextureVisuals(uv=uv)
    if suffix != ".gltf":
        extra = {"include_normals": True} if suffix == ".glb" and options else {}
        return bytes(mesh.export(file_type=suffix[1:], **extra))
    files = mesh.scene().export(file_type="gltf", merge_buffers=True, embed_buffers=True)
    return bytes(files["model.gltf"])


def _parts(attributes: dict[str, Array]) -> dict[str, Array]:
    """What a glTF has a place for: of colours and textures one."""
    groups = [n for n in (COLOURS[:3], TEXTURE, NORMAL) if set(n) <= set(attributes)]
    if COLOURS[:3] in groups:
        kinds = {attributes[name].dtype for name in COLOURS[:3]}
        groups = [g for g in groups if g != (TEXTURE if kinds == {np.dtype("u1")} else COLOURS[:3])]
    names = [name for group in groups for name in group]
    if "red" in names and attributes.get("alpha", np.zeros(0)).dtype == np.uint8:
        names.append("alpha")
    return {name: attributes[name] for name in names}


def _kind(data: bytes, name: str) -> str:
    suffix = name.lower().rpartition(".")[2]
    if data.startswith(b"glTF"):
        return "glb"
    return suffix if suffix in ("stl", "gltf") else "stl"


def _part(part: Any, kind: str, note: Note) -> tuple[Array, Array, dict[str, Array]]:
    """Vertices, triangles and columns of a part of a scene."""
    points = np.asarray(part.vertices, np.float64)
    narrow = same(points, np.float32)
    points = points if narrow is None else narrow
    faces = np.asarray(getattr(part, "faces", np.zeros((0, 3))), np.int64)
    if kind == "stl":
        return (*_welded(points, faces), {})
    columns: dict[str, Array] = {}
    visual = part.visual
    if visual.kind == "vertex" and len(visual.vertex_colors) == len(points):
        columns |= dict(zip(COLOURS, np.asarray(visual.vertex_colors, np.uint8).T, strict=True))
    if visual.kind == "texture":
        note("materials and textures not kept")
        if visual.uv is not None:
            columns |= dict(zip(TEXTURE, np.asarray(visual.uv, np.float64).T, strict=False))
    if "vertex_normals" in getattr(part, "_cache", {}):
        columns |= dict(zip(NORMAL, np.asarray(part.vertex_normals, np.float64).T, strict=True))
    return points, faces, {name: np.ascontiguousarray(c) for name, c in columns.items()}


def _welded(points: Array, faces: Array) -> tuple[Array, Array]:
    """STL repeats a vertex for each of its triangles: vertices once, in the order of the file."""
    rows = np.ascontiguousarray(points).view(f"V{points.itemsize * 3}").ravel()
    _, first, place = np.unique(rows, return_index=True, return_inverse=True)
    rank = np.empty(len(first), np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    return points[np.sort(first)], rank[place.reshape(-1)][faces]
