"""The header of a file: what shape it holds and how the tiles add up to it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pcc_cli import __version__
from pcc_cli.entropy import columns
from pcc_cli.errors import FormatError, UnsupportedError
from pcc_cli.fields import integer, member, records
from pcc_cli.grid import Grid

KINDS = ("points", "mesh")
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
class Header:
    """kind : "points" or "mesh"
    count, faces : points or vertices of the whole file, and faces
    grid : of points; a mesh keeps its coordinates as they are
    columns : in the order in which every tile stores them
    source : what `formats` needs to write the same kind of file again
    """

    kind: str
    count: int
    tiles: int
    columns: tuple[Column, ...] = ()
    grid: Grid | None = None
    faces: int = 0
    source: dict[str, Any] = field(default_factory=dict)
    writer: str = f"pcc {__version__}"

    def to_json(self) -> dict[str, Any]:
        return {
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
        header = cls(
            kind=kind,
            count=integer(record, "count", 0, COUNT_LIMIT),
            faces=integer(record, "faces", 0, COUNT_LIMIT),
            tiles=integer(record, "tiles", 0, TILES_LIMIT),
            columns=tuple(_column(entry) for entry in records(record, "columns")),
            grid=grid,
            source=member(record, "source", dict),
            writer=member(record, "writer", str),
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
        if self.kind == "mesh" and self.tiles != 1:
            raise FormatError(f"a mesh is one tile, not {self.tiles}")
        if {name for role, name in names if role == "residual"} != residuals or (
            self.kind == "points" and roles["face"]
        ):
            raise FormatError("the columns of the file do not fit its kind and grid")
        width = np.dtype(self.grid.dtype).itemsize if self.grid else 0
        kinds = {column.dtype.itemsize for column in self.columns if column.role == "patch"}
        if patches and (patches != set(AXES) or kinds != {width}):
            raise FormatError("the columns of the file do not fit its kind and grid")


def _column(entry: dict[str, Any]) -> Column:
    column = Column(*(member(entry, name, str) for name in ("name", "type", "role")))
    columns.type_of(column.type)
    if column.role not in ROLES:
        raise UnsupportedError(f"a column has the role '{column.role}', unknown to this pcc")
    if column.role in ("residual", "patch", "order") and column.dtype.kind != "u":
        raise FormatError(f"the column '{column.label}' must be unsigned")
    return column
