"""Draco: Google's coder of clouds and meshes, through the package DracoPy.

A mesh is also simplified first: quadric decimation to fewer faces and then Draco is what a
practitioner would do, and the honest rival of learned codecs at low rates.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np

from pcc_cli import extras
from pcc_cli.codecs.base import Payload, Progress, silent
from pcc_cli.errors import InputError
from pcc_cli.evaluation.case import Case
from pcc_cli.evaluation.choices import Choices, on_grids
from pcc_cli.evaluation.report.triangles import fan
from pcc_cli.evaluation.subject import Peer, Setting
from pcc_cli.geometry import Array, Mesh, PointCloud, Shape

STREAM = "draco"
CLOUD_BITS = 21  # the positions pass through float32, twice
# DracoPy looks for duplicates by a hash of the floats that whole numbers make slow: times 0.731 a
# frame of 8iVFB takes a second, and not thirteen.
UNIT = 0.731
MESH_BITS = (7, 8, 10, 12, 14)
FACES = (600, 1200, 2400, 4800, 9600)
DECIMATED_BITS = 10


def settings(case: Case, choices: Choices) -> list[Setting]:
    """Clouds exactly on each grid; meshes at several quantizations, with and without decimation."""
    if case.kind == "points":
        return on_grids("draco", Draco(), choices.ladder(case))
    if not isinstance(case.shape, Mesh) or choices.lossless:
        return []
    faces = int((case.shape.face_sizes - 2).sum())
    plain = [Setting("draco", f"qp{bits}", Draco(bits)) for bits in MESH_BITS]
    return plain + [
        Setting("decimation+draco", f"{count} faces", Draco(DECIMATED_BITS, count))
        for count in FACES
        if count < faces
    ]


@dataclass(frozen=True)
class Draco(Peer):
    """bits : of the quantization along the longest axis; 0, for integers: exact
    faces : of the mesh after decimation; None: all of them
    level : of compression, 0 to 10
    """

    bits: int = 0
    faces: int | None = None
    level: int = 10

    id: ClassVar[str] = "draco"
    accepts: ClassVar[tuple[type, ...]] = (PointCloud, Mesh)
    exact: ClassVar[bool] = True

    def config(self) -> dict[str, Any]:
        return asdict(self)

    def version(self) -> str:
        program = extras.version_of("DracoPy", "DracoPy")
        if self.faces is None:
            return program
        return f"{program}, {extras.version_of('fast_simplification', 'fast-simplification')}"

    def command(self) -> str:
        first = "" if self.faces is None else f"quadric decimation to {self.faces} faces, then "
        quantization = f"-qp {self.bits}" if self.bits else "integers"
        return f"{first}draco -cl {self.level} {quantization}"

    def encode(self, shape: Shape, progress: Progress = silent) -> Payload:
        coder = extras.load("DracoPy", "DracoPy")
        if isinstance(shape, Mesh):
            points, faces = _triangles(shape)
            if self.faces is not None:
                points, faces = _decimated(points, faces, self.faces)
            data = coder.encode(points, faces, self.bits, compression_level=self.level)
        elif isinstance(shape, PointCloud):
            # A range of 2**bits - 1 steps makes one step of the quantization one voxel.
            bits = max(int(shape.points.max(initial=1)).bit_length(), 1)
            if bits > CLOUD_BITS:
                raise InputError(f"DracoPy keeps {CLOUD_BITS} bits of a coordinate, not {bits}")
            data = coder.encode(
                (shape.points * UNIT).astype(np.float32),
                quantization_bits=bits,
                compression_level=self.level,
                quantization_range=((1 << bits) - 1) * UNIT,
                quantization_origin=[0.0, 0.0, 0.0],
            )
        else:
            raise InputError("Draco takes clouds and meshes")
        return Payload({}, {STREAM: data})

    def decode(self, payload: Payload) -> Shape:
        shape = extras.load("DracoPy", "DracoPy").decode(payload.stream(STREAM))
        if not hasattr(shape, "faces"):
            return PointCloud(np.rint(shape.points.astype(np.float64) / UNIT).astype(np.int64))
        faces = np.asarray(shape.faces, np.int64)
        sizes = np.full(len(faces), 3, np.int32)
        return Mesh(np.asarray(shape.points, np.float32), sizes, faces.ravel())


def _triangles(mesh: Mesh) -> tuple[Array, Array]:
    """Vertices (n, 3) float32 and faces (m, 3) uint32."""
    faces = fan(mesh.face_sizes, mesh.face_indices)
    return mesh.points.astype(np.float32), faces.astype(np.uint32)


def _decimated(points: Array, faces: Array, count: int) -> tuple[Array, Array]:
    if count >= len(faces):  # so of a mesh beside larger ones in a set
        return points, faces
    simplifier = extras.load("fast_simplification", "fast-simplification")
    points, faces = simplifier.simplify(points, faces.astype(np.int32), target_count=count)
    return points, faces.astype(np.uint32)
