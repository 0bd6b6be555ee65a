"""The default codec for point clouds: an octree whose occupancy bits a network predicts.

encode and decode walk the same levels and stages (`_walk`) and differ only in where a bit comes
from: the tree, or the range decoder. Everything the probabilities depend on is an integer, so a
file decodes to the same points on every machine.

With a `quality`, the finest levels are not coded but grown (`lossy.py`), by the same walk.

Streams: "OCCU", the bits; "MULT", only when points coincide, how often each voxel occurs; "GAPX",
"GAPY", "GAPZ", only where an axis is stored as ranks (`codecs.ranks`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from torch import Tensor

from pcc_cli.codecs import multiplicity, ranks
from pcc_cli.codecs.base import Payload, Progress, setting, silent
from pcc_cli.codecs.occupancy import lossy
from pcc_cli.codecs.occupancy.lossy import DENSE, Loss
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
MAX_VOXELS = 1 << 22  # of one payload; larger clouds come in tiles
LISTED = 4096  # bytes of a stream from which on the sizes of its levels are worth their room
# Surfaces have three voxels or more for each node of the level above them, scans hardly more than
# one. On surfaces half of the bits are certain enough to be coded the quick way, and blocks may
# grow early, for 0.3 % more bytes; elsewhere few bits are certain, and every count helps.
ON_SURFACES = {"certain": 400, "growth": 8}
ELSEWHERE = {"certain": 0, "growth": 9}

# (level, stage, rows (k,) that are coded, what is known of them) -> their bits (k,) uint8
Exchange = Callable[[int, int, Array, Known], Array]


@dataclass(frozen=True)
class Occupancy:
    """The codec; its fields are its settings."""

    id: ClassVar[str] = "occupancy.1"
    accepts: ClassVar[tuple[type, ...]] = (VoxelCloud,)
    exact: ClassVar[bool] = True
    rates: ClassVar[tuple[dict[str, Any], ...]] = tuple(
        {"quality": quality} for quality in (33, 42, 50, 58, 67, 75, 83, 92)
    )

    model: str = setting("occupancy-1", "id of the trained network")
    device: str = setting("auto", "where it runs; not part of the file, which is the same on all")
    quality: float | None = setting(None, "1 (small) to 100 (near); without it, lossless")

    def __post_init__(self) -> None:
        if self.quality is not None and not 1 <= self.quality <= 100:
            raise InputError(f"--quality must be in 1 .. 100, not {self.quality:g}")

    @property
    def lossless(self) -> bool:
        return self.quality is None

    def config(self) -> dict[str, Any]:
        """What decoding needs beside the payload, which names its model itself: nothing."""
        return {}

    def encode(self, shape: Shape, progress: Progress = silent) -> Payload:
        """The payload of a VoxelCloud of at most MAX_VOXELS points.

        Raises ModelError when the model is missing or damaged.
        """
        if not isinstance(shape, VoxelCloud) or len(shape) > MAX_VOXELS:
            raise InputError(f"occupancy takes a VoxelCloud of at most {MAX_VOXELS} points")
        if not len(shape):
            return Payload({"points": 0})
        voxels, counts = multiplicity.split(shape.voxels)
        if self.quality is not None:
            return self._encode_coarse(voxels, lossy.choose(voxels, self.quality))
        repeats_about, repeats = multiplicity.encode(counts)
        voxels, ranks_about, gaps = ranks.encode(voxels)
        if gaps:
            voxels = voxels[morton_order(voxels)]
        meta = {"points": len(shape), "voxels": len(voxels), **repeats_about, **ranks_about}
        about, streams, _ = self._encode_voxels(voxels, Loss())
        return Payload(meta | about, {**streams, **gaps, **repeats})

    def _encode_coarse(self, voxels: Array, loss: Loss) -> Payload:
        """The payload of distinct voxels, each kept about once."""
        cells = np.unique(lossy.coarser(voxels, loss.scale), axis=0)
        about, streams, decoded = self._encode_voxels(cells[morton_order(cells)], loss)
        meta = {"points": len(decoded), "voxels": len(decoded), **about}
        return Payload(meta, streams, decoded=VoxelCloud(_spread(decoded, loss)))

    def _encode_voxels(
        self, voxels: Array, loss: Loss
    ) -> tuple[dict[str, Any], dict[str, bytes], Array]:
        """Members for the meta and the stream of a tree, and the voxels that it decodes to."""
        base, depth = _root_cell(voxels)
        loss = replace(loss, grown=min(loss.grown, depth), sure=loss.sure if depth else 0)
        meta = {"base": base.tolist(), "depth": depth, **loss.to_json()}
        if not depth:
            return meta, {}, voxels
        tree = octree.build(voxels - base, depth)
        meta |= ON_SURFACES if len(voxels) >= DENSE * len(tree.codes[-1]) else ELSEWHERE

        def encoded(device: torch.device) -> tuple[OccupancyModel, _Coded]:
            model = load_model(self.model, None, device)
            return model, _encode_tree(model, tree, _bit_coder(meta), loss)

        model, coded = compute(self.device, encoded)
        meta["model"] = {"id": model.id, "sha256": model.sha256}
        if len(coded.stream) >= LISTED:
            meta["levels"] = coded.level_bytes
        decoded = octree.voxels_of(coded.tree) + base if loss.grown else voxels
        return meta, {"OCCU": coded.stream}, decoded

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
        loss = Loss.from_json(meta, depth)
        if depth:
            voxels = octree.voxels_of(self._decoded_tree(payload, depth, loss, count))
        if len(voxels) != count:
            raise FormatError(f"the tree holds {len(voxels)} voxels, its header says {count}")
        voxels += _base(meta, depth)
        if loss != Loss():
            return VoxelCloud(_spread(voxels, loss))
        if "ranks" in meta:
            voxels = ranks.restore(voxels, payload)
            voxels = voxels[morton_order(voxels)]
        return VoxelCloud(multiplicity.restore(voxels, payload, points))

    def preview(self, payload: Payload, octaves: int) -> VoxelCloud:
        """A voxel in each cell of 2**octaves a side; only the levels above are decoded.

        Errors as in `decode`.
        """
        meta = payload.meta
        depth = integer(meta, "depth", 0, MAX_DEPTH) if meta.get("points") else 0
        loss = Loss.from_json(meta, depth)
        inner = octaves - (loss.scale // lossy.UNIT).bit_length() + 1  # octaves within the tree
        if "ranks" in meta or loss.scale % lossy.UNIT or not 0 < inner < depth:
            return self.decode(payload)
        count = integer(meta, "voxels", 1, MAX_VOXELS)
        cells = octree.voxels_of(self._decoded_tree(payload, depth - inner, loss, count))
        return VoxelCloud(_spread((cells << inner) + _base(meta, depth), loss))

    def _decoded_tree(
        self, payload: Payload, levels: int, loss: Loss, voxels: int
    ) -> octree.Octree:
        """The first `levels` of the tree; FormatError when one has more than `voxels` nodes."""
        meta = payload.meta
        recorded, stream = member(meta, "model", dict), payload.stream("OCCU")
        named = member(recorded, "id", str), member(recorded, "sha256", str)
        depth = integer(meta, "depth", 0, MAX_DEPTH)

        def decoded(device: torch.device) -> octree.Octree:
            walk = _Walk(load_model(*named, device), depth, loss, voxels)
            return _decode_tree(walk, stream, _bit_coder(meta), levels)

        return compute(self.device, decoded)


def _spread(voxels: Array, loss: Loss) -> Array:
    """Decoded voxels on the grid of the source, in canonical order."""
    spread = lossy.finer(voxels, loss.scale)
    return spread if loss.scale == lossy.UNIT else spread[morton_order(spread)]


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


class _Coded(NamedTuple):
    """A tree as it is decoded, its stream, and how many bytes of that are of each level."""

    tree: octree.Octree
    stream: bytes
    level_bytes: list[int]


def _encode_tree(model: OccupancyModel, tree: octree.Octree, coder: BitCoder, loss: Loss) -> _Coded:
    """`tree` coded; with several threads, bits are coded while the next are predicted."""
    encoder = RangeEncoder()
    beside = model.layers.device.type != "cpu" or torch.get_num_threads() > 1
    ends: list[int] = []

    def begin_level() -> None:
        ends.append(len(encoder.finish()))
        coder.begin_level()

    def exchange(level: int, stage: int, rows: Array, known: Known) -> Array:
        bits: Array = (tree.codes[level][rows] >> stage) & 1
        if not stage:
            turns.take(begin_level)
        turns.take(partial(coder.encode, encoder, stage, known, bits))
        return bits

    with Turns(beside) as turns:
        codes = list(_Walk(model, tree.depth, loss, MAX_VOXELS).levels(exchange))
    stream = encoder.finish()
    sizes = np.diff([*ends, len(stream)]) if ends else np.zeros(0, int)
    return _Coded(octree.Octree(codes), stream, sizes.tolist())


def _decode_tree(walk: _Walk, stream: bytes, coder: BitCoder, levels: int) -> octree.Octree:
    """The first `levels` of the tree in a stream."""
    decoder = RangeDecoder(stream)

    def exchange(level: int, stage: int, rows: Array, known: Known) -> Array:
        if not stage:
            coder.begin_level()
        return coder.decode(decoder, stage, known)

    tree = octree.Octree(list(islice(walk.levels(exchange), levels)))
    if levels == walk.depth:
        decoder.finish()
    return tree


@dataclass(frozen=True)
class _Walk:
    """The walk down a tree that encoder and decoder share.

    depth : levels of the tree
    loss : which of them are grown
    most : nodes that a level may have
    """

    model: OccupancyModel
    depth: int
    loss: Loss
    most: int

    def levels(self, exchange: Exchange) -> Iterator[Array]:
        """The codes (n,) uint8 of each level, root first; `exchange` turns predictions into bits.

        Raises FormatError as soon as a level would have more than `most` nodes.
        """
        device = self.model.layers.device
        level = neighbours.root(device)
        state = torch.zeros(1, self.model.config.channels, dtype=torch.uint8, device=device)
        parent_codes = torch.full((1,), 255, dtype=torch.uint8, device=device)
        for number in range(self.depth):
            step = LevelStep(self.model.config, self.model.layers, level, state, parent_codes)
            codes = torch.zeros(len(level), dtype=torch.uint8, device=device)
            context = LevelContexts(level, parent_codes) if self._is_coded(number) else None
            for stage in range(STAGES):
                bits = self._bits(
                    number, stage, step.predict(stage, codes), context, codes, exchange
                )
                codes |= torch.from_numpy(bits).to(device) << stage
            finished = codes.cpu().numpy()
            yield finished
            if number + 1 < self.depth:
                if int(octree.POPCOUNT[finished].sum(dtype=np.int64)) > self.most:
                    raise FormatError(f"the tree grows beyond the {self.most} voxels of its header")
                state = step.state(codes)
                level, parent_codes = neighbours.children(level, codes), codes

    def _is_coded(self, number: int) -> bool:
        """Whether bits of a level are coded, all or some."""
        return number < self.depth - self.loss.grown + (self.loss.sure > 0)

    def _bits(
        self,
        number: int,
        stage: int,
        logits: Tensor,
        context: LevelContexts | None,
        codes: Tensor,
        exchange: Exchange,
    ) -> Array:
        """The bits (n,) of all nodes of a level, uint8: decided where they are not coded."""
        threshold = self.loss.threshold if number == self.depth - 1 else 0
        odds = logits.cpu().numpy()
        bits: Array = (odds > threshold).astype(np.uint8)
        # A node has a child: where all others are missing, the last is there, uncoded.
        given = (codes == 0).cpu().numpy() if stage == STAGES - 1 else np.zeros(len(codes), bool)
        bits[given] = 1
        if context is not None:
            open_rows = ~given
            if number >= self.depth - self.loss.grown:
                open_rows &= np.abs(odds) < self.loss.sure
            rows = np.flatnonzero(open_rows)
            bits[rows] = exchange(number, stage, rows, _known(logits, context, stage, codes)[rows])
        return bits


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
