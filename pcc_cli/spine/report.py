"""What a compression reports: collected while sections pass by, then frozen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from pcc_cli.container import Section
from pcc_cli.spine.header import Header
from pcc_cli.spine.quality import Quality
from pcc_cli.spine.tile import Coded, Piece

_ATTRIBUTES = ("point", "face", "order")  # roles whose columns are no part of the coordinates


@dataclass(frozen=True)
class Report:
    """What came of a compression.

    kind : "points", "mesh" or "volume"
    points, faces : what was compressed: points, vertices or samples, and faces
    bytes_out : size of the file: geometry, attributes, and descriptions
    geometry_bytes : streams of the codec, and residuals of coordinates
    attribute_bytes : name -> size; "order" is that of the points
    max_error : largest distance from a point to its restored one, source units; 0.0 is exact
    grid : how coordinates are kept, in words
    quality : measure -> value, of what is lossy: what `pcc eval` measures on the decoded file
    codecs : id of each tile's codec
    device : where the codec computed
    notes : what a user should know beside the numbers
    """

    kind: str
    points: int
    faces: int
    bytes_out: int
    geometry_bytes: int
    attribute_bytes: dict[str, int]
    max_error: float
    grid: str
    quality: dict[str, float]
    codecs: list[str]
    device: str
    notes: list[str]

    @property
    def bits_per_point(self) -> float:
        """Of the whole file; 0.0 when it has no points."""
        return 8 * self.bytes_out / self.points if self.points else 0.0


class Tally:
    """Sizes of the tiles that were coded so far."""

    def __init__(self, header: Header, colours: slice | None = None) -> None:
        """colours : columns that may lose something"""
        self._header = header
        self._codecs: list[str] = []
        self._sizes: Counter[str] = Counter()  # codec id -> bytes of geometry, were it alone
        self._geometry_bytes = 0
        self._quality = Quality(header, colours)
        self._measured: dict[str, float] = {}
        self._attribute_bytes = {c.label: 0 for c in header.columns if c.role in _ATTRIBUTES}

    def add(self, piece: Piece, coded: Coded) -> Iterator[Section]:
        """Counts a tile that was made of `piece`, and hands its sections on."""
        self._quality.add(piece, coded.piece)
        self._codecs.append(coded.codec)
        self._measured = coded.quality
        self._sizes.update(coded.sizes)
        self._geometry_bytes += coded.stream_bytes
        for column, size in zip(self._header.columns, coded.column_bytes, strict=True):
            if column.role in _ATTRIBUTES:
                self._attribute_bytes[column.label] += size
            else:
                self._geometry_bytes += size
        yield from coded.sections

    def report(self, bytes_out: int, max_error: float, device: str, notes: list[str]) -> Report:
        """The report; `notes` come before those about codecs."""
        header = self._header
        return Report(
            kind=header.kind,
            points=header.count,
            faces=header.faces,
            bytes_out=bytes_out,
            geometry_bytes=self._geometry_bytes,
            attribute_bytes=self._attribute_bytes,
            max_error=max_error,
            grid=grid_text(header),
            quality={**self._quality.values(), **self._measured},
            codecs=self._codecs,
            device=device,
            notes=[*notes, *self._fallbacks()],
        )

    def _fallbacks(self) -> Iterator[str]:
        """Which codec was chosen over the one that was asked for, the first contender."""
        asked = next(iter(self._sizes), "")
        others = Counter(codec for codec in self._codecs if codec != asked)
        for codec, tiles in others.items():
            part = "" if tiles == len(self._codecs) else f" in {tiles} of {len(self._codecs)} tiles"
            yield f"{_name(codec)} stored{part}: smaller than {_name(asked)}"


def grid_text(header: Header) -> str:
    """How the coordinates are kept, in words."""
    grid = header.grid
    if header.frame is not None:
        return f"{' x '.join(map(str, header.frame.shape))} {header.frame.dtype}"
    if grid is None:
        return "coordinates as they are"
    if grid.kind == "float_bits":
        return "every bit of the floats"
    steps = " x ".join(f"{step:.12g}" for step in dict.fromkeys(grid.steps))
    if not header.lossless:
        return f"step {steps}, lossy"
    return f"step {steps}, {'exact' if grid.exact else 'rounded'}"


def _name(codec: str) -> str:
    return codec.rpartition(".")[0]
