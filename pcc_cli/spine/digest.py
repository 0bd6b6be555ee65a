"""Digests of shapes: BLAKE2b, 128 bits, over all numbers as little-endian bytes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np

from pcc_cli.geometry import Array, PointCloud, Shape, Volume, VoxelCloud

DIGEST = "HASH"  # kind of the section with the digest of the whole shape
SIZE_BYTES = 16


class Digest:
    """A running digest."""

    def __init__(self) -> None:
        self._hash = hashlib.blake2b(digest_size=SIZE_BYTES)

    def update(self, arrays: Iterable[Array]) -> None:
        """Append the rows of each array."""
        for array in arrays:
            little = array.dtype.newbyteorder("<")
            self._hash.update(np.ascontiguousarray(array, dtype=little).tobytes())

    def value(self) -> bytes:
        return self._hash.digest()


def arrays_of(shape: Shape) -> list[Array]:
    """All numbers of `shape`, in the order in which digests take them."""
    if isinstance(shape, VoxelCloud):
        return [shape.voxels]
    if isinstance(shape, Volume):
        return [shape.values]
    if isinstance(shape, PointCloud):
        return [shape.points, *shape.attributes.values()]
    faces = [shape.face_sizes.astype("<i4"), shape.face_indices.astype("<i8")]
    return [
        shape.points,
        *faces,
        *shape.attributes.values(),
        *shape.face_attributes.values(),
    ]
