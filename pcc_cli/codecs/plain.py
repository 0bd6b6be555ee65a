"""The reference codec: octree bytes or columns of numbers, then zstandard. Read this one first.

It is exact, needs no model, and is what every learned codec has to beat: `api` stores a tile with
`plain` when that is smaller. `docs/format-contents.md` specifies its streams.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np

from pcc_cli.codecs import multiplicity
from pcc_cli.codecs.base import Payload, Progress, setting, silent
from pcc_cli.entropy import columns, zstd
from pcc_cli.errors import FormatError, InputError
from pcc_cli.fields import integer, member
from pcc_cli.geometry import AXES_OF_VOLUMES, Array, Mesh, Shape, Volume, VoxelCloud
from pcc_cli.tree import octree
from pcc_cli.tree.morton import depth_of

MAX_DEPTH = 32
MAX_VOXELS = 1 << 21  # of one cloud; api cuts larger ones into tiles
MAX_ROWS = 1 << 32  # vertices, faces or corners of a mesh
DIFFERENCES = ("", "x", "zyx")  # axes of volumes along which they are taken, one after the other
MAX_SAMPLES = 1 << 40  # of a volume


@dataclass(frozen=True)
class Plain:
    """Exact and simple.

    A VoxelCloud becomes the occupancy codes of its octree, breadth first, and how often each
    distinct voxel occurs. A Mesh becomes columns, in its own order: X, Y, Z, the size of each
    face, the vertex of each corner. A Volume becomes one column. Attributes are not a codec's
    business (`attributes/`).
    """

    id: ClassVar[str] = "plain.1"
    accepts: ClassVar[tuple[type, ...]] = (VoxelCloud, Mesh, Volume)
    exact: ClassVar[bool] = True
    lossless: ClassVar[bool] = True
    rates: ClassVar[tuple[dict[str, Any], ...]] = ()

    level: int = setting(9, "of zstandard, 1 (fast) to 19 (small)")

    def __post_init__(self) -> None:
        if not isinstance(self.level, int) or not 1 <= self.level <= 19:
            raise InputError(f"plain: level must be in 1 .. 19, not {self.level!r}")

    def config(self) -> dict[str, Any]:
        return asdict(self)

    def encode(self, shape: Shape, progress: Progress = silent) -> Payload:
        """The payload of `shape`; InputError for a PointCloud, or a Mesh with attributes."""
        if isinstance(shape, VoxelCloud):
            return self._encode_voxels(shape)
        if isinstance(shape, Mesh) and not shape.attributes and not shape.face_attributes:
            return self._encode_mesh(shape)
        if isinstance(shape, Volume):
            return self._encode_volume(shape)
        raise InputError("plain takes voxels, volumes and meshes without attributes")

    def decode(self, payload: Payload) -> Shape:
        """The very shape that was encoded; FormatError when `payload` is damaged."""
        kinds: dict[str, Callable[[Payload], Shape]] = {
            "voxels": _decode_voxels,
            "volume": _decode_volume,
            "mesh": _decode_mesh,
        }
        kind = member(payload.meta, "shape", str)
        if kind not in kinds:
            raise FormatError(f"plain knows no shape '{kind}'")
        return kinds[kind](payload)

    def _encode_voxels(self, cloud: VoxelCloud) -> Payload:
        voxels = cloud.voxels
        if len(voxels) > MAX_VOXELS:
            raise InputError(f"plain takes at most {MAX_VOXELS} voxels at once, not {len(voxels)}")
        depth = depth_of(voxels)
        meta = {"shape": "voxels", "points": len(voxels), "depth": depth, "nodes": 0}
        if not len(voxels):
            return Payload(meta)
        distinct, counts = multiplicity.split(voxels)
        codes = octree.build(distinct, depth).codes
        meta["nodes"] = sum(map(len, codes))
        about, streams = multiplicity.encode(counts)
        packed = zstd.pack((level.tobytes() for level in codes), self.level)
        return Payload(meta | about, {"CODE": packed, **streams})

    def _encode_mesh(self, mesh: Mesh) -> Payload:
        parts = {
            **dict(zip("XYZ", mesh.points.T, strict=True)),
            "SIZE": mesh.face_sizes.astype("<i4"),
            "FACE": mesh.face_indices.astype("<i8"),
        }
        coded = {name: columns.encode(part, self.level) for name, part in parts.items()}
        meta = {
            "shape": "mesh",
            "type": columns.type_name(mesh.points.dtype),
            "vertices": len(mesh.points),
            "faces": len(mesh.face_sizes),
            "corners": len(mesh.face_indices),
            "columns": {name: column.to_json() for name, column in coded.items()},
        }
        return Payload(meta, {name: column.data for name, column in coded.items()})

    def _encode_volume(self, volume: Volume) -> Payload:
        """The smallest of the samples, their differences along x, and those along z, y and x."""
        image = columns.to_image(volume.values)
        coded = []
        for axes in DIFFERENCES:
            rest = image
            for axis in axes:
                rest = _differences(rest, volume.axes.index(axis))
            rest = columns.fold(rest) if axes else rest
            coded.append((columns.encode(rest.ravel(), self.level), axes))
        column, axes = min(coded, key=lambda one: len(one[0].data))
        meta = {
            "shape": "volume",
            "type": columns.type_name(volume.values.dtype),
            "axes": volume.axes,
            "samples": list(volume.values.shape),
            "differences": axes,
            "column": column.to_json(),
        }
        return Payload(meta, {"DATA": column.data})


def _differences(image: Array, axis: int) -> Array:
    """To the sample before along `axis`, modulo 2**width."""
    steps = np.moveaxis(image.copy(), axis, 0)
    steps[1:] -= np.moveaxis(image, axis, 0)[:-1]
    return np.moveaxis(steps, 0, axis)


def _decode_voxels(payload: Payload) -> VoxelCloud:
    meta = payload.meta
    points = integer(meta, "points", 0, MAX_VOXELS)
    depth = integer(meta, "depth", 0, MAX_DEPTH)
    nodes = integer(meta, "nodes", 0, points * depth)
    if not points:
        return VoxelCloud(np.zeros((0, 3), dtype=np.int64))
    codes = np.frombuffer(zstd.unpack(payload.stream("CODE"), nodes), dtype=np.uint8)
    voxels = octree.voxels_of(octree.Octree(_levels(codes, depth, points)))
    return VoxelCloud(multiplicity.restore(voxels, payload, points))


def _levels(codes: Array, depth: int, points: int) -> list[Array]:
    """`codes` cut into the levels of a tree, none of which may have more nodes than `points`."""
    levels = []
    start, size = 0, 1
    for _ in range(depth):
        level = codes[start : start + size]
        start, size = start + size, int(octree.POPCOUNT[level].sum(dtype=np.int64))
        if not level.all() or size > points:
            raise FormatError("the octree has an empty node, or more voxels than points")
        levels.append(level)
    if start != len(codes):
        raise FormatError(f"the octree has {start} nodes, not {len(codes)}")
    return levels


def _decode_mesh(payload: Payload) -> Mesh:
    meta = payload.meta
    rows = {name: integer(meta, name, 0, MAX_ROWS) for name in ("vertices", "faces", "corners")}
    coded = member(meta, "columns", dict)

    def part(name: str, count: int, type_name: str) -> Array:
        column = columns.Column.from_json(coded.get(name), payload.stream(name))
        return columns.decode(column, count, columns.type_of(type_name))

    kind = member(meta, "type", str)
    points = np.stack([part(axis, rows["vertices"], kind) for axis in "XYZ"], axis=1)
    sizes = part("SIZE", rows["faces"], "<i4")
    if len(sizes) and sizes.min() < 0:
        raise FormatError("a face has a negative number of corners")
    try:
        return Mesh(points, sizes, part("FACE", rows["corners"], "<i8"))
    except InputError as error:
        raise FormatError(f"the mesh does not fit together: {error}") from error


def _decode_volume(payload: Payload) -> Volume:
    meta = payload.meta
    axes = member(meta, "axes", str)
    lengths = member(meta, "samples", list)
    if axes not in AXES_OF_VOLUMES or len(lengths) != len(axes):
        raise FormatError("the axes of a volume do not fit its shape")
    named = dict(zip(axes, lengths, strict=True))
    shape = [integer(named, axis, 0, MAX_SAMPLES) for axis in axes]
    count = math.prod(shape)
    if count > MAX_SAMPLES:
        raise FormatError(f"a volume of {count} samples is too large")
    column = columns.Column.from_json(member(meta, "column", dict), payload.stream("DATA"))
    kind = columns.type_of(member(meta, "type", str))
    image = columns.decode(column, count, np.dtype(f"<u{kind.itemsize}")).reshape(shape)
    differences = member(meta, "differences", str)
    if differences not in DIFFERENCES:
        raise FormatError(f"plain knows no differences along '{differences}'")
    image = columns.unfold(image) if differences else image
    for axis in reversed(differences):
        image = np.cumsum(image, axis=axes.index(axis), dtype=image.dtype)
    return Volume(columns.from_image(image, kind), axes)
