"""A shape to a header and pieces, one for each tile, and back.

Points are put on a grid, sorted by Morton code and cut into tiles of neighbours. Only the sorting
permutation is ever held for the whole cloud beside its voxels; everything else is made tile by
tile, when it is asked for. A mesh is one tile and keeps its order.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from pcc_cli import grid as grids
from pcc_cli.entropy.columns import type_name
from pcc_cli.errors import FormatError, InputError
from pcc_cli.geometry import Array, Mesh, PointCloud, Volume, VoxelCloud, Whole
from pcc_cli.spine import invalid
from pcc_cli.spine.digest import Digest, arrays_of
from pcc_cli.spine.header import AXES, Column, Frame, Header
from pcc_cli.spine.tile import Piece
from pcc_cli.tree.morton import morton_order

GROUPS = {"rgb": ("red", "green", "blue")}  # attributes that go together
SCALES = (1, 2, 4, 8, 16)  # by which volumes are made smaller
TILE_POINTS = 2_000_000  # at most: a codec's memory is bounded, and processes can share the work


@dataclass(frozen=True)
class Split:
    """A shape ready to be coded.

    pieces : the tiles, made one after the other
    max_error : largest distance from a point to its restored one, source units
    """

    header: Header
    pieces: Iterator[Piece]
    max_error: float = 0.0


def split_points(
    cloud: PointCloud,
    fit: grids.Fit,
    keep_order: bool,
    patch: Array | None = None,
    lossless: bool = True,
) -> Split:
    """The tiles of `cloud`, whose `fit` is its place on the grid; patch as in `invalid`."""
    order = morton_order(fit.voxels)
    columns = {
        Column(name, type_name(values.dtype)): values for name, values in cloud.attributes.items()
    }
    for role, triples in (("residual", fit.residual), ("patch", patch)):
        if triples is not None:
            kind = type_name(triples.dtype)
            columns |= {Column(n, kind, role): c for n, c in zip(AXES, triples.T, strict=True)}
    hidden = (Column("order", "<u8" if len(cloud) >> 32 else "<u4", "order"),) if keep_order else ()
    tiles = -(-len(cloud) // TILE_POINTS)
    header = Header(
        "points",
        count=len(cloud),
        tiles=tiles,
        columns=(*columns, *hidden),
        grid=fit.grid,
        lossless=lossless,
        source=cloud.source,
    )

    def pieces() -> Iterator[Piece]:
        for tile in range(tiles):
            rows = order[len(order) * tile // tiles : len(order) * (tile + 1) // tiles]
            values = [column[rows] for column in columns.values()]
            values += [rows.astype(column.dtype) for column in hidden]
            yield Piece(VoxelCloud(fit.voxels[rows]), values)

    return Split(header, pieces(), fit.max_error)


def split_volume(volume: Volume, lossless: bool) -> Split:
    """The one tile of `volume`."""
    header = Header(
        "volume",
        count=len(volume),
        tiles=1,
        lossless=lossless,
        frame=Frame.of(volume),
        source=volume.source,
    )
    return Split(header, iter([Piece(volume, [])]))


def halvings(scale: int) -> int:
    """How often a volume is halved for `scale`; InputError for one that is none of SCALES."""
    if scale not in SCALES:
        raise InputError(f"the scale must be one of {', '.join(map(str, SCALES))}, not {scale}")
    return SCALES.index(scale)


def split_mesh(mesh: Mesh, lossless: bool) -> Split:
    """The one tile of `mesh`; its attributes have no vertices to go to if it is not `lossless`."""
    groups = (("point", mesh.attributes), ("face", mesh.face_attributes)) if lossless else ()
    columns = {
        Column(name, type_name(values.dtype), role): values
        for role, group in groups
        for name, values in group.items()
    }
    header = Header(
        "mesh",
        count=len(mesh),
        tiles=1,
        columns=tuple(columns),
        faces=len(mesh.face_sizes),
        lossless=lossless,
        source=mesh.source,
    )
    bare = Mesh(mesh.points, mesh.face_sizes, mesh.face_indices)
    return Split(header, iter([Piece(bare, list(columns.values()))]))


def without(shape: Whole, drop: Collection[str], only: Collection[str] | None) -> Whole:
    """`shape` without the attributes `drop`, or with those in `only` alone.

    `rgb` stands for red, green and blue. InputError for a name that no attribute has.
    """
    if isinstance(shape, Volume):
        if drop or only:
            raise InputError("a volume has no attributes to leave out")
        return shape
    faces = shape.face_attributes if isinstance(shape, Mesh) else {}
    names = {*shape.attributes, *faces}
    drop = _spelled_out(drop, names)
    only = None if only is None else _spelled_out(only, names)
    unknown = {*drop, *(only or ())} - names
    if unknown:
        have = f"it has {', '.join(sorted(names))}" if names else "it has none"
        raise InputError(f"no attribute '{min(unknown)}' in this file; {have}")
    gone = {*drop, *(names - set(names if only is None else only))}
    kept = {name: values for name, values in shape.attributes.items() if name not in gone}
    if isinstance(shape, PointCloud):
        return PointCloud(shape.points, kept, shape.source)
    kept_faces = {name: values for name, values in faces.items() if name not in gone}
    return Mesh(shape.points, shape.face_sizes, shape.face_indices, kept, kept_faces, shape.source)


def _spelled_out(names: Collection[str], known: Collection[str]) -> set[str]:
    """`names` with groups in place of their short names, unless an attribute is called so."""
    groups = {name: GROUPS.get(name, (name,)) for name in names}
    return {one for name, group in groups.items() for one in ((name,) if name in known else group)}


def checked(piece: Piece, restored: Whole) -> list[Array]:
    """What the digest of the whole file covers of a piece, and of the shape that it stands for."""
    return arrays_of(restored) if piece.integers is None else [*piece.integers, *piece.columns]


def restore(header: Header, piece: Piece) -> Whole:
    """The part of the shape that `piece` stands for: source units, attributes by name."""

    def named(role: str) -> dict[str, Array]:
        pairs = zip(header.columns, piece.columns, strict=True)
        return {column.name: values for column, values in pairs if column.role == role}

    if isinstance(piece.shape, Mesh):
        mesh = piece.shape
        attributes, faces = named("point"), named("face")
        return Mesh(
            mesh.points, mesh.face_sizes, mesh.face_indices, attributes, faces, header.source
        )
    if isinstance(piece.shape, Volume):
        assert header.frame is not None
        return header.frame.filled(piece.shape.values, header.source)
    assert header.grid is not None
    triples = [
        np.stack([columns[axis] for axis in AXES], axis=1) if columns else None
        for columns in (named("residual"), named("patch"))
    ]
    points = grids.restore(piece.shape.voxels, header.grid, triples[0])
    if triples[1] is not None:
        points = invalid.patched(points, triples[1])
    return PointCloud(points, named("point"), header.source)


def join(header: Header, pieces: Iterable[Piece], digest: Digest) -> Whole:
    """The whole shape, and its numbers in `digest`, in the order of the tiles.

    The parts are collected as they come: the counts of the header are compared, never believed.
    """
    parts: list[PointCloud] = []
    order: list[Array] = []
    for piece in pieces:
        part = restore(header, piece)
        digest.update(checked(piece, part))
        if not isinstance(part, PointCloud):
            return part
        parts.append(part)
        order += [
            values
            for column, values in zip(header.columns, piece.columns, strict=True)
            if column.role == "order"
        ]
    assert header.grid is not None
    points = np.concatenate([np.empty((0, 3), header.grid.dtype), *(p.points for p in parts)])
    attributes = {
        column.name: np.concatenate(
            [np.empty(0, column.dtype), *(part.attributes[column.name] for part in parts)]
        )
        for column in header.columns
        if column.role == "point"
    }
    cloud = PointCloud(points, attributes, header.source)
    return _reordered(cloud, np.concatenate(order)) if order else cloud


def _reordered(cloud: PointCloud, order: Array) -> PointCloud:
    """`cloud` with row i at row order[i]; FormatError when `order` is no permutation."""
    rows = np.full(len(order), -1, dtype=np.int64)
    if len(order) != len(cloud) or int(order.max()) >= len(order):
        raise FormatError("the order of the points names a point that is not there")
    rows[order] = np.arange(len(order))
    if (rows < 0).any():
        raise FormatError("the order of the points names a point twice")
    attributes = {name: values[rows] for name, values in cloud.attributes.items()}
    return PointCloud(cloud.points[rows], attributes, cloud.source)
