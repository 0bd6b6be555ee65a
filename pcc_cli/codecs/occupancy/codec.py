"""The default codec for point clouds: an octree whose occupancy bits a network predicts.

encode and decode walk the same levels and stages (`_walk`) and differ only in where a bit comes
from: the tree, or the range decoder. Everything the probabilities depend on is an integer, so a
file decodes to the same points on every machine.

Streams: "OCCU", the bits; "MULT", only when points coincide, how often each voxel occurs; "GAPX",
"GAPY", "GAPZ", only where an axis is stored as ranks (`codecs.ranks`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from pcc_cli.codecs import multiplicity, ranks
from pcc_cli.codecs.base import Payload, Progress, setting, silent
from pcc_cli.codecs.occupancy.model import OccupancyModel, load_model
from pcc_cli.codecs.occupancy.network import STAGES, LevelStep
from pcc_cli.entropy.logistic import PROBABILITY_BITS
from pcc_cli.entropy.rangecoder import RangeDecoder, RangeEncoder
from pcc_cli.errors import FormatError, InputError
from pcc_cli.fields import integer, member
from pcc_cli.geometry import Shape, VoxelCloud
from pcc_cli.nn.device import compute
from pcc_cli.nn.turns import Turns
from pcc_cli.tree import neighbours, octree
from pcc_cli.tree.coder import BitCoder
from pcc_cli.tree.contexts import LevelContexts
from pcc_cli.tree.morton import morton_order
from pcc_cli.tree.stage import Known

Array = np.ndarray[Any, Any]

MAX_DEPTH = 32
MAX_VOXELS = 1 << 21  # of one payload; larger clouds come in tiles
# Surfaces have three voxels or more for each node of the level above them, scans hardly more than
# one. On surfaces half of the bits are certain enough to be coded the quick way, and blocks may
# grow early, for 0.3 % more bytes; elsewhere few bits are certain, and every count helps.
DENSE = 2
ON_SURFACES = {"certain": 400, "growth": 8}
ELSEWHERE = {"certain": 0, "growth": 9}

# (level, stage, rows that are coded, what is known of them) -> their bits (n,) uint8
Exchange = Callable[[int, int, Any, Known], Array]


@dataclass(frozen=True)
class Occupancy:
    """The codec; its fields are its settings."""

    id: ClassVar[str] = "occupancy.1"
    accepts: ClassVar[tuple[type, ...]] = (VoxelCloud,)
    exact: ClassVar[bool] = True
    lossless: ClassVar[bool] = True
    rates: ClassVar[tuple[dict[str, Any], ...]] = ()

    model: str = setting("occupancy-1", "id of the trained network")
    device: str = setting("auto", "where it runs; not part of the file, which is the same on all")

    def config(self) -> dict[str, Any]:
        """The settings, as JSON."""
        return asdict(self)

    def encode(self, shape: Shape, progress: Progress = silent) -> Payload:
        """The payload of a VoxelCloud of at most MAX_VOXELS points.

        Raises ModelError when the model is missing or damaged.
        """
        if not isinstance(shape, VoxelCloud) or len(shape) > MAX_VOXELS:
            raise InputError(f"occupancy takes a VoxelCloud of at most {MAX_VOXELS} points")
        if not len(shape):
            return Payload({"points": 0})
        voxels, counts = multiplicity.split(shape.voxels)
        repeats_about, repeats = multiplicity.encode(counts)
        voxels, ranks_about, gaps = ranks.encode(voxels)
        if gaps:
            voxels = voxels[morton_order(voxels)]
        base, depth = _root_cell(voxels)
        meta = {
            "points": len(shape),
            "voxels": len(voxels),
            "base": base.tolist(),
            "depth": depth,
            **repeats_about,
            **ranks_about,
        }
        if not depth:
            return Payload(meta, {**gaps, **repeats})
        tree = octree.build(voxels - base, depth)
        meta |= ON_SURFACES if len(voxels) >= DENSE * len(tree.codes[-1]) else ELSEWHERE

        def encoded(device: torch.device) -> tuple[OccupancyModel, bytes]:
            model = load_model(self.model, None, device)
            return model, _encode_tree(model, tree, _bit_coder(meta))

        model, stream = compute(self.device, encoded)
        meta["model"] = {"id": model.id, "sha256": model.sha256}
        return Payload(meta, {"OCCU": stream, **gaps, **repeats})

    def decode(self, payload: Payload) -> VoxelCloud:
        """The VoxelCloud that was encoded.

        Raises FormatError when the payload is damaged, ModelError when its model is not installed.
        """
        meta = payload.meta
        points = integer(meta, "points", 0, MAX_VOXELS)
        if not points:
            return VoxelCloud(np.zeros((0, 3), dtype=np.int64))
        count = integer(meta, "voxels", 1, points)
        depth = integer(meta, "depth", 0, MAX_DEPTH)
        voxels = np.zeros((1, 3), dtype=np.int64)
        if depth:
            recorded, stream = member(meta, "model", dict), payload.stream("OCCU")
            named = member(recorded, "id", str), member(recorded, "sha256", str)
            tree = compute(
                self.device,
                lambda device: _decode_tree(
                    load_model(*named, device), stream, _bit_coder(meta), depth, count
                ),
            )
            voxels = octree.voxels_of(tree)
        if len(voxels) != count:
            raise FormatError(f"the tree holds {len(voxels)} voxels, its header says {count}")
        voxels += _base(meta, depth)
        if "ranks" in meta:
            voxels = ranks.restore(voxels, payload)
            voxels = voxels[morton_order(voxels)]
        return VoxelCloud(multiplicity.restore(voxels, payload, points))


def _root_cell(voxels: Array) -> tuple[Array, int]:
    """Corner (3,) and depth of the smallest octree cell that holds all `voxels`."""
    low, high = voxels.min(0), voxels.max(0)
    depth = int((low ^ high).max()).bit_length()
    return (low >> depth) << depth, depth


def _base(meta: dict[str, Any], depth: int) -> Array:
    """The corner (3,) of the root cell, from a file."""
    values = member(meta, "base", list)
    if len(values) != 3:
        raise FormatError(f"a root cell has three coordinates, not {len(values)}")
    axes = dict(zip("xyz", values, strict=True))
    corner = np.array([integer(axes, axis, 0, (1 << MAX_DEPTH) - 1) for axis in "xyz"])
    if (corner & ((1 << depth) - 1)).any():
        raise FormatError(f"the root cell at {corner.tolist()} is not on the grid of its depth")
    return corner


def _bit_coder(meta: dict[str, Any]) -> BitCoder:
    """A new coder with the settings of a file."""
    rarest = integer(meta, "certain", 0, 1 << (PROBABILITY_BITS - 1))
    return BitCoder(rarest, integer(meta, "growth", 0, 32))


def _encode_tree(model: OccupancyModel, tree: octree.Octree, coder: BitCoder) -> bytes:
    """The stream of a tree; with several threads, bits are coded while the next are predicted."""
    encoder = RangeEncoder()
    beside = model.layers.device.type != "cpu" or torch.get_num_threads() > 1

    def exchange(level: int, stage: int, rows: Any, known: Known) -> Array:
        bits: Array = (tree.codes[level][rows] >> stage) & 1
        if not stage:
            turns.take(coder.begin_level)
        turns.take(partial(coder.encode, encoder, stage, known, bits))
        return bits

    with Turns(beside) as turns:
        for _ in _walk(model, tree.depth, MAX_VOXELS, exchange):
            pass
    return encoder.finish()


def _decode_tree(
    model: OccupancyModel, stream: bytes, coder: BitCoder, depth: int, voxels: int
) -> octree.Octree:
    """The tree of a stream; FormatError as soon as a level would have more than `voxels` nodes."""
    decoder = RangeDecoder(stream)

    def exchange(level: int, stage: int, rows: Any, known: Known) -> Array:
        if not stage:
            coder.begin_level()
        return coder.decode(decoder, stage, known)

    tree = octree.Octree(list(_walk(model, depth, voxels, exchange)))
    decoder.finish()
    return tree


def _walk(model: OccupancyModel, depth: int, most: int, exchange: Exchange) -> Iterator[Array]:
    """The codes (n,) uint8 of each level, root first; `exchange` turns predictions into bits.

    Raises FormatError as soon as a level would have more than `most` nodes.
    """
    device = model.layers.device
    level = neighbours.root(device)
    state = torch.zeros(1, model.config.channels, dtype=torch.uint8, device=device)
    parent_codes = torch.full((1,), 255, dtype=torch.uint8, device=device)
    for number in range(depth):
        step = LevelStep(model.config, model.layers, level, state, parent_codes)
        context = LevelContexts(level, parent_codes)
        codes = torch.zeros(len(level), dtype=torch.uint8, device=device)
        for stage in range(STAGES):
            # A node has a child: where all others are missing, the last is there, uncoded.
            rows = (codes != 0 if stage == STAGES - 1 else codes >= 0).cpu().numpy()
            known = _known(step.predict(stage, codes), context, stage, codes)
            bits = np.ones(len(codes), dtype=np.uint8)
            bits[rows] = exchange(number, stage, rows, known[rows])
            codes |= torch.from_numpy(bits).to(device) << stage
        finished = codes.cpu().numpy()
        yield finished
        if number + 1 < depth:
            if int(octree.POPCOUNT[finished].sum(dtype=np.int64)) > most:
                raise FormatError(f"the tree grows beyond the {most} voxels of its header")
            state = step.state(codes)
            level, parent_codes = neighbours.children(level, codes), codes


def _known(logits: Tensor, contexts: LevelContexts, stage: int, codes: Tensor) -> Known:
    """What the bit coder takes, on the CPU."""
    context = contexts.at(stage, codes)
    return Known(
        *(
            tensor.cpu().numpy()
            for tensor in (
                logits,
                context.touching,
                context.siblings,
                context.crowd,
                context.lineage,
                context.sides,
                context.faces,
                context.cells,
            )
        )
    )
