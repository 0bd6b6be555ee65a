"""Integer images of floats, in the same order as the floats.

The bits of an IEEE 754 float, read as an unsigned integer, rise with its magnitude. Flipping the
sign bit of positive floats and all bits of negative ones makes them rise with the value; -0.0
comes just before 0.0, so that nothing is lost.
"""

from __future__ import annotations

import numpy as np

from pcc_cli.errors import FormatError
from pcc_cli.geometry import Array


def to_image(values: Array) -> tuple[Array, Array | None]:
    """(n, 3) int64 images of 32 bits, and what does not fit into them.

    values : (n, 3) float32, whose images are whole and come with None, or float64, whose images
             come as the high 32 bits and an (n, 3) uint32 array of the low ones
    """
    width = 8 * values.dtype.itemsize
    unsigned = np.dtype(f"uint{width}")
    bits = np.ascontiguousarray(values).view(unsigned)
    sign = unsigned.type(1 << (width - 1))
    image = np.where(bits & sign, ~bits, bits | sign)
    if width == 32:
        return image.astype(np.int64), None
    return (image >> np.uint64(32)).astype(np.int64), image.astype(np.uint32)


def from_image(image: Array, low: Array | None, dtype: str) -> Array:
    """The floats of `to_image`: (n, 3) of `dtype` from (n, 3) uint64 images.

    FormatError when an image is not that of a finite float: no writer makes one.
    """
    width = 8 * np.dtype(dtype).itemsize
    unsigned = np.dtype(f"uint{width}")
    if low is not None:
        image = (image << np.uint64(32)) | low
    whole = image.astype(unsigned)
    sign = unsigned.type(1 << (width - 1))
    values = np.where(whole & sign, whole ^ sign, ~whole).view(dtype)
    if not np.isfinite(values).all():
        raise FormatError("a voxel does not stand for a finite coordinate")
    return values
