"""Sets of meshes in one file: made of many files, and written as many."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from pcc_cli import locations
from pcc_cli.cli import each, files
from pcc_cli.cli.files import Pair
from pcc_cli.cli.reading import Reading
from pcc_cli.errors import InputError, PccError
from pcc_cli.progress import Progress

if TYPE_CHECKING:
    from pcc_cli.api import Options
    from pcc_cli.dczfile import DczFile
    from pcc_cli.geometry import Mesh, MeshSet


@dataclass(frozen=True)
class SetTask:
    """Compresses many files into one.

    members : name in the set -> source
    named : what was asked for, as files or as folders
    """

    choices: Options
    reading: Reading
    force: bool
    members: dict[str, str]
    named: str

    def __call__(self, pair: Pair, progress: Progress) -> each.Record:
        from pcc_cli import api

        started = time.monotonic()
        files.refuse(pair, force=self.force)
        notes: list[str] = []
        meshes, bytes_in = loaded(self.members, self.reading, notes)
        with files.writing(pair, force=self.force) as stream:
            report = api.compress_to(stream, meshes, self.choices, progress)
        return {
            "input": self.named,
            "output": pair.target,
            "meshes": len(meshes),
            "bytes_in": bytes_in,
            **asdict(report),
            "notes": [*notes, *report.notes],
            "bits_per_point": report.bits_per_point,
            "seconds": round(time.monotonic() - started, 3),
        }


def loaded(members: Mapping[str, str], reading: Reading, notes: list[str]) -> tuple[MeshSet, int]:
    """The set of all files, and their size. InputError for one that holds no mesh."""
    from pcc_cli.geometry import Mesh, MeshSet

    meshes, bytes_in = {}, 0
    for name, source in members.items():
        shape, size = reading.load(source, notes)
        if not isinstance(shape, Mesh):
            raise InputError(f"{source}: holds no mesh, and a set is made of meshes")
        meshes[name] = shape
        bytes_in += size
    return MeshSet(meshes), bytes_in


def write_all(
    folder: str, meshes: Mapping[str, Mesh], suffix: str | None, notes: list[str], force: bool
) -> int:
    """Writes each mesh under its name in a folder, which is made; returns their bytes.

    suffix : of the format of all; None: that of each name
    Nothing is written when a file is there and not to be overwritten.
    InputError when the name of the folder is that of a file.
    """
    from pcc_cli import formats

    if formats.suffix_of(folder) in formats.SUFFIXES:
        raise InputError(
            f"{folder}: a set of meshes needs a folder; --only NAME gives one of them as a file"
        )
    pairs: list[Pair] = []
    contents: list[bytes] = []
    for name, mesh in meshes.items():
        kind = suffix or suffix_of(name)
        path = locations.join(folder, PurePosixPath(renamed(name, kind)))
        pairs.append(Pair(files.PIPE, path, make_folder=True))
        contents.append(formats.write(kind, mesh, notes.append))
    for pair in pairs:
        files.refuse(pair, force=force)
    for pair, content in zip(pairs, contents, strict=True):
        with files.writing(pair, force=force) as stream:
            stream.write(content)
    return sum(map(len, contents))


def suffix_of(name: str) -> str:
    """Of the format that the name of a mesh says; .ply if it says none."""
    from pcc_cli import formats

    own = formats.suffix_of(name)
    return own if own in formats.SUFFIXES else ".ply"


def renamed(name: str, suffix: str) -> str:
    """The name of a mesh as a file of another format."""
    from pcc_cli import formats

    own = formats.suffix_of(name)
    if own == suffix:
        return name
    return (name[: -len(own)] if own in formats.SUFFIXES else name) + suffix


def write_one(pair: Pair, mesh: Mesh, suffix: str, notes: list[str], force: bool) -> int:
    """Writes one mesh; returns its bytes."""
    from pcc_cli import formats

    content = formats.write(suffix, mesh, notes.append)
    with files.writing(pair, force=force) as stream:
        stream.write(content)
    return len(content)


def member(source: str, name: str, suffix: str | None) -> str:
    """The whole name of the mesh `name` of a set, as a file of the format with `suffix`."""
    from pcc_cli import scripting

    with scripting.open(source) as file:
        found = file.mesh_name(name)
    return renamed(found, suffix or suffix_of(found))


def chosen(file: DczFile, only: tuple[str, ...], progress: Progress) -> dict[str, Mesh]:
    """The meshes of a set that are wanted, by name; all without `only`."""
    names = [file.mesh_name(name) for name in only] or list(file.meshes)
    found = {}
    for number, name in enumerate(names):
        progress(number / len(names), name)
        found[name] = file.meshes[name]
    return found


def source_of(source: str) -> str | bytes:
    """What can be opened of a file or a pipe."""
    return files.read(source) if source == files.PIPE else source


def is_set(source: str) -> bool:
    """Whether a file says that it holds a set; whatever is wrong with it is found out later."""
    from pcc_cli import scripting

    if source == files.PIPE:
        return False
    with suppress(PccError), scripting.open(source) as file:
        return file.kind == "meshes"
    return False
