"""The one protocol of every codec, and what it produces."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

from pcc_cli.errors import FormatError
from pcc_cli.geometry import Shape


@dataclass(frozen=True)
class Payload:
    """What a codec made of one shape.

    meta : JSON, everything the decoder must know beside the streams
    streams : name -> bytes; names are up to 4 ASCII capitals or digits, stored in this order
    """

    meta: dict[str, Any]
    streams: dict[str, bytes] = field(default_factory=dict)

    @property
    def size_bytes(self) -> int:
        return sum(len(stream) for stream in self.streams.values())

    def stream(self, name: str) -> bytes:
        """The stream `name`; FormatError when it is missing."""
        if name not in self.streams:
            raise FormatError(f"the stream '{name}' is missing")
        return self.streams[name]


class Codec(Protocol):
    """A codec is its settings: a frozen dataclass, `type(self)(**self.config())` is an equal codec.

    `exact` codecs decode to the very shape that `encode` saw, or (when lossy) to the same shape on
    every machine; the container then stores a digest of the decoded shape.
    """

    id: ClassVar[str]  # on disk, for ever: "occupancy.1"
    accepts: ClassVar[tuple[type, ...]]
    exact: ClassVar[bool]

    def config(self) -> dict[str, Any]: ...

    def encode(self, shape: Shape) -> Payload: ...

    def decode(self, payload: Payload) -> Shape: ...
