"""Shapes and payloads as files, for a process that must start from nothing but them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pcc_cli.codecs.base import Payload
from pcc_cli.errors import InputError
from pcc_cli.geometry import (
    AXES_OF_VOLUMES,
    Content,
    Mesh,
    MeshSet,
    PointCloud,
    Shape,
    Volume,
)

FACES = ("face_sizes", "face_indices")
MESH_PARTS = ("points", *FACES)
SET = "meshes"  # of a set: the names, in order; arrays are named "points:car.obj"
GROUPS = ("attributes", "face_attributes")  # of columns; files name them "attributes:red"


def write_shape(path: Path, shape: Shape | MeshSet) -> None:
    """A cloud or a mesh with its attributes, or the samples of a volume, as .npz."""
    if isinstance(shape, Volume):
        np.savez(path, allow_pickle=False, **{shape.axes: shape.values})
        return
    if isinstance(shape, MeshSet):
        parts = {f"{part}:{n}": getattr(m, part) for n, m in shape.items() for part in MESH_PARTS}
        np.savez(path, allow_pickle=False, **{SET: np.array(list(shape))}, **parts)
        return
    if not isinstance(shape, PointCloud | Mesh):
        raise InputError(f"an evaluation does not know shapes like {type(shape).__name__}")
    arrays = {"points": shape.points}
    if isinstance(shape, Mesh):
        arrays |= {name: getattr(shape, name) for name in FACES}
    for group in GROUPS:
        columns = getattr(shape, group, {})
        arrays |= {f"{group}:{name}": column for name, column in columns.items()}
    np.savez(path, allow_pickle=False, **arrays)


def read_shape(path: Path) -> Content:
    """What `write_shape` wrote."""
    with np.load(path, allow_pickle=False) as arrays:
        found: dict[str, Any] = {name: arrays[name] for name in arrays.files}
    if SET in found:
        names = [str(name) for name in found[SET]]
        return MeshSet({n: Mesh(*(found[f"{part}:{n}"] for part in MESH_PARTS)) for n in names})
    axes = next(iter(found))
    if axes in AXES_OF_VOLUMES:
        return Volume(found[axes], axes)
    parts = {name: found.pop(name) for name in ("points", *FACES) if name in found}
    for name, column in found.items():
        group, _, attribute = name.partition(":")
        parts.setdefault(group, {})[attribute] = column
    return Mesh(**parts) if FACES[0] in parts else PointCloud(**parts)


def write_payload(folder: Path, payload: Payload) -> None:
    """The streams and the metadata, each a file, and an index of them."""
    for number, stream in enumerate(payload.streams.values()):
        (folder / f"stream-{number}").write_bytes(stream)
    write_json(folder / "payload.json", {"meta": payload.meta, "streams": list(payload.streams)})


def read_payload(folder: Path) -> Payload:
    about = read_json(folder / "payload.json")
    streams = {
        name: (folder / f"stream-{number}").read_bytes()
        for number, name in enumerate(about["streams"])
    }
    return Payload(about["meta"], streams)


def write_json(path: Path, record: dict[str, Any]) -> None:
    path.write_text(json.dumps(record), "utf-8")


def read_json(path: Path) -> dict[str, Any]:
    record: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return record


@dataclass(frozen=True)
class Cost:
    """What coding or decoding took.

    seconds : of the coding alone; mb : peak memory, MiB, 0.0 where it is unknown
    bytes : of the whole file; sections : part -> bytes; device : "cpu" or "cuda"
    """

    seconds: float
    mb: float
    bytes: int
    sections: dict[str, int]
    device: str
