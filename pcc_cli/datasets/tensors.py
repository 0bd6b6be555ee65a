"""Packs of meshes as TSDF-Def tensors, the training set of the decoder of necgs: one file."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import safetensors.numpy

from pcc_cli.codecs.necgs import field
from pcc_cli.codecs.necgs.deform import LEVELS
from pcc_cli.codecs.necgs.field import Field
from pcc_cli.codecs.necgs.subject import subjects
from pcc_cli.datasets.sources import find_sources
from pcc_cli.datasets.surfaces import Surface
from pcc_cli.errors import InputError
from pcc_cli.geometry import Array, Mesh, MeshSet

Packed = Callable[[int, int], None]  # meshes that are done, and how many there will be


@dataclass(frozen=True)
class Tensor:
    """A mesh on grids: what its tensor is to be; values : (n, 4) float32"""

    name: str
    field: Field
    values: Array
    domain: str = "mesh"


def pack(
    dirs: list[Path],
    out: Path,
    side: int,
    steps: int,
    *,
    samples: int,
    seed: int = 0,
    progress: Packed | None = None,
) -> int:
    """Writes `out` from the meshes below `dirs`, and returns how many there are.

    side : nodes along an axis; steps : of fitting a tensor; samples : most meshes, evenly by name

    InputError when there is no mesh, or one that cannot be used.
    """
    sources = [source for source in find_sources(dirs) if source.domain == "mesh"]
    if not sources:
        raise InputError(f"no meshes below {', '.join(map(str, dirs))}")
    rows = np.unique(np.linspace(0, len(sources) - 1, min(samples, len(sources))).round())
    chosen = [sources[int(row)] for row in rows]
    tensors = []
    for number, source in enumerate(chosen):
        if progress is not None:
            progress(number, len(chosen))
        surface = source.load()
        assert isinstance(surface, Surface)
        faces = np.full(len(surface.faces), 3, np.int32)
        mesh = Mesh(surface.vertices, faces, surface.faces.ravel())
        (subject,) = subjects(MeshSet({source.path.name: mesh}), side)
        tensors.append(Tensor(subject.name, subject.field, subject.tensor(steps, True, seed)))
    save(tensors, out)
    return len(tensors)


def save(tensors: list[Tensor], out: Path) -> None:
    """Writes a pack."""
    arrays = {}
    for number, tensor in enumerate(tensors):
        arrays[f"{number}.values"] = np.rint(tensor.values * LEVELS).astype(np.int16)
        for level, coarse in enumerate(tensor.field.coarse):
            arrays[f"{number}.coarse{level}"] = coarse
    about = {"side": tensors[0].field.band.side, "names": [tensor.name for tensor in tensors]}
    safetensors.numpy.save_file(arrays, out, {"tensors": json.dumps(about)})


def load_pack(path: Path) -> list[Tensor]:
    """All meshes of a pack. InputError for another file."""
    try:
        with safetensors.safe_open(path, "np") as file:
            about = json.loads(file.metadata()["tensors"])
            arrays = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except (OSError, TypeError, KeyError, ValueError, safetensors.SafetensorError) as error:
        raise InputError(f"{path}: is not a pack of meshes: {error}") from error
    found = []
    for number, name in enumerate(about["names"]):
        values = arrays[f"{number}.values"].astype(np.float32) / LEVELS
        levels = sum(key.startswith(f"{number}.coarse") for key in arrays)
        coarse = [arrays[f"{number}.coarse{level}"] for level in range(levels)]
        found.append(Tensor(name, field.known(coarse, values[:, 0], about["side"]), values))
    return found
