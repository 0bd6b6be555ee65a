"""What an evaluation compares: codecs, ours and those of others, behind the one protocol.

A subject sees the geometry of a file on its integer grid and makes a payload that is a whole
compressed file. The run treats all subjects alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from importlib import import_module
from typing import Any, ClassVar, Protocol

from pcc_cli.codecs.base import Codec, Payload


class Subject(Codec, Protocol):
    """A codec with a name, a version and a command, so that its rows can be made again.

    keeps_attributes : whether colours and the like are in its file
    """

    keeps_attributes: ClassVar[bool]

    def version(self) -> str:
        """Of the program that codes. Raises UnsupportedError, with what to do, when it is missing.

        Whatever has to be imported or loaded once is then loaded.
        """
        ...

    def command(self) -> str:
        """Every option that shapes the file, as text."""
        ...

    def device(self) -> str:
        """Where it computes: "cpu" or "cuda"."""
        ...

    def sections(self, payload: Payload) -> dict[str, int]:
        """Part of the file -> bytes."""
        ...


@dataclass(frozen=True)
class Peer:
    """What subjects that compute on the CPU and write one stream for each part have in common."""

    keeps_attributes: ClassVar[bool] = False
    lossless: ClassVar[bool] = False
    rates: ClassVar[tuple[dict[str, Any], ...]] = ()

    def device(self) -> str:
        return "cpu"

    def sections(self, payload: Payload) -> dict[str, int]:
        return {name: len(stream) for name, stream in payload.streams.items()}


@dataclass(frozen=True)
class Setting:
    """One point of a rate-distortion curve.

    codec : name in the rows
    label : of the rate, such as "lossless", "x2" or "r03"
    subject : what codes
    divisor : the subject gets a grid coarser by this factor, where points that meet become one
    """

    codec: str
    label: str
    subject: Subject
    divisor: Fraction = Fraction(1)


def to_json(subject: Subject) -> dict[str, Any]:
    """What `from_json` makes an equal subject of, in another process."""
    kind = type(subject)
    return {"class": f"{kind.__module__}:{kind.__qualname__}", "config": subject.config()}


def from_json(record: dict[str, Any]) -> Subject:
    module, _, name = record["class"].partition(":")
    made: Subject = getattr(import_module(module), name)(**record["config"])
    return made
