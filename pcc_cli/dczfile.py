"""A .dcz file that is read in parts: its header at once, a tile when something of it is asked for.

A tile is decoded as a whole, its digest checked; the last one is kept, so that its points and then
its attributes cost one decoding. `DczFile.read` gives everything, checked as `decompress` does.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from types import TracebackType
from typing import Any, BinaryIO

import numpy as np

from pcc_cli import api, container
from pcc_cli import grid as grids
from pcc_cli.errors import FormatError, InputError
from pcc_cli.geometry import Array, Content, Mesh, PointCloud, Volume, Whole
from pcc_cli.spine import origin, sets, tiling
from pcc_cli.spine import tile as tiles
from pcc_cli.spine.digest import DIGEST
from pcc_cli.spine.header import Header
from pcc_cli.spine.report import grid_text


class Attributes(Mapping[str, Array]):
    """Columns by name; one is decoded when it is taken. Names cost nothing."""

    def __init__(self, names: Sequence[str], load: Callable[[str], Array]) -> None:
        self._names = names
        self._load = load

    def __getitem__(self, name: str) -> Array:
        if name not in self._names:
            raise KeyError(f"no attribute '{name}'; there are {', '.join(self._names) or 'none'}")
        return self._load(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __repr__(self) -> str:
        return f"<attributes {', '.join(self._names)}>"


class Tile:
    """One tile of a `DczFile`: neighbouring points, at most two million.

    count : its points
    codec : id of its codec
    bounds : (2, 3) least and greatest coordinates, as the file describes them; None of a mesh
    """

    def __init__(self, file: DczFile, number: int, stored: tiles.Stored) -> None:
        self._file = file
        self._number = number
        self._stored = stored
        self.count = stored.points
        self.codec: str = stored.record["codec"]
        self.bounds = _bounds(stored, file.header)

    def points(self) -> Array:
        """(n, 3) coordinates, in the order of the file."""
        return self._visible().points

    @property
    def attributes(self) -> Attributes:
        """Columns (n,), in the same order."""
        return Attributes(self._file.names, lambda name: self._visible().attributes[name])

    def read(self) -> Whole:
        """The points and all attributes."""
        return self._file._decoded(self._number)[0]

    def _visible(self) -> PointCloud | Mesh:
        return _with_points(self.read())

    def touches(self, low: Array, high: Array) -> bool:
        """Whether the bounds meet the box from `low` to `high`, (3,) each."""
        if self.bounds is None:
            return self.count > 0
        return bool((self.bounds[0] <= high).all() and (self.bounds[1] >= low).all())

    def __repr__(self) -> str:
        return f"<tile {self._number}, {self.count:,} points>"


class DczFile:
    """An open .dcz file; `pcc_cli.open` makes one. Close it, or use it in a `with` statement.

    kind : "points", "mesh", "volume", or "meshes", a set
    count, faces : points, vertices or samples, and faces, that were compressed
    dtype : of the coordinates; None of a mesh that is not decoded yet
    names : of the attributes
    source : what is known of the file that was compressed
    tiles : the tiles, which are described but not decoded

    FormatError when what is read is damaged, UnsupportedError when it needs a newer pcc, ModelError
    when it needs a model that is not there.
    """

    def __init__(self, stream: BinaryIO, device: str = "auto") -> None:
        self._stream = stream
        self._device = device
        self._reader = container.Reader(stream)
        header = Header.from_json(self._reader.header)
        source = origin.join(header.source, self._section_of_file(origin.KIND))
        self.header = replace(header, source=source)
        self.kind = self.header.kind
        self.count = self.header.count
        self.faces = self.header.faces
        self.source = self.header.source
        self.dtype = np.dtype(self.header.grid.dtype) if self.header.grid else None
        self.names = [column.name for column in self.header.columns if column.role == "point"]
        self.tiles: Sequence[Tile] = _Tiles(self)
        self._entries: dict[int, list[container.Entry]] = {}
        for entry in self._reader.entries:
            self._entries.setdefault(entry[1], []).append(entry)
        if set(self._entries) - {container.WHOLE_FILE} != set(range(self.header.tiles)):
            raise FormatError("the tiles of the file do not add up to what its header says")
        self._last: tuple[int, tuple[Whole, Array | None]] | None = None

    @property
    def meshes(self) -> Mapping[str, Mesh]:
        """The meshes of a set by name; one is read and decoded when it is taken."""
        return _Meshes(self)

    def mesh_name(self, name: str) -> str:
        """The whole name of the mesh of a set called so, or called so but for its suffix.

        InputError when there is none, or more than one.
        """
        if self.kind != sets.KIND:
            raise InputError(f"the file holds no set of meshes, but {self.kind}")
        return self.header.names[sets.number_of(self.header, name)]

    @cached_property
    def _shared(self) -> dict[str, bytes]:
        """The streams that all meshes of a set share."""
        entries = [e for e in self._reader.entries if e[1] == container.WHOLE_FILE]
        found = [self._reader.section(entry) for entry in entries if entry[0] != DIGEST]
        return {section.kind: section.data for section in found}

    def _section_of_file(self, wanted: str) -> bytes | None:
        """The data of a section of the whole file; UnsupportedError for one that is unknown."""
        found = None
        for entry in self._reader.entries:
            if entry[1] == container.WHOLE_FILE and entry[0] != DIGEST:
                section = self._reader.section(entry)
                if section.kind == wanted:
                    found = section.data
                elif section.critical and self._reader.header.get("kind") != sets.KIND:
                    raise tiles.unknown(section)
        return found

    def __enter__(self) -> DczFile:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the file below; nothing more can be decoded."""
        self._last = None
        self._stream.close()

    def __len__(self) -> int:
        return self.count

    def __repr__(self) -> str:
        return f"<DczFile, {self.kind}, {self.count:,} points in {len(self.tiles)} tiles>"

    @property
    def size_bytes(self) -> int:
        """Of the file."""
        return self._stream.seek(0, io.SEEK_END)

    @property
    def grid_text(self) -> str:
        """How the coordinates are kept, in words."""
        return grid_text(self.header)

    @property
    def codecs(self) -> list[str]:
        """Ids of the codecs of all tiles."""
        return sorted({tile.codec for tile in self.tiles})

    @property
    def bounds(self) -> Array | None:
        """(2, 3) least and greatest coordinates; None of a mesh, or without points."""
        boxes = [tile.bounds for tile in self.tiles]
        known = [box for box in boxes if box is not None]
        if not known:
            return None
        lows, highs = np.stack(known).swapaxes(0, 1)
        return np.stack([lows.min(axis=0), highs.max(axis=0)])

    @property
    def attributes(self) -> Attributes:
        """Columns (n,) of the whole file, in the order of `points`."""
        return Attributes(self.names, self._column)

    def points(self) -> Array:
        """(n, 3) coordinates of the whole file, in the order of `decompress`."""
        return self._joined(lambda shape: shape.points, np.empty((0, 3), self.dtype))

    def read(self) -> Content:
        """Everything, with the digest of the whole file checked, too."""
        self._stream.seek(0)
        return api.decompress(self._stream.read(), self._device)

    def volume(
        self,
        low: Sequence[float] | None = None,
        high: Sequence[float] | None = None,
        scale: int = 1,
    ) -> Volume:
        """The samples of a volume within a box, every `scale`-th: `api.decompress_part`."""
        self._stream.seek(0)
        return api.decompress_part(self._stream.read(), low, high, scale, self._device)

    def crop(self, low: Sequence[float], high: Sequence[float]) -> PointCloud:
        """The points with low <= point <= high on every axis, with their attributes.

        Only the tiles that meet the box are read and decoded. InputError for a mesh, or for
        corners that are not three numbers each.
        """
        if self.kind != "points":
            raise InputError(f"only point clouds can be cropped; this file holds a {self.kind}")
        corners = np.array([low, high], np.float64) if len(low) == len(high) == 3 else None
        if corners is None or np.isnan(corners).any():
            raise InputError("a region needs two corners of three numbers each")
        found = [self._cropped(tile, *corners) for tile in self.tiles if tile.touches(*corners)]
        parts = [part for part, _ in found] or [self._nothing()]
        cloud = PointCloud(
            np.concatenate([part.points for part in parts]),
            {n: np.concatenate([p.attributes[n] for p in parts]) for n in self.names},
            {name: value for name, value in self.source.items() if name != "ordered"},
        )
        rows = [row for _, row in found if row is not None]
        return _taken(cloud, np.argsort(np.concatenate(rows))) if rows else cloud

    def _cropped(self, tile: Tile, low: Array, high: Array) -> tuple[PointCloud, Array | None]:
        cloud, row = self._decoded(tile._number)
        assert isinstance(cloud, PointCloud)
        inside: Array = np.logical_and.reduce((cloud.points >= low) & (cloud.points <= high), 1)
        return _taken(cloud, inside), None if row is None else row[inside]

    def _nothing(self) -> PointCloud:
        types = {c.name: c.dtype for c in self.header.columns if c.role == "point"}
        columns = {name: np.empty(0, dtype) for name, dtype in types.items()}
        return PointCloud(np.empty((0, 3), self.dtype), columns)

    def _column(self, name: str) -> Array:
        dtype = next(c.dtype for c in self.header.columns if (c.name, c.role) == (name, "point"))
        return self._joined(lambda shape: shape.attributes[name], np.empty(0, dtype))

    def _joined(self, take: Callable[[PointCloud | Mesh], Array], nothing: Array) -> Array:
        """What `take` finds in every tile, in the order of the points."""
        parts, rows = [], []
        for number in range(self.header.tiles):
            shape, row = self._decoded(number)
            parts.append(take(_with_points(shape)))
            rows += [] if row is None else [row]
        whole = np.concatenate(parts) if parts else nothing
        return whole[np.argsort(np.concatenate(rows))] if rows else whole

    def _stored(self, number: int) -> tiles.Stored:
        sections = [self._reader.section(entry) for entry in self._entries[number]]
        shared = self._shared if self.kind == sets.KIND else None
        return tiles.open_tile(number, sections, self.header, shared)

    def _described(self, number: int) -> tiles.Stored:
        """A tile without the bytes of its streams."""
        head = self._reader.section(self._entries[number][0])
        return tiles.described(number, head, self.header)

    def _decoded(self, number: int) -> tuple[Whole, Array | None]:
        """What a tile holds, and the row of each point in the source if the file says it."""
        if self._last is None or self._last[0] != number:
            piece = tiles.decode(self._stored(number), self.header, self._device)
            roles = [column.role for column in self.header.columns]
            row = piece.columns[roles.index("order")] if "order" in roles else None
            self._last = number, (tiling.restore(self.header, piece), row)
        return self._last[1]


class _Meshes(Mapping[str, Mesh]):
    def __init__(self, file: DczFile) -> None:
        self._file = file

    def __getitem__(self, name: str) -> Mesh:
        if name not in self._file.header.names:
            raise KeyError(name)
        mesh = self._file.tiles[self._file.header.names.index(name)].read()
        assert isinstance(mesh, Mesh)
        return mesh

    def __iter__(self) -> Iterator[str]:
        return iter(self._file.header.names)

    def __len__(self) -> int:
        return len(self._file.header.names)


class _Tiles(Sequence[Tile]):
    """The tiles of a file, described one at a time."""

    def __init__(self, file: DczFile) -> None:
        self._file = file

    def __len__(self) -> int:
        return self._file.header.tiles

    def __getitem__(self, number: Any) -> Any:
        if isinstance(number, slice):
            return [self[i] for i in range(*number.indices(len(self)))]
        if not -len(self) <= number < len(self):
            raise IndexError(f"tile {number} of {len(self)}")
        number %= len(self)
        return Tile(self._file, number, self._file._described(number))


def _with_points(shape: Whole) -> PointCloud | Mesh:
    if isinstance(shape, Volume):
        raise InputError("a volume has no points; `read` gives its values")
    return shape


def _taken(cloud: PointCloud, rows: Array) -> PointCloud:
    columns = {name: values[rows] for name, values in cloud.attributes.items()}
    return replace(cloud, points=cloud.points[rows], attributes=columns)


def _bounds(stored: tiles.Stored, header: Header) -> Array | None:
    """The coordinates of the corner voxels in the description of a tile."""
    voxels = stored.bounds()
    if voxels is None or header.grid is None:
        return None
    residual = None
    if header.grid.residual is not None:  # unknown before decoding: the least and the greatest
        low_bits = header.grid.residual == "low_bits"
        kind, most = ("uint32", (1 << 32) - 1) if low_bits else ("uint8", 0)
        residual = np.repeat(np.array([[0], [most]], kind), 3, axis=1)
    return grids.restore(voxels, header.grid, residual)
