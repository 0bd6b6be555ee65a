"""Files of other formats: bytes to shapes and back.

One module for each format, imported when first needed. `read` looks at the content first, since
names lie, and at the suffix for formats that do not say what they are.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from pcc_cli.errors import InputError, OutputError
from pcc_cli.geometry import Mesh, PointCloud

READERS = {
    ".ply": "ply",
    ".pcd": "pcd",
    ".las": "las",
    ".laz": "las",
    ".bin": "kitti",
    ".xyz": "xyz",
    ".txt": "xyz",
    ".csv": "xyz",
    ".pts": "xyz",
}
WRITERS = {".ply": "ply"}
# What is taken from a folder. A .txt or .csv is seldom a cloud; it has to be named.
FOLDER_SUFFIXES = frozenset(READERS) - {".txt", ".csv"}
_BEGINNINGS = {
    b"ply\n": "ply",
    b"ply\r": "ply",
    b"LASF": "las",
    b"# .PCD": "pcd",
    b"VERSION ": "pcd",
}


def read(data: bytes, name: str) -> PointCloud | Mesh:
    """The shape in the bytes of a file.

    name : of the file, for its suffix and for messages

    InputError when the format is not known or the file is damaged, UnsupportedError when
    reading it needs a package that is not installed.
    """
    if not data:
        raise InputError(f"{name}: the file is empty")
    if data.startswith(b"\x89DCZ"):
        raise InputError(f"{name}: this is a .dcz file already; `pcc decompress` reads it")
    module = next((m for start, m in _BEGINNINGS.items() if data.startswith(start)), None)
    module = module or READERS.get(suffix_of(name))
    if module is None:
        known = " ".join(READERS)
        raise InputError(f"{name}: not a known format; pcc reads {known}")
    shape: PointCloud | Mesh = _load(module).read(data, name)
    return shape


def write(suffix: str, shape: PointCloud | Mesh) -> bytes:
    """The bytes of a file of the format that `suffix` names, such as ".ply"; else OutputError."""
    module = WRITERS.get(suffix.lower())
    if module is None:
        known = " ".join(WRITERS)
        raise OutputError(f"pcc cannot write '{suffix}' files; it writes {known}")
    data: bytes = _load(module).write(shape)
    return data


def suffix_of(name: str) -> str:
    """The lower-case suffix of a file name with its dot, "" without one."""
    base = name.replace("\\", "/").rsplit("/", 1)[-1]
    dot = base.rfind(".")
    return base[dot:].lower() if dot > 0 else ""


def _load(module: str) -> Any:
    return import_module(f"pcc_cli.formats.{module}")
