"""A coarse look at a cloud: the first levels of its octree, without what is finer.

Level n has 2**n cells along the longest axis of the largest tile; level `levels_of` is the cloud
itself. A point stands in the middle of each cell; attributes and digests belong to the whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from pcc_cli.codecs.base import Previewing
from pcc_cli.errors import FormatError, InputError
from pcc_cli.geometry import Array, Shape, VoxelCloud
from pcc_cli.spine import tile
from pcc_cli.spine.header import Header
from pcc_cli.tree.morton import distinct


def levels_of(tiles: Sequence[tile.Stored]) -> int:
    """Levels of the octree of the largest tile."""
    boxes = [box for stored in tiles if (box := stored.bounds()) is not None]
    return max((int((low ^ high).max()).bit_length() for low, high in boxes), default=0)


def without_columns(header: Header) -> Header:
    """`header` of a cloud that has coordinates alone. InputError for a shape that is no cloud."""
    if header.grid is None:
        raise InputError(f"only point clouds have levels; this file holds a {header.kind}")
    grid = replace(header.grid, residual=None) if header.grid.kind == "step" else header.grid
    if grid.kind != "step":
        raise InputError("a cloud that keeps every bit of its floats has no levels")
    return replace(header, columns=(), grid=grid)


def decode(stored: tile.Stored, octaves: int, device: str) -> tile.Piece:
    """A tile in cells of 2**`octaves` voxels a side."""
    codec, payload = tile.stored_geometry(stored, device)
    shape: Shape
    if isinstance(codec, Previewing):
        shape = codec.preview(payload, octaves)
    else:
        shape = codec.decode(payload)
    if not isinstance(shape, VoxelCloud):
        raise FormatError(f"tile {stored.number} decodes to another kind of shape")
    return tile.Piece(VoxelCloud(_middles(shape.voxels, octaves)), [])


def _middles(voxels: Array, octaves: int) -> Array:
    """The middle of every cell that holds one of `voxels` (n, 3), in canonical order."""
    return (distinct(voxels >> octaves) << octaves) + ((1 << octaves) >> 1)
