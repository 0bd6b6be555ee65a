"""AVS fields (.fld) with samples on a uniform grid: a header of text, two form feeds, samples.

What follows the samples, their place in space, is kept as it is.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pcc_cli.formats.samples import (
    DAMAGE,
    Layout,
    arranged,
    damaged,
    first_number,
    flat,
    widened,
    without_direction,
)
from pcc_cli.formats.talk import Note, silent
from pcc_cli.geometry import Volume

MESHES = False
_MARK = b"\x0c\x0c"
_TYPES = {
    "byte": "|u1",
    "char": "|i1",
    "short": "<i2",
    "integer": "<i4",
    "int": "<i4",
    "float": "<f4",
    "double": "<f8",
    "xdr_short": ">i2",
    "xdr_integer": ">i4",
    "xdr_float": ">f4",
    "xdr_double": ">f8",
}


def read(data: bytes, name: str, note: Note = silent) -> Volume:
    """The volume in `data`; InputError when it is damaged or on another kind of grid."""
    try:
        head, mark, body = data.partition(_MARK)
        if not mark or not head.startswith(b"# AVS"):
            raise ValueError("no header that begins with '# AVS' and ends with two form feeds")
        layout, fields = _layout(head.decode("latin-1"))
        size = layout.size_bytes
        places = np.frombuffer(body[size : size + 24], ">f4" if _is_xdr(fields) else "<f4")
        source: dict[str, Any] = {
            "format": "avs",
            "header": head.decode("latin-1"),
            "rest": body[size:],
        }
        if len(places) == 6 and np.isfinite(places).all():
            layout = _placed(layout, places.reshape(3, 2).astype(float).tolist())
        return layout.volume(body[:size], source)
    except DAMAGE as error:
        raise damaged(name, "AVS field", error) from None


def write(volume: Volume, suffix: str = ".fld", note: Note = silent) -> bytes:
    """The bytes of a file, with the header of the source where that fits."""
    own = volume.source.get("format") == "avs"
    volume = without_direction(flat(volume, suffix, note), suffix, note)
    volume = widened(volume, {kind[1:] for kind in _TYPES.values()}, suffix, note)
    layout = Layout.of(volume)
    if own and _fits(str(volume.source["header"]), layout):
        head, rest = str(volume.source["header"]), bytes(volume.source["rest"])
    else:
        head, rest = _new_header(layout), _extents(layout)
    return head.encode("latin-1") + _MARK + layout.stored(volume) + rest


def _fits(head: str, layout: Layout) -> bool:
    found, _ = _layout(head)
    return (found.type, found.shape, found.axes) == (layout.type, layout.shape, layout.axes)


def _is_xdr(fields: dict[str, str]) -> bool:
    return fields["data"].lower().startswith("xdr")


def _layout(head: str) -> tuple[Layout, dict[str, str]]:
    pairs = (line.partition("=") for line in head.splitlines() if not line.startswith("#"))
    fields = {
        key.strip().lower(): value.split("#")[0].strip() for key, mark, value in pairs if mark
    }
    if fields.get("field", "uniform").lower() != "uniform":
        raise ValueError(f"a {fields['field']} grid, not a uniform one")
    if any(key.startswith(("variable", "coord")) for key in fields):
        raise ValueError("its samples are in other files")
    sizes = [int(first_number(fields[f"dim{i + 1}"])) for i in range(int(fields["ndim"]))]
    shape, axes = arranged(sizes, int(fields.get("veclen", "1")))
    return Layout(_TYPES[fields["data"].lower()], shape, axes), fields


def _placed(layout: Layout, extents: list[list[float]]) -> Layout:
    """With origin and spacing from the first and the last place along x, y and z."""
    origin = [low for low, _ in extents]
    steps = [
        (high - low) / (n - 1) if n > 1 and high > low else 1.0
        for (low, high), n in zip(extents, layout.sides, strict=True)
    ]
    return Layout(layout.type, layout.shape, layout.axes, (steps[0], steps[1], steps[2]),
                  (origin[0], origin[1], origin[2]))  # fmt: skip


def _new_header(layout: Layout) -> str:
    names = {kind: name for name, kind in _TYPES.items() if name != "int"}
    sizes = layout.sides
    lines = [
        "# AVS field file",
        "ndim = 3",
        *(f"dim{i + 1} = {size}" for i, size in enumerate(sizes)),
        "nspace = 3",
        f"veclen = {layout.components}",
        f"data = {names[layout.type]}",
        "field = uniform",
    ]
    return "\n".join(lines) + "\n"


def _extents(layout: Layout) -> bytes:
    ends = [
        (start, start + step * (n - 1))
        for start, step, n in zip(layout.origin, layout.spacing, layout.sides, strict=True)
    ]
    return np.array(ends, ">f4" if layout.type[0] == ">" else "<f4").tobytes()
