"""DeepCompress: a cloud as latents of its blocks, from which a network restores the voxels.

The octree's cells 8 voxels wide are coded exactly, by counts (`coarse`). Each carries latents,
which one of six entropy models predicts (`priors`) and the range coder stores (`entropy`). From
them the synthesis says how likely each child of a cell is occupied, three levels down; which ones
are kept is decided by thresholds that the encoder chose for each block. All of it is integer
arithmetic: a file decodes to the same voxels everywhere.

Streams: "OCCU", the coarse octree; "LATE", hyper-latents and latents; "THRE", the thresholds.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from pcc_cli.codecs.base import Payload
from pcc_cli.codecs.deepcompress import coarse, entropy, thresholds
from pcc_cli.codecs.deepcompress.entropy import Part
from pcc_cli.codecs.deepcompress.latents import QUALITY_MAX, Quantizer, about_quality
from pcc_cli.codecs.deepcompress.model import DeepCompressModel, load_model
from pcc_cli.codecs.deepcompress.network import STAGES, Analysis, Synthesis, codes_of
from pcc_cli.errors import FormatError, InputError
from pcc_cli.fields import integer, member
from pcc_cli.geometry import Shape, VoxelCloud
from pcc_cli.nn.device import compute
from pcc_cli.tree import neighbours, octree
from pcc_cli.tree.morton import morton_order
from pcc_cli.tree.neighbours import Level

Array = np.ndarray[Any, Any]

MAX_DEPTH = 32
MAX_VOXELS = 1 << 21  # of one payload; larger clouds come in tiles


@dataclass(frozen=True)
class DeepCompress:
    """The settings of the codec."""

    id: ClassVar[str] = "deepcompress.1"
    accepts: ClassVar[tuple[type, ...]] = (VoxelCloud,)
    exact: ClassVar[bool] = True
    lossless: ClassVar[bool] = False

    quality: int = 50
    entropy_model: str | None = None
    block_size: int = 64
    model: str = "deepcompress-1"
    device: str = "auto"

    def config(self) -> dict[str, Any]:
        return asdict(self)

    def encode(self, shape: Shape) -> Payload:
        if not isinstance(shape, VoxelCloud) or len(shape) > MAX_VOXELS:
            raise InputError(f"deepcompress takes a VoxelCloud of at most {MAX_VOXELS} points")
        voxels = octree_sorted(shape.voxels)
        base, depth = root_cell(voxels)
        tree = octree.build(voxels - base, depth)
        return compute(self.device, lambda device: self._encode(tree, base, len(voxels), device))

    def _encode(
        self, tree: octree.Octree, base: Array, voxels: int, device: torch.device
    ) -> Payload:
        model = load_model(self.model, None, self.entropy_model, device)
        exact = tree.depth - STAGES
        occupancy, (parents, level) = coarse.encode(tree.codes[:exact])
        levels = [level]
        codes = [torch.from_numpy(code).to(device) for code in tree.codes[exact:]]
        for code in codes[:-1]:
            levels.append(neighbours.children(levels[-1], code))
        analysis = Analysis(model.config, model.layers)
        latents, features = analysis.latents(levels, codes[-1])
        wanted = [
            Quantizer.at(model.latent_gains, self.quality).quantized(latents),
            Quantizer.at(model.hyper_gains, self.quality).quantized(
                analysis.hyper_latents(features, level, len(parents))
            ),
        ]

        def steps(part: Part) -> Array:
            found: Array = wanted[part.is_hyper][part.rows][:, part.channels].cpu().numpy()
            return found

        stream, coded = entropy.encode(model, self.quality, parents, level, steps)
        walk = Walk(model, self.quality, level, coded.inputs, self.block_size)
        marks = []
        for number in range(STAGES):
            count = int(octree.POPCOUNT[tree.codes[exact + number]].sum(dtype=np.int64))
            marks.append(_mark(walk.log_odds(), count))
            if number + 1 < STAGES:
                walk.descend(marks[-1])
        indices = thresholds.choose(octree.voxels_of(tree), walk.candidates(), marks[-1],
                                    walk.block_count)
        meta = {
            "base": base.tolist(), "depth": tree.depth, "voxels": voxels, "quality": self.quality,
            "block_size": self.block_size, "marks": marks,
            "model": {"id": model.id, "sha256": model.sha256},
            "entropy_model": model.prior.name,
        }  # fmt: skip
        streams = {"OCCU": occupancy, "LATE": stream, "THRE": thresholds.pack(indices)}
        return Payload(meta, streams)

    def decode(self, payload: Payload) -> VoxelCloud:
        meta = payload.meta
        return compute(self.device, lambda device: self._decode(payload, device))

    def _decode(self, payload: Payload, device: torch.device) -> VoxelCloud:
        meta = payload.meta
        recorded = member(meta, "model", dict)
        model = load_model(recorded["id"], recorded["sha256"], meta["entropy_model"], device)
        depth = integer(meta, "depth", STAGES + 1, MAX_DEPTH)
        parents, level = coarse.decode(payload.stream("OCCU"), depth - STAGES, MAX_VOXELS)
        quality = meta["quality"]
        latents = entropy.decode(model, quality, parents, level, payload.stream("LATE"))
        walk = Walk(model, quality, level, latents.inputs, meta["block_size"])
        *coarser, base = meta["marks"]
        for mark in coarser:
            walk.log_odds()
            walk.descend(mark)
        walk.log_odds()
        indices = thresholds.unpack(payload.stream("THRE"), walk.block_count)
        walk.finish(base, indices)
        return VoxelCloud(walk.level.cells.cpu().numpy() + np.array(meta["base"]))


def _mark(odds: Tensor, count: int) -> int:
    """The threshold that about `count` of `odds` pass."""
    place = max(odds.numel() - count + 1, 1)
    return int(odds.flatten().kthvalue(place).values)


class Walk:
    """The synthesis down three levels, with the children that are kept."""

    def __init__(
        self,
        model: DeepCompressModel,
        quality: int,
        level: Level,
        inputs: Tensor,
        block_size: int,
    ) -> None:
        about = model.layers.constant(about_quality(quality).to(inputs.device))
        self.synthesis = Synthesis(model.config, model.layers)
        entered = torch.cat([inputs, about.expand(len(inputs), -1)], dim=1)
        self.synthesis.enter(entered, level)
        self.level = level
        self.stage = 0
        # In Morton order the cells of a block follow each other.
        places = level.cells >> (block_size.bit_length() - 1 - STAGES)
        begins = (places[1:] != places[:-1]).any(1).long()
        self.blocks = torch.cat([begins.new_zeros(1), begins.cumsum(0)])
        self.block_count = int(self.blocks[-1]) + 1

    def log_odds(self) -> Tensor:
        self.odds = self.synthesis.log_odds()
        return self.odds

    def descend(self, mark: Any) -> None:
        kept = self.odds >= mark
        if self.stage == 0:  # these cells are occupied: each has a child
            # The first of the largest ones: which one `argmax` finds is left open.
            best = (self.odds * 8 - torch.arange(8, device=kept.device)).argmax(1)
            kept[torch.arange(len(kept), device=kept.device), best] = True
        self.level = neighbours.children(self.level, codes_of(kept))
        self.blocks = self.blocks[self.level.parents]
        self.stage += 1
        if self.stage < STAGES:
            self.synthesis.descend(self.level)

    def candidates(self) -> thresholds.Candidates:
        axes = torch.tensor([4, 2, 1])
        corner = (torch.arange(8)[:, None] & axes).ne(0)
        voxels = 2 * self.level.cells.cpu()[:, None] + corner
        return thresholds.Candidates(
            voxels.view(-1, 3).numpy(),
            self.odds.flatten().cpu().numpy(),
            self.blocks.repeat_interleave(8).cpu().numpy(),
        )

    def finish(self, base: int, indices: Array) -> None:
        chosen = torch.from_numpy(indices).to(self.blocks.device)[self.blocks]
        self.descend(thresholds.marks(base, chosen)[:, None])


def octree_sorted(voxels: Array) -> Array:
    """`voxels` (n, 3), each once, in Morton order."""
    ordered = voxels[morton_order(voxels)]
    first = np.ones(len(ordered), dtype=bool)
    np.any(ordered[1:] != ordered[:-1], axis=1, out=first[1:])
    return ordered[first]


def root_cell(voxels: Array) -> tuple[Array, int]:
    """Corner (3,) and depth of the smallest octree cell of depth 4 or more that holds `voxels`."""
    low, high = voxels.min(0), voxels.max(0)
    depth = max(int((low ^ high).max()).bit_length(), STAGES + 1)
    return (low >> depth) << depth, depth
