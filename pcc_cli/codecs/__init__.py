"""The table of all codecs. A codec is imported when it is asked for, and torch with it."""

from __future__ import annotations

from dataclasses import fields
from importlib import import_module
from typing import Any

from pcc_cli.codecs.base import Codec
from pcc_cli.errors import UnsupportedError
from pcc_cli.geometry import Mesh, VoxelCloud

# id on disk -> "module:Class". An id is for ever; a changed bitstream is a new one.
CODECS = {
    "occupancy.1": "pcc_cli.codecs.occupancy.codec:Occupancy",
    "plain.1": "pcc_cli.codecs.plain:Plain",
}

DEFAULTS = {"points": "occupancy.1", "mesh": "plain.1"}  # kind of a file -> id


def default_for(kind: str) -> str:
    """The id of the codec that `kind` of shape ("points", "mesh") gets unless another is asked."""
    return DEFAULTS[kind]


def resolve(name: str) -> str:
    """The id that `name` means: an id, or a name without its number, which means the newest."""
    if name in CODECS:
        return name
    versions = [codec for codec in CODECS if codec.rpartition(".")[0] == name]
    if not versions:
        raise UnsupportedError(f"unknown codec '{name}'; this pcc has {', '.join(CODECS)}")
    return max(versions, key=lambda codec: int(codec.rpartition(".")[2]))


def check_takes(codec: str, kind: str) -> None:
    """UnsupportedError unless the codec with the id `codec` takes files of `kind`."""
    if not set(get(codec).accepts) & {Mesh if kind == "mesh" else VoxelCloud}:
        raise UnsupportedError(f"codec '{codec}' does not take a file with {kind}")


def get(codec: str) -> type[Codec]:
    """The class with the id `codec`, imported now; UnsupportedError when there is none."""
    if codec not in CODECS:
        raise UnsupportedError(
            f"codec '{codec}' is unknown to this pcc, which has {', '.join(CODECS)}: "
            "a newer pcc may read the file"
        )
    module, _, name = CODECS[codec].partition(":")
    found: type[Codec] = getattr(import_module(module), name)
    return found


def create(codec: str, config: dict[str, Any], device: str = "auto") -> Codec:
    """The codec `codec` with the settings `config`, on `device` if it computes on one.

    UnsupportedError for a setting that this version of the codec does not have.
    """
    found = get(codec)
    settings = {field.name for field in fields(found)}  # type: ignore[arg-type]
    where = {"device": device} if "device" in settings else {}
    unknown = set(config) - (settings - {"device"})
    if unknown:
        raise UnsupportedError(f"codec '{codec}' has no setting {', '.join(sorted(unknown))}")
    return found(**config, **where)


def settings_of(codec: Codec) -> dict[str, Any]:
    """What a file keeps of `codec.config()`: all but where it computes."""
    return {name: value for name, value in codec.config().items() if name != "device"}


def device_of(codec: Codec) -> str:
    """Where `codec` computes: "cpu" or "cuda". Raises DeviceError."""
    name = codec.config().get("device")
    if name is None:
        return "cpu"
    # Imported here: it imports torch, which a codec with a device has done before.
    from pcc_cli.nn.device import choose_device

    return choose_device(name).type
