"""Raw samples, x fastest. Shape and type are said by the caller, or by the name of the file.

Names as collections of volumes have them: headsq_64x64x93_uint16.raw, x first.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from pcc_cli.errors import InputError
from pcc_cli.formats.samples import DAMAGE, Layout
from pcc_cli.formats.talk import Note, silent
from pcc_cli.geometry import Volume

MESHES = False
_NAME = re.compile(r"(?<!\d)(\d+)x(\d+)x(\d+)(?:x(\d+))?(?!\d)")
_TYPE = re.compile(r"(?<![a-z])((?:u?int(?:8|16|32|64)|float(?:16|32|64)))(?![0-9])")


@dataclass(frozen=True)
class Samples:
    """What a caller says about raw samples.

    shape : z, y, x; four numbers: time steps first; five: components last
    dtype : as numpy spells it: "uint8", ">i2"; None: by the name of the file
    """

    shape: tuple[int, ...] | None = None
    dtype: str | None = None


def read(data: bytes, name: str, note: Note = silent, samples: Samples | None = None) -> Volume:
    """The volume in `data`; InputError when shape or type are unknown, or do not fit the size."""
    said = samples or Samples()
    shape, kind = said.shape or _shape_in(name), said.dtype or _type_in(name)
    if shape is None or kind is None:
        raise InputError(
            f"{name}: raw samples say nothing of themselves; "
            "give --shape Z,Y,X and --dtype TYPE, such as uint8"
        )
    try:
        dtype = np.dtype(kind)
        if dtype.kind not in "iuf" or dtype.itemsize > 8:
            raise TypeError
    except TypeError:
        raise InputError(
            f"'{kind}' is no type of samples; such as uint8, >i2 and float32 are"
        ) from None
    try:
        axes = {3: "zyx", 4: "tzyx", 5: "tzyxc"}[len(shape)]
        if said.shape is None or said.dtype is None:
            note(
                f"read as {dtype} of shape {','.join(map(str, shape))} (z, y, x), as the name says"
            )
        layout = Layout(dtype.newbyteorder("<").str if dtype.isnative else dtype.str, shape, axes)
        return layout.volume(data, {"format": "raw"})
    except DAMAGE as error:
        what = f"{len(shape)} numbers in its shape" if isinstance(error, KeyError) else str(error)
        raise InputError(f"{name}: {what}; is --shape Z,Y,X right?") from None


def write(volume: Volume, suffix: str = ".raw", note: Note = silent) -> bytes:
    """The samples alone."""
    if volume.source.get("format") != "raw":
        sizes = "x".join(map(str, Layout.of(volume).sides))
        note(f".raw files hold samples alone: {sizes} (x, y, z) of {volume.values.dtype}")
    return Layout.of(volume).stored(volume)


def _shape_in(name: str) -> tuple[int, ...] | None:
    found = _NAME.findall(name)
    if not found:
        return None
    return tuple(int(size) for size in reversed(found[-1]) if size)


def _type_in(name: str) -> str | None:
    found = _TYPE.findall(name.lower())
    return "<" + np.dtype(found[-1]).str[1:] if found else None
