"""The header of a file: what shape it holds and how the tiles add up to it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from pcc_cli import __version__
from pcc_cli.attributes import colour
from pcc_cli.entropy import columns
from pcc_cli.errors import FormatError, InputError, UnsupportedError
from pcc_cli.fields import integer, member, records
from pcc_cli.geometry import AXES_OF_VOLUMES, IDENTITY, Array, Volume, check_name
from pcc_cli.grid import Grid

KINDS = ("points", "mesh", "volume", "meshes")
ROLES = ("point", "face", "residual", "patch", "order")
COUNT_LIMIT = 1 << 48
TILES_LIMIT = (1 << 32) - 1
AXES = ("x", "y", "z")


@dataclass(frozen=True)
class Column:
    """One column that travels with the geometry.

    role : "point" and "face" are attributes; "residual" is what `grid.restore` needs beside the
           voxels, one column an axis; "patch" the bits of coordinates to flip after that, one
           column an axis, for points that are not finite; "order" is the row of each point in the
           source
    type : one of `columns.TYPES`
    """

    name: str
    type: str
    role: str = "point"

    @property
    def label(self) -> str:
        """How reports call it."""
        return self.name if self.role in ("point", "order") else f"{self.role} {self.name}"

    @property
    def dtype(self) -> np.dtype[Any]:
        return columns.type_of(self.type)


@dataclass(frozen=True)
class Member:
    """A mesh of a set: its name, and the vertices and faces that were compressed."""

    name: str
    points: int
    faces: int


@dataclass(frozen=True)
class Frame:
    """What a volume is beside its values; members as in `geometry.Volume`.

    type : of the values, one of `columns.TYPES`
    shape : one length for each of `axes`
    """

    type: str
    shape: tuple[int, ...]
    axes: str
    spacing: tuple[float, float, float]
    origin: tuple[float, float, float]
    direction: tuple[float, ...]

    @property
    def dtype(self) -> np.dtype[Any]:
        return columns.type_of(self.type)

    @classmethod
    def of(cls, volume: Volume) -> Frame:
        kind = columns.type_name(volume.values.dtype)
        place = volume.spacing, volume.origin, volume.direction
        return cls(kind, volume.values.shape, volume.axes, *place)

    def filled(self, values: Array, source: dict[str, Any]) -> Volume:
        """The volume with these values; FormatError for values of another type or shape."""
        if values.dtype != self.dtype or values.shape != self.shape:
            raise FormatError(f"the values are {values.dtype} {values.shape}, not as announced")
        native = values.astype(values.dtype.newbyteorder("="), copy=False)
        return Volume(native, self.axes, self.spacing, self.origin, self.direction, source)

    def box(
        self, low: Sequence[float] | None, high: Sequence[float] | None
    ) -> list[tuple[int, int]]:
        """First and last index but one, of z, y and x, of the samples between two places.

        low, high : x, y, z along the axes of the volume; InputError when nothing lies between
        """
        lengths = dict(zip(self.axes, self.shape, strict=True))
        found = []
        for i, axis in enumerate("xyz"):
            begin, end = 0, lengths[axis]
            if low is not None and high is not None:
                ends = ((at - self.origin[i]) / self.spacing[i] for at in (low[i], high[i]))
                least, most = sorted(ends)
                begin, end = max(math.ceil(least - 1e-9), 0), min(math.floor(most + 1e-9) + 1, end)
            if begin >= end:
                raise InputError(f"the region holds no samples along {axis}")
            found.append((begin, end))
        return found[::-1]

    def part(
        self, values: Array, box: list[tuple[int, int]], scale: int, source: dict[str, Any]
    ) -> Volume:
        """The volume of the samples of a box, every `scale`-th along each axis of space."""
        first = [-(-begin // scale) * scale for begin, _ in reversed(box)]
        steps = [s * n for s, n in zip(self.spacing, first, strict=True)]
        rows = [self.direction[i : i + 3] for i in (0, 3, 6)]
        x, y, z = (
            at + sum(d * s for d, s in zip(row, steps, strict=True))
            for at, row in zip(self.origin, rows, strict=True)
        )
        dx, dy, dz = (step * scale for step in self.spacing)
        native = values.astype(values.dtype.newbyteorder("="), copy=False)
        return Volume(native, self.axes, (dx, dy, dz), (x, y, z), self.direction, source)

    def to_json(self) -> dict[str, Any]:
        """Spacing, origin and direction only where they are not those of a plain array."""
        place = {
            "spacing": list(self.spacing) if set(self.spacing) != {1.0} else None,
            "origin": list(self.origin) if any(self.origin) else None,
            "direction": list(self.direction) if self.direction != IDENTITY else None,
        }
        shown = {name: values for name, values in place.items() if values is not None}
        return {"type": self.type, "shape": list(self.shape), "axes": self.axes, **shown}

    @classmethod
    def from_json(cls, record: Any) -> Frame:
        """The frame in `record`. Raises FormatError."""
        axes = member(record, "axes", str)
        lengths = member(record, "shape", list)
        if axes not in AXES_OF_VOLUMES or len(lengths) != len(axes):
            raise FormatError("the axes of the volume do not fit its shape")
        named = dict(zip(axes, lengths, strict=True))
        shape = tuple(integer(named, axis, 0, COUNT_LIMIT) for axis in axes)
        if math.prod(shape) > COUNT_LIMIT:
            raise FormatError(f"a volume of the shape {shape} is too large")
        kind = member(record, "type", str)
        columns.type_of(kind)
        spacing, origin, direction = (
            _floats(record, name, default)
            for name, default in (
                ("spacing", (1.0, 1.0, 1.0)),
                ("origin", (0.0, 0.0, 0.0)),
                ("direction", IDENTITY),
            )
        )
        return cls(kind, shape, axes, spacing, origin, direction)  # type: ignore[arg-type]


def _floats(record: dict[str, Any], name: str, default: tuple[float, ...]) -> tuple[float, ...]:
    """The finite numbers `record[name]`, as many as in `default`, which is taken without them."""
    values = record.get(name, list(default))
    if not isinstance(values, list) or len(values) != len(default):
        raise FormatError(f"'{name}' must have {len(default)} numbers")
    if not all(type(value) is float and math.isfinite(value) for value in values):
        raise FormatError(f"'{name}' must hold finite floats")
    return tuple(values)


@dataclass(frozen=True)
class Header:
    """kind : "points", "mesh", "volume", or "meshes", a set
    count, faces : points, vertices or samples that were compressed, and faces
    lossless : whether these come back as they were; else tiles may decode to other counts
    grid : of points; a mesh keeps its coordinates as they are
    frame : of a volume
    columns : in the order in which every tile stores them
    source : what `formats` needs to write the same kind of file again
    members : the meshes of a set, each of which is a tile
    needs : the extra without which the file cannot be read; "" for none
    """

    kind: str
    count: int
    tiles: int
    columns: tuple[Column, ...] = ()
    grid: Grid | None = None
    faces: int = 0
    lossless: bool = True
    frame: Frame | None = None
    source: dict[str, Any] = field(default_factory=dict)
    writer: str = f"pcc {__version__}"
    members: tuple[Member, ...] = ()
    needs: str = ""

    @property
    def names(self) -> list[str]:
        """Of the meshes of a set."""
        return [member.name for member in self.members]

    def place_of_colours(self) -> int | None:
        """Where red, green and blue of points follow each other, of 8 or of 16 bits."""
        for place in range(len(self.columns) - 2):
            three = self.columns[place : place + 3]
            alike = {(column.role, column.type) for column in three}
            if [column.name for column in three] == ["red", "green", "blue"] and len(alike) == 1:
                return place if self.kind == "points" and three[0].dtype in colour.TYPES else None
        return None

    def to_json(self) -> dict[str, Any]:
        rare: dict[str, Any] = {} if self.lossless else {"lossless": False}
        if self.needs:
            rare["needs"] = self.needs
        if self.frame:
            rare["volume"] = self.frame.to_json()
        if self.kind == "meshes":
            rare["meshes"] = [[m.name, m.points, m.faces] for m in self.members]
        return {
            **rare,
            "kind": self.kind,
            "count": self.count,
            "faces": self.faces,
            "tiles": self.tiles,
            "columns": [
                {"name": column.name, "type": column.type, "role": column.role}
                for column in self.columns
            ],
            "grid": self.grid.to_json() if self.grid else None,
            "source": self.source,
            "writer": self.writer,
        }

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> Header:
        """The header in `record`; FormatError, UnsupportedError for a kind of shape unknown here.

        Members that a later minor version adds are left out.
        """
        kind = member(record, "kind", str)
        if kind not in KINDS:
            raise UnsupportedError(f"the file holds a '{kind}', which this pcc does not know")
        grid = Grid.from_json(record.get("grid")) if kind == "points" else None
        frame = Frame.from_json(record.get("volume")) if kind == "volume" else None
        header = cls(
            kind=kind,
            count=integer(record, "count", 0, COUNT_LIMIT),
            faces=integer(record, "faces", 0, COUNT_LIMIT),
            tiles=integer(record, "tiles", 0, TILES_LIMIT),
            columns=tuple(_column(entry) for entry in records(record, "columns")),
            grid=grid,
            lossless=member({"lossless": True, **record}, "lossless", bool),
            frame=frame,
            source=member(record, "source", dict),
            writer=member(record, "writer", str),
            members=_members(record) if kind == "meshes" else (),
            needs=member({"needs": "", **record}, "needs", str),
        )
        header._check_consistency()
        return header

    def _check_consistency(self) -> None:
        """Names are unique within a role; residuals are there exactly when the grid has them."""
        names = Counter((column.role, column.name) for column in self.columns)
        roles = Counter(column.role for column in self.columns)
        residuals = set(AXES) if self.grid and self.grid.residual else set()
        patches = {name for role, name in names if role == "patch"}
        if any(count > 1 for count in names.values()) or roles["order"] > 1:
            raise FormatError("the file lists a column twice")
        if self.kind == "meshes" and (self.columns or self.lossless):
            raise FormatError("a set of meshes has no columns, and is not lossless")
        if self.kind == "meshes" and self != replace(self, **counted(self.members)):
            raise FormatError("the meshes of the file do not add up to what its header says")
        if self.kind in ("mesh", "volume") and self.tiles != 1:
            raise FormatError(f"a {self.kind} is one tile, not {self.tiles}")
        if self.frame and (self.columns or self.count != math.prod(self.frame.shape)):
            raise FormatError("the samples of the volume are not as many as its shape says")
        if {name for role, name in names if role == "residual"} != residuals or (
            self.kind == "points" and roles["face"]
        ):
            raise FormatError("the columns of the file do not fit its kind and grid")
        width = np.dtype(self.grid.dtype).itemsize if self.grid else 0
        kinds = {column.dtype.itemsize for column in self.columns if column.role == "patch"}
        if patches and (patches != set(AXES) or kinds != {width}):
            raise FormatError("the columns of the file do not fit its kind and grid")


def counted(members: Sequence[Member]) -> dict[str, Any]:
    """What a header says of all `members` together."""
    points, faces = sum(m.points for m in members), sum(m.faces for m in members)
    return {"count": points, "faces": faces, "tiles": len(members)}


def _members(record: dict[str, Any]) -> tuple[Member, ...]:
    """Of a set. FormatError for names that files in a folder cannot have."""
    found = []
    for entry in member(record, "meshes", list):
        if not isinstance(entry, list) or [type(part) for part in entry] != [str, int, int]:
            raise FormatError("a mesh of the set is not a name and two counts")
        try:
            check_name(entry[0])
        except InputError as error:
            raise FormatError(str(error)) from None
        if min(entry[1:]) < 0 or max(entry[1:]) > COUNT_LIMIT:
            raise FormatError(f"the mesh '{entry[0]}' cannot have {entry[1]} vertices")
        found.append(Member(*entry))
    if not found or len({one.name for one in found}) < len(found):
        raise FormatError("the set has no mesh, or two of one name")
    return tuple(found)


def _column(entry: dict[str, Any]) -> Column:
    column = Column(*(member(entry, name, str) for name in ("name", "type", "role")))
    columns.type_of(column.type)
    if column.role not in ROLES:
        raise UnsupportedError(f"a column has the role '{column.role}', unknown to this pcc")
    if column.role in ("residual", "patch", "order") and column.dtype.kind != "u":
        raise FormatError(f"the column '{column.label}' must be unsigned")
    return column
