"""The network of a set, and a mesh of it, to bytes and back: docs/format-necgs.md.

network: plan | model | for each matrix: step, bell | step of features
         | bell of each channel of features | range-coded integers of all matrices
mesh: flags, frame | range-coded integers of its features
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from pcc_cli.codecs.necgs import band as bands
from pcc_cli.codecs.necgs.network import FEATURES, NODES, TAPS, Plan
from pcc_cli.entropy.bells import BELLS, REACH, bell, best
from pcc_cli.entropy.rangecoder import RangeDecoder, RangeEncoder
from pcc_cli.errors import FormatError
from pcc_cli.geometry import Array
from pcc_cli.levelset.solid import Frame

SIDES = (16, 32, 64, 128, 256)
MOST_CHANNELS = 128
_PLAN = struct.Struct("<HB")
_MESH = struct.Struct("<B4d")
_DOUBLE = 1
_SHA256 = 32  # bytes
Unknown = Callable[[str], int]


class ModelName(NamedTuple):
    """id : of an installed model; sha256 : hex, of its config and weights"""

    id: str
    sha256: str


@dataclass(frozen=True)
class Network:
    """What all meshes share.

    weights : name -> (rows, columns) int64, -REACH .. REACH; if the model has them, differences
    codes : name -> code of their step
    feature_code, bells : code of the step of features, and the bell of each of their channels
    """

    plan: Plan
    weights: dict[str, Array]
    codes: dict[str, int]
    feature_code: int
    bells: tuple[int, ...]
    model: ModelName | None = None

    def integers(self) -> list[Array]:
        """All that was decoded."""
        head = [self.plan.side, self.plan.taps, *self.plan.channels, self.feature_code]
        name = [] if self.model is None else [np.frombuffer(_pack_model(self.model), np.uint8)]
        return [np.array([*head, *self.codes.values()], np.int64), *name, *self.weights.values()]


@dataclass(frozen=True)
class Place:
    """frame : of the mesh in the cube; double : whether vertices are float64, not float32"""

    frame: Frame
    double: bool


def bells_of(features: Array) -> tuple[int, ...]:
    """The bells of all channels; features : (meshes, NODES, FEATURES) int64"""
    return tuple(best(features[:, :, channel].ravel()) for channel in range(FEATURES))


def pack_network(network: Network) -> bytes:
    plan, weights = network.plan, network.weights
    chosen = {name: best(values.ravel()) for name, values in weights.items()}
    coder = RangeEncoder()
    for name, values in weights.items():
        coder.encode((values.ravel() + REACH).astype(np.int32), _tables(chosen[name], values.size))
    head = _PLAN.pack(plan.side, plan.taps) + bytes(plan.channels) + _pack_model(network.model)
    pairs = bytes(b for name in weights for b in (network.codes[name], chosen[name]))
    return head + pairs + bytes([network.feature_code, *network.bells]) + coder.finish()


@lru_cache(maxsize=2)
def unpack_network(data: bytes) -> Network:
    """What `pack_network` took; the last ones are kept. FormatError."""
    plan = _plan(data)
    shapes = plan.shapes()
    start = _PLAN.size + len(plan.channels)
    model, start = _model(data, start)
    codes, bells, rest = (data[start : start + 2 * len(shapes)][k::2] for k in (0, 1, 0))
    start += 2 * len(shapes)
    rest = data[start : start + 1 + FEATURES]
    if len(rest) <= FEATURES or max(*bells, *rest[1:]) >= BELLS:
        raise FormatError("the description of a set's network is cut off or damaged")
    coder = RangeDecoder(data[start + 1 + FEATURES :])
    weights = {}
    for (name, shape), number in zip(shapes.items(), bells, strict=True):
        symbols = coder.decode(_tables(number, shape[0] * shape[1]))
        weights[name] = symbols.reshape(shape).astype(np.int64) - REACH
    coder.finish()
    named = dict(zip(shapes, codes, strict=True))
    return Network(plan, weights, named, rest[0], tuple(rest[1:]), model)


def pack_mesh(network: Network, place: Place, features: Array) -> bytes:
    """features : (NODES, FEATURES) int64"""
    coder = RangeEncoder()
    coder.encode((features.ravel() + REACH).astype(np.int32), _feature_tables(network))
    frame = place.frame
    head = _MESH.pack(_DOUBLE * place.double, *frame.centre, frame.radius)
    return head + coder.finish()


def unpack_mesh(network: Network, data: bytes) -> tuple[Place, Array]:
    """What `pack_mesh` took. FormatError."""
    if len(data) < _MESH.size:
        raise FormatError("the description of a mesh is cut off")
    flags, *centre, radius = _MESH.unpack_from(data)
    if flags > _DOUBLE or not (np.isfinite([*centre, radius]).all() and radius > 0):
        raise FormatError("a mesh of the set has no place or no size")
    coder = RangeDecoder(data[_MESH.size :])
    symbols = coder.decode(_feature_tables(network))
    coder.finish()
    place = Place(replace(Frame(np.array(centre), radius)), bool(flags))
    return place, symbols.reshape(NODES, FEATURES).astype(np.int64) - REACH


def head_of(data: bytes) -> Array:
    """The bytes of a mesh before its features."""
    return np.frombuffer(data[: _MESH.size], np.uint8)


def _plan(data: bytes) -> Plan:
    if len(data) < _PLAN.size:
        raise FormatError("the description of a set's network is cut off")
    side, taps = _PLAN.unpack_from(data)
    if side not in SIDES or taps not in TAPS:
        raise FormatError(f"a set on a grid of {side} with {taps} taps is unknown to this pcc")
    stages = len(bands.sides(side))
    channels = tuple(data[_PLAN.size : _PLAN.size + stages])
    if len(channels) < stages or not all(1 <= c <= MOST_CHANNELS for c in channels):
        raise FormatError("the channels of a set's network are cut off or out of bounds")
    return Plan(side, channels, taps)


def _pack_model(model: ModelName | None) -> bytes:
    if model is None:
        return b"\0"
    name = model.id.encode("ascii")
    return bytes([len(name)]) + name + bytes.fromhex(model.sha256)


def _model(data: bytes, start: int) -> tuple[ModelName | None, int]:
    """What `_pack_model` made, and where it ends."""
    length = data[start] if start < len(data) else 0
    name, digest = start + 1, start + 1 + length
    if not length:
        return None, name
    end = digest + _SHA256
    if end > len(data) or not data[name:digest].isascii():
        raise FormatError("the model that a set's network is coded to is cut off or damaged")
    return ModelName(data[name:digest].decode("ascii"), data[digest:end].hex()), end


def _tables(number: int, rows: int) -> Array:
    return np.broadcast_to(bell(number), (rows, 2 * REACH + 1))


def _feature_tables(network: Network) -> Array:
    tables = np.stack([bell(number) for number in network.bells])
    return np.tile(tables, (NODES, 1))
