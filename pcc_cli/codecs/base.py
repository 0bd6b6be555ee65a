"""The one protocol of every codec, and what it produces."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol, runtime_checkable

from pcc_cli.errors import FormatError
from pcc_cli.geometry import Array, Mesh, MeshSet, Shape, VoxelCloud
from pcc_cli.progress import Progress as Progress
from pcc_cli.progress import silent as silent


@dataclass(frozen=True)
class Payload:
    """What a codec made of one shape.

    meta : JSON, everything the decoder must know beside the streams
    streams : name -> bytes; names are up to 4 ASCII capitals or digits, stored in this order
    quality : what a lossy codec measured that nobody else does, for the report alone
    decoded : what `decode` will give, where the encoder of a lossy codec knows it anyway
    """

    meta: dict[str, Any]
    streams: dict[str, bytes] = field(default_factory=dict)
    quality: dict[str, float] = field(default_factory=dict)
    decoded: Shape | None = field(default=None, compare=False)

    @property
    def size_bytes(self) -> int:
        return sum(len(stream) for stream in self.streams.values())

    def stream(self, name: str) -> bytes:
        """The stream `name`; FormatError when it is missing."""
        if name not in self.streams:
            raise FormatError(f"the stream '{name}' is missing")
        return self.streams[name]


def setting(default: Any, help: str) -> Any:
    """A field of a codec: what a user may choose, with one line about it."""
    return field(default=default, metadata={"help": help})


class Codec(Protocol):
    """A codec is its settings: a frozen dataclass, each field made by `setting`.

    id : on disk, for ever: "occupancy.1"
    accepts : of VoxelCloud, Mesh, Volume
    exact : `decode` gives the same shape on every machine, bit for bit, and a file holds a digest
        of it. Other codecs restore with floats; they have `integers(payload)`, all arrays that
        are decoded exactly, and the digest is of these
    lossless : that shape is the very one that `encode` saw
    rates : settings that an evaluation compares, small files first; () of lossless codecs
    """

    id: ClassVar[str]
    accepts: ClassVar[tuple[type, ...]]
    exact: ClassVar[bool]
    rates: ClassVar[tuple[dict[str, Any], ...]]

    @property
    def lossless(self) -> bool: ...

    def config(self) -> dict[str, Any]:
        """JSON, the settings without which files cannot be decoded; they go into the file.

        `type(self)(**self.config())` decodes what this codec encodes.
        """
        ...

    def encode(self, shape: Shape, progress: Progress = silent) -> Payload: ...

    def decode(self, payload: Payload) -> Shape: ...


class Inexact(Codec, Protocol):
    """A codec with `exact` False."""

    def integers(self, payload: Payload) -> list[Array]:
        """Every array that decoding makes before it turns to floats, in a fixed order."""
        ...


@runtime_checkable
class Sized(Codec, Protocol):
    """A codec that can be asked for a size of the whole file."""

    def encode_within(self, shape: Shape, around: int, progress: Progress = silent) -> Payload:
        """As `encode`; `around` bytes of the file are beside the streams."""
        ...


class SetCodec(Inexact, Protocol):
    """A codec of sets of meshes. A payload is that of one mesh, and so is what `decode` gives.

    shared : the streams that all payloads of a set have alike; a file holds them once
    """

    shared: ClassVar[tuple[str, ...]]

    def encode_set(
        self, meshes: MeshSet, around: int, progress: Progress = silent
    ) -> list[Payload]:
        """A payload for each mesh; `around` bytes of the file are beside the streams."""
        ...

    def encode_more(self, mesh: Mesh, name: str, known: Payload, progress: Progress) -> Payload:
        """The payload of a mesh that joins a set, of which `known` is another one."""
        ...

    def decode(self, payload: Payload) -> Mesh: ...


Box = list[tuple[int, int]]  # first and last index but one of z, y and x


@runtime_checkable
class Partial(Codec, Protocol):
    """A codec of volumes that decodes a part without the rest."""

    def decode_part(self, payload: Payload, box: Box, halvings: int) -> Array:
        """The values of a box, of each axis of space those whose index 2**halvings divides."""
        ...


@runtime_checkable
class Capped(Codec, Protocol):
    """A lossy codec that may have been asked for a size; what fits without loss loses nothing."""

    def most_bytes(self, shape: Shape) -> int | None:
        """Bytes that the file of `shape` may have; None where no size was asked."""
        ...


@runtime_checkable
class Previewing(Codec, Protocol):
    """A codec of clouds that decodes the first levels of an octree without the rest."""

    def preview(self, payload: Payload, octaves: int) -> VoxelCloud:
        """A voxel in each cell of 2**octaves a side."""
        ...


@runtime_checkable
class Extended(Codec, Protocol):
    """A codec with profiles whose files need an extra of pcc to be read."""

    @property
    def extra(self) -> str:
        """The extra that files of this one need; "" for none."""
        ...

    @property
    def rivals(self) -> tuple[str, ...]:
        """Profiles that may be taken in place of this one, where a user allows extras."""
        ...


def cut(values: Array, axes: str, box: Box, halvings: int) -> Array:
    """The part of all values of a volume that `Partial.decode_part` gives."""
    scale = 2**halvings
    spans = dict(zip("zyx", box, strict=True))
    place = [
        slice(-(-spans[axis][0] // scale) * scale, spans[axis][1], scale)
        if axis in spans
        else slice(None)
        for axis in axes
    ]
    return values[tuple(place)]
