"""The table of all codecs. A codec is imported when it is asked for, and torch with it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from importlib import import_module
from typing import Any

from pcc_cli.codecs import settings
from pcc_cli.codecs.base import Codec
from pcc_cli.errors import UnsupportedError
from pcc_cli.geometry import Content, Mesh, MeshSet, PointCloud, Volume, VoxelCloud

# id on disk -> "module:Class". An id is for ever; a changed bitstream is a new one.
CODECS = {
    "necgs.1": "pcc_cli.codecs.necgs.codec:Necgs",
    "keyspheres.1": "pcc_cli.codecs.keyspheres.codec:Keyspheres",
    "neurcomp.1": "pcc_cli.codecs.neurcomp.codec:Neurcomp",
    "deepcompress.1": "pcc_cli.codecs.deepcompress.codec:DeepCompress",
    "occupancy.1": "pcc_cli.codecs.occupancy.codec:Occupancy",
    "plain.1": "pcc_cli.codecs.plain:Plain",
}

# Kind of a file -> id, and the shape that its codecs get.
DEFAULTS = {
    "points": "occupancy.1",
    "mesh": "plain.1",
    "volume": "plain.1",
    "meshes": "necgs.1",
}
# Kind -> id of the lossy codec that is meant when a size or a quality is asked and no codec.
LOSSY = {"volume": "neurcomp.1"}
SHAPES = {"points": VoxelCloud, "mesh": Mesh, "volume": Volume, "meshes": MeshSet}
PLURALS = {
    "points": "point clouds",
    "mesh": "single meshes",
    "volume": "volumes",
    "meshes": "sets of meshes",
}
PIECES = {**SHAPES, "meshes": Mesh}  # what a tile holds


def kind_of(shape: Content) -> str:
    """How files, reports and options call this kind of shape."""
    kinds = {PointCloud: "points", Mesh: "mesh", Volume: "volume", MeshSet: "meshes"}
    return kinds[type(shape)]


def default_for(kind: str, given: Collection[str] = ()) -> str:
    """The id of the codec that `kind` of shape gets unless another is asked.

    given : names of settings; one that only the lossy codec of this kind has asks for that
    """
    usual, lossy = DEFAULTS[kind], LOSSY.get(kind)
    if lossy and set(given) & (set(settings.of(get(lossy))) - set(settings.of(get(usual)))):
        return lossy
    return usual


def compared(kind: str) -> tuple[str, ...]:
    """The ids of the codecs that an evaluation of this kind of shape is about, unless told."""
    lossy = LOSSY.get(kind)
    return (*([lossy] if lossy else []), DEFAULTS[kind])


def resolve(name: str) -> str:
    """The id that `name` means: an id, or a name without its number, which means the newest."""
    if name in CODECS:
        return name
    versions = [codec for codec in CODECS if codec.rpartition(".")[0] == name]
    if not versions:
        raise UnsupportedError(f"unknown codec '{name}'; this pcc has {', '.join(CODECS)}")
    return max(versions, key=lambda codec: int(codec.rpartition(".")[2]))


def takes_sets(codec: str) -> bool:
    """Whether the codec with the id `codec` takes many meshes at once."""
    return MeshSet in get(codec).accepts


def is_ours(name: str) -> bool:
    """Whether a row of an evaluation with this codec is of pcc: an id, or "id:variant"."""
    return name.partition(":")[0] in CODECS


def check_takes(codec: str, kind: str, names: Collection[str] = ()) -> None:
    """UnsupportedError unless the codec with the id `codec` takes files of `kind`, and settings
    of these names; it says which codecs do."""
    if SHAPES[kind] not in get(codec).accepts:
        raise UnsupportedError(
            f"codec '{codec}' does not take {PLURALS[kind]}; {_those_with(kind, ())} does"
        )
    try:
        _check_settings(codec, names)
    except UnsupportedError as error:
        others = _those_with(kind, names)
        instead = f"; for {PLURALS[kind]} {others} has it (--codec)" if others else ""
        raise UnsupportedError(f"{error}{instead}") from None


def _those_with(kind: str, names: Collection[str]) -> str:
    """The codecs of a kind of file that have these settings."""
    able = [id for id in CODECS if SHAPES[kind] in get(id).accepts]
    return " or ".join(id for id in able if set(names) <= set(settings.of(get(id))))


def _check_settings(codec: str, names: Collection[str]) -> None:
    known = settings.of(get(codec))
    unknown = sorted(set(names) - set(known))
    if unknown:
        have = ", ".join(sorted(set(known) - {"device"})) or "none"
        raise UnsupportedError(f"codec '{codec}' has no setting {', '.join(unknown)}, only: {have}")


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


def create(codec: str, config: Mapping[str, Any], device: str = "auto") -> Codec:
    """The codec `codec` with the settings `config`, on `device` if it computes on one.

    UnsupportedError for a setting that the codec does not have, InputError for a wrong value.
    """
    found = get(codec)
    _check_settings(codec, config)
    given = settings.values(found, config)
    if "device" in settings.of(found):
        given = {"device": device, **given}
    return found(**given)


def settings_of(codec: Codec) -> dict[str, Any]:
    """What a file keeps of `codec.config()`: all but where it computes."""
    return {name: value for name, value in codec.config().items() if name != "device"}


def device_of(codec: Codec) -> str:
    """Where `codec` computes: "cpu" or "cuda". Raises DeviceError."""
    name = getattr(codec, "device", None)
    if name is None:
        return "cpu"
    # Imported here: it imports torch, which a codec with a device has done before.
    from pcc_cli.nn.device import choose_device

    return choose_device(name).type
