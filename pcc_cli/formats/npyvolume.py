"""Volumes in NumPy files: an array of three axes or more is one. `npy` reads the file around it.

Axes are z, y, x, as NumPy lays out images; of four, the last is one of components when it has at
most four entries, else the first is one of time steps; five are time, z, y, x and components.
"""

from __future__ import annotations

import io
import zipfile
from typing import Any

import numpy as np

from pcc_cli.formats.samples import three
from pcc_cli.formats.talk import Note, listed
from pcc_cli.geometry import Array, Volume

_COMPONENTS = 4  # at most, of four axes
_PLACE = ("spacing", "origin", "direction")  # arrays beside the volume, x first


def is_volume(array: Array) -> bool:
    """Whether an array is no table of points."""
    return array.ndim >= 3 and array.dtype.names is None


def volume_of(array: Array, about: dict[str, Any], beside: dict[str, Array]) -> Volume:
    """The volume of `array`; ValueError for a type or number of axes that pcc does not keep.

    about : members of `source`
    beside : arrays of the same file, of which `spacing`, `origin` and `direction` say its place
    """
    kind = array.dtype
    is_bool = kind.kind == "b"
    if kind.kind not in "iufb" or kind.itemsize > 8:
        raise ValueError(f"its array is of type {kind}, which pcc does not keep")
    if array.ndim > 5:
        raise ValueError(f"an array of {array.ndim} axes; a volume has at most five")
    few = array.ndim == 4 and array.shape[3] <= _COMPONENTS
    axes = {3: "zyx", 4: "zyxc" if few else "tzyx", 5: "tzyxc"}[array.ndim]
    values = array.view(np.uint8) if is_bool else array
    source = {
        "format": "npy",
        **({} if kind.isnative and not is_bool else {"type": kind.str}),
        **({"fortran": True} if np.isfortran(array) else {}),
        **about,
    }
    place = {name: beside[name].astype(np.float64).ravel().tolist() for name in beside}
    fitting: dict[str, Any] = {n: three(place[n]) for n in _PLACE[:2] if len(place.get(n, [])) == 3}
    if len(place.get("direction", [])) == 9:
        fitting["direction"] = tuple(place["direction"])
    native = np.ascontiguousarray(values, values.dtype.newbyteorder("="))
    return Volume(native, axes, **fitting, source=source)


def find(arrays: dict[str, Array]) -> str | None:
    """The name of the array that is the volume: the largest of those that can be one."""
    found = [name for name, array in arrays.items() if is_volume(array)]
    return max(found, key=lambda name: arrays[name].size, default=None)


def write(volume: Volume, suffix: str, note: Note) -> bytes:
    """The bytes of a .npy or .npz file, the array typed and laid out as in the source."""
    own = volume.source if volume.source.get("format") == "npy" else {}
    kind = np.dtype(own.get("type", volume.values.dtype))
    stored = np.dtype(np.uint8) if kind.kind == "b" else kind
    if (stored.kind, stored.itemsize) != (volume.values.dtype.kind, volume.values.dtype.itemsize):
        kind = volume.values.dtype  # it was made wider, or is another volume
    array = volume.values.astype(kind, order="F" if own.get("fortran") else "C", copy=False)
    stream = io.BytesIO()
    np.lib.format.write_array(stream, array, allow_pickle=False)
    others: dict[str, bytes] = own.get("others", {})
    if suffix == ".npy":
        if others:
            note(f"a .npy file has no place for {listed(list(others))}")
        return stream.getvalue()
    members = {str(own.get("name", "volume")): stream.getvalue(), **(others or _place(volume))}
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for title, member in members.items():
            archive.writestr(zipfile.ZipInfo(f"{title}.npy"), member, zipfile.ZIP_DEFLATED)
    return packed.getvalue()


def _place(volume: Volume) -> dict[str, bytes]:
    """Spacing, origin and direction as members, where they say something."""
    if volume.source.get("format") == "npy":
        return {}
    members = {}
    for name, usual in zip(_PLACE, ((1.0,) * 3, (0.0,) * 3, None), strict=True):
        values = getattr(volume, name)
        if values != (usual or type(volume).direction):
            stream = io.BytesIO()
            array: Array = np.array(values).reshape((3, 3) if len(values) == 9 else 3)
            np.lib.format.write_array(stream, array)
            members[name] = stream.getvalue()
    return members
