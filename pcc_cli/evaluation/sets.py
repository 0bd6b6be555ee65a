"""A set of meshes as one input: the bytes of all, and means over the meshes.

Codecs of sets get all meshes at once; peers code each mesh alone, and their bytes are added up.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, ClassVar, cast

from pcc_cli import codecs
from pcc_cli.codecs.base import Payload, Progress, silent
from pcc_cli.errors import InputError, PccError
from pcc_cli.evaluation import case as cases
from pcc_cli.evaluation import dcz, peers, subject
from pcc_cli.evaluation.choices import Choices
from pcc_cli.evaluation.rows import Row
from pcc_cli.evaluation.subject import Peer, Setting
from pcc_cli.geometry import Mesh, MeshSet, Shape
from pcc_cli.metrics import sets as metrics
from pcc_cli.metrics.meshes import Surface


@dataclass(frozen=True)
class SetCase:
    """The input: its name, the digest of all files, the meshes without attributes."""

    file: str
    sha256: str
    shape: MeshSet
    kind: ClassVar[str] = "meshes"


@dataclass(frozen=True)
class Each(Peer):
    """A peer that codes each mesh of a set alone; of : `subject.to_json` of it"""

    of: dict[str, Any]

    id: ClassVar[str] = "each"
    accepts: ClassVar[tuple[type, ...]] = (MeshSet,)
    exact: ClassVar[bool] = True

    def config(self) -> dict[str, Any]:
        return {"of": self.of}

    def version(self) -> str:
        return subject.from_json(self.of).version()

    def command(self) -> str:
        return f"{subject.from_json(self.of).command()}, each mesh alone"

    def encode(self, shape: Shape, progress: Progress = silent) -> Payload:
        inner, streams = subject.from_json(self.of), dict[str, bytes]()
        for number, mesh in enumerate(cast("MeshSet", shape).values()):
            payload = inner.encode(mesh)
            if payload.meta:
                raise InputError(f"{self.of['class']} cannot code the meshes of a set")
            streams |= {f"{number} {name}": data for name, data in payload.streams.items()}
        return Payload({}, streams)

    def decode(self, payload: Payload) -> Shape:
        inner, found = subject.from_json(self.of), {}
        for name, data in payload.streams.items():
            number, _, stream = name.partition(" ")
            found[number] = inner.decode(Payload({}, {stream: data}))
        return cast("Shape", MeshSet(cast("dict[str, Mesh]", found)))

    def sections(self, payload: Payload) -> dict[str, int]:
        return {"geometry": payload.size_bytes}


def wanted(choices: Choices) -> bool:
    """Whether the files of an evaluation are one set."""
    return any(codecs.takes_sets(codecs.resolve(name)) for name in choices.codecs)


@lru_cache(maxsize=1)
def load(paths: tuple[Path, ...]) -> SetCase:
    """The set of the meshes in these files. InputError for one that holds none."""
    meshes, digest = {}, hashlib.sha256()
    for path in paths:
        one = cases.load(path)
        if not isinstance(one.shape, Mesh):
            raise InputError(f"{path}: holds no mesh, and a set is made of meshes")
        meshes[path.name] = replace(one.shape, source={})
        digest.update(one.sha256.encode())
    name = f"{paths[0].resolve().parent.name} ({len(meshes)} meshes)"
    return SetCase(name, digest.hexdigest(), MeshSet(meshes))


def blank(case: SetCase) -> Row:
    """What is known before anything is measured."""
    return Row(case.file, case.sha256, "mesh", case.shape.points, "")


def subjects(case: SetCase, choices: Choices) -> Iterator[tuple[str, Any]]:
    """Every codec and peer, and how to get its settings."""
    for name in choices.codecs:
        yield name, partial(dcz.settings, name, cast("Any", case), choices)
    for name in choices.against:
        yield name, partial(_of_peer, name, case, choices)


def _of_peer(name: str, case: SetCase, choices: Choices) -> list[Setting]:
    first = next(iter(case.shape.values()))
    alone = cases.Case(case.file, case.sha256, first, first)
    found = peers.settings(name, alone, choices)
    return [replace(one, subject=Each(subject.to_json(one.subject))) for one in found]


def compare(case: SetCase, decoded: Any) -> dict[str, float]:
    """The metrics of what came back. PccError for another number of meshes, or an empty one."""
    if not isinstance(decoded, MeshSet) or len(decoded) != len(case.shape):
        raise PccError("what was decoded is no set of as many meshes")
    there, back = _surfaces(case.shape.values(), 0), _surfaces(decoded.values(), 1)
    if not all(len(surface.triangles) for surface in back):
        raise PccError("a mesh of the set was decoded to nothing")
    return metrics.measure(there, back)


def _surfaces(meshes: Any, seed: int) -> list[Surface]:
    return [Surface(mesh.points.astype(float), mesh.triangles(), seed) for mesh in meshes]
