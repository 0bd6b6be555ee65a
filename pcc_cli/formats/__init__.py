"""Files of other formats: bytes to shapes and back.

One module for each format, imported when first needed. `read` looks at the content first, since
names lie, and at the suffix for formats that do not say what they are. A module has `read(data,
name, note)`, which some give a fourth argument: the names of columns, how raw samples lie, or the
way to a second file; `write(shape, suffix, note)`; and `MESHES`, whether it holds faces. A module
whose `source` means something to nobody else has `plain(shape, note)`: the shape as other formats
see it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from importlib import import_module
from typing import Any

from pcc_cli.errors import InputError, OutputError
from pcc_cli.formats.raw import Samples
from pcc_cli.formats.talk import Beside, Note, alone, silent
from pcc_cli.geometry import Mesh, PointCloud, Volume, Whole

__all__ = ["Samples", "read", "suffix_for", "suffix_of", "write"]

POINT_SUFFIXES = {
    ".ply": "ply",
    ".las": "las",
    ".laz": "las",
    ".pcd": "pcd",
    ".xyz": "xyz",
    ".txt": "xyz",
    ".csv": "xyz",
    ".pts": "xyz",
    ".npy": "npy",
    ".npz": "npy",
    ".bin": "kitti",
    ".e57": "e57",
}
VOLUME_SUFFIXES = {
    ".nrrd": "nrrd",
    ".nhdr": "nrrd",
    ".nii": "nifti",
    ".nii.gz": "nifti",
    ".mha": "metaimage",
    ".mhd": "metaimage",
    ".vti": "vti",
    ".vtk": "vtk",
    ".fld": "avs",
    ".raw": "raw",
}
MESH_SUFFIXES = {
    ".obj": "obj",
    ".off": "off",
    ".stl": "scenes",
    ".glb": "scenes",
    ".gltf": "scenes",
}
SUFFIXES = POINT_SUFFIXES | MESH_SUFFIXES | VOLUME_SUFFIXES
# What is taken from a folder. A .txt or .csv is seldom a cloud, and a .raw may be the samples of a
# .mhd: they have to be named.
FOLDER_SUFFIXES = frozenset(SUFFIXES) - {".txt", ".csv", ".raw"}
_BEGINNINGS = {
    b"ply\n": ".ply",
    b"ply\r": ".ply",
    b"LASF": ".las",
    b"# .PCD": ".pcd",
    b"VERSION ": ".pcd",
    b"\x93NUMPY": ".npy",
    b"PK\x03\x04": ".npz",
    b"ASTM-E57": ".e57",
    b"glTF": ".glb",
    b"NRRD000": ".nrrd",
    b"# vtk DataFile": ".vtk",
    b"# AVS": ".fld",
}
_NAMELESS = ("xyz", "npy", "kitti")  # formats whose columns may have no names
_IN_TWO = ("nrrd", "metaimage")  # formats whose samples may be in a second file
_OF_VOLUMES = frozenset({*VOLUME_SUFFIXES.values(), "npy"})


def read(
    data: bytes,
    name: str,
    note: Note = silent,
    fields: Sequence[str] | None = None,
    suffix: str | None = None,
    samples: Samples | None = None,
    beside: Beside = alone,
) -> Whole:
    """The shape in the bytes of a file; its `source` says enough to write the same kind again.

    name : of the file, for its suffix and for messages
    note : is told what was guessed or left out
    fields : names of the columns, for formats that do not store them
    suffix : of the format, where neither content nor name says it
    samples : shape and type of raw samples; with them the file is read as .raw
    beside : gives the bytes of another file in the same folder

    InputError when the format is not known or the file is damaged, UnsupportedError when
    reading it needs a package that is not installed.
    """
    if not data:
        raise InputError(f"{name}: the file is empty")
    if data.startswith(b"\x89DCZ"):
        raise InputError(f"{name}: this is a .dcz file already; `pcc decompress` reads it")
    suffix = _suffix_by_content(data, suffix or suffix_of(name)) if samples is None else ".raw"
    module = SUFFIXES.get(suffix)
    if module is None:
        raise InputError(f"{name}: not a known format; pcc reads {' '.join(SUFFIXES)}")
    if fields and module not in _NAMELESS:
        raise InputError(
            f"{name}: a {suffix[1:]} file names its columns itself; leave out --fields"
        )
    more = {**dict.fromkeys(_NAMELESS, fields), **dict.fromkeys(_IN_TWO, beside), "raw": samples}
    named = [more[module]] if module in more else []
    shape: Whole = _load(module).read(data, name, note, *named)
    return replace(shape, source={"suffix": suffix, **shape.source})


def write(suffix: str, shape: Whole, note: Note = silent) -> bytes:
    """The bytes of a file of the format that `suffix` names, such as ".ply".

    A shape that came from this format becomes a file like its source again. note : is told what
    the format cannot hold. OutputError for a format that pcc does not know, or that cannot hold
    the shape at all.
    """
    suffix = suffix.lower()
    module = SUFFIXES.get(suffix)
    if module is None:
        raise OutputError(f"pcc cannot write '{suffix}' files; it writes {' '.join(SUFFIXES)}")
    if isinstance(shape, Volume) != (module in _OF_VOLUMES) and module != "npy":
        volumes = (".npy", ".npz", *VOLUME_SUFFIXES)
        kinds = volumes if isinstance(shape, Volume) else tuple(POINT_SUFFIXES)
        what = "volumes" if isinstance(shape, Volume) else "points"
        raise OutputError(f"{suffix[1:]} files hold no {what}; {' '.join(kinds)} files do")
    origin = shape.source.get("format")
    if origin != module and origin in SUFFIXES.values():
        plain = getattr(_load(str(origin)), "plain", None)
        shape = plain(shape, note) if plain else shape
    writer = _load(module)
    if isinstance(shape, Mesh) and not writer.MESHES:
        note(f"{suffix[1:]} files hold no faces: the vertices alone were written")
        shape = PointCloud(shape.points, shape.attributes, shape.source)
    data: bytes = writer.write(shape, suffix, note)
    return data


def suffix_for(source: Any) -> str:
    """The suffix of the format that a shape with this `source` came from; .ply if unknown."""
    suffix = source.get("suffix") if isinstance(source, dict) else None
    return suffix if suffix in SUFFIXES else ".ply"


def suffix_of(name: str) -> str:
    """The lower-case suffix of a file name with its dot, "" without one."""
    base = name.replace("\\", "/").rsplit("/", 1)[-1]
    if base.lower().endswith(".nii.gz"):
        return ".nii.gz"
    dot = base.rfind(".")
    return base[dot:].lower() if dot > 0 else ""


def _suffix_by_content(data: bytes, suffix: str) -> str:
    """`suffix`, unless the first bytes say that this is a file of another format."""
    found = next((known for start, known in _BEGINNINGS.items() if data.startswith(start)), None)
    if found is None or SUFFIXES[found] == SUFFIXES.get(suffix):
        return suffix
    return found


def _load(module: str) -> Any:
    return import_module(f"pcc_cli.formats.{module}")
