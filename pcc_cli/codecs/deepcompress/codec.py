"""DeepCompress: a cloud as latents of its cells, from which a network restores the voxels.

The octree's cells 8 voxels wide are coded exactly, by counts (`coarse`). Each carries latents,
which one of six entropy models predicts (`priors`) and the range coder stores (`entropy`). From
them the synthesis says how likely each child of a cell is occupied, three levels down (`walk`);
which ones are kept is decided by thresholds that the encoder chose for each block (`thresholds`).
All of it is integer arithmetic: a file decodes to the same voxels everywhere.

Streams: "OCCU", the coarse octree; "LATE", hyper-latents and latents; "THRE", the thresholds.
docs/format-deepcompress.md describes them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from pcc_cli.codecs import rootcell
from pcc_cli.codecs.base import Payload, Progress, setting, silent
from pcc_cli.codecs.deepcompress import coarse, entropy, priors, thresholds
from pcc_cli.codecs.deepcompress.entropy import Part
from pcc_cli.codecs.deepcompress.latents import QUALITY_MAX, Quantizer
from pcc_cli.codecs.deepcompress.model import DeepCompressModel, load_model
from pcc_cli.codecs.deepcompress.network import STAGES, Analysis
from pcc_cli.codecs.deepcompress.walk import MAX_CELLS, Walk
from pcc_cli.errors import FormatError, InputError
from pcc_cli.fields import integer, member
from pcc_cli.geometry import Array, Shape, VoxelCloud
from pcc_cli.nn.device import compute
from pcc_cli.tree import neighbours, octree
from pcc_cli.tree.morton import distinct
from pcc_cli.tree.neighbours import Level

MAX_VOXELS = MAX_CELLS  # of one payload, before and after; larger clouds come in tiles
MARK_LIMIT = 1 << 30
BLOCK_SIZES = (8, 16, 32, 64, 128, 256, 512, 1024)


@dataclass(frozen=True)
class DeepCompress:
    """The codec; its fields are its settings."""

    id: ClassVar[str] = "deepcompress.1"
    accepts: ClassVar[tuple[type, ...]] = (VoxelCloud,)
    exact: ClassVar[bool] = True
    lossless: ClassVar[bool] = False
    rates: ClassVar[tuple[dict[str, Any], ...]] = tuple(
        {"quality": quality} for quality in (1.0, 50.0, 100.0)
    )

    quality: float = setting(50.0, "1, the smallest files, to 100, the best ones")
    entropy_model: str | None = setting(None, f"{', '.join(priors.PRIORS)}; else the model's best")
    exact_levels: int | None = setting(
        None, "levels that are exact below the latents, 0 to 2; else by quality"
    )
    metric: str = setting("d1", "what thresholds are chosen for: d1 or d2, to points or planes")
    block_size: int = setting(64, "voxels along a block, which has a threshold of its own")
    model: str = setting("deepcompress-1", "id of the trained networks")
    device: str = setting("auto", "where they run; not part of the file, which is the same on all")

    def __post_init__(self) -> None:
        if not 1 <= self.quality <= QUALITY_MAX:
            raise InputError(f"--quality is 1 to {QUALITY_MAX}, not {self.quality:g}")
        if self.exact_levels is not None and not 0 <= self.exact_levels < STAGES:
            raise InputError(f"--exact-levels is 0 to {STAGES - 1}, not {self.exact_levels}")
        if self.entropy_model is not None:
            priors.get(self.entropy_model)
        if self.metric not in thresholds.METRICS:
            raise InputError(f"--metric is d1 or d2, not '{self.metric}'")
        if self.block_size not in BLOCK_SIZES:
            raise InputError(f"--block-size is one of {BLOCK_SIZES}, not {self.block_size}")

    def config(self) -> dict[str, Any]:
        """What decoding needs, as JSON."""
        return {"model": self.model, "device": self.device}

    def encode(self, shape: Shape, progress: Progress = silent) -> Payload:
        """The payload of a VoxelCloud of at most MAX_VOXELS points; voxels count once.

        Raises ModelError when the model is missing or damaged.
        """
        if not isinstance(shape, VoxelCloud) or len(shape) > MAX_VOXELS:
            raise InputError(f"deepcompress takes a VoxelCloud of at most {MAX_VOXELS} points")
        if not len(shape):
            return Payload({"cells": 0})
        voxels = distinct(shape.voxels)
        base, depth = rootcell.around(voxels, STAGES + 1)
        tree = octree.build(voxels - base, depth)
        coded = compute(self.device, lambda device: self._encoded(tree, device, progress))
        return Payload({"base": base.tolist(), "depth": depth, **coded.meta}, coded.streams)

    def _encoded(self, tree: octree.Octree, device: torch.device, progress: Progress) -> Payload:
        model = load_model(self.model, None, self.entropy_model, device)
        plan = plan_for(round(self.quality), self.exact_levels)
        progress(0.0, "coarse cells")
        exact = coarse.Encoder(tree.codes)
        levels = exact.upper(tree.depth - STAGES, MAX_CELLS, device)
        progress(0.2, "latents")
        latents = _Wanted.of(model, plan.gain, tree, levels)
        stream, coded = entropy.encode(model, plan.gain, *levels, latents.steps)
        progress(0.4, "synthesis")
        walk = Walk(model, plan.gain, levels[1], coded.inputs, self.block_size)
        counts = [int(octree.POPCOUNT[c].sum(dtype=np.int64)) for c in tree.codes[-STAGES:]]
        marks = []
        for stage, count in enumerate(counts[:-1]):
            odds = walk.log_odds()
            if stage < plan.exact:
                walk.follow(exact.next(odds, MAX_CELLS).to(device))
            else:
                marks.append(_mark(odds, count))
                walk.descend(marks[-1])
        marks.append(_mark(walk.log_odds(), counts[-1]))
        progress(0.7, "thresholds")
        chosen = thresholds.choose(
            octree.voxels_of(tree), walk.candidates(), marks[-1], walk.block_count, MAX_VOXELS,
            self.metric,
        )  # fmt: skip
        meta = {
            "cells": len(levels[1]),
            "gain": plan.gain,
            "exact": plan.exact,
            "entropy_model": model.prior.name,
            "block_size": self.block_size,
            "marks": marks,
            "model": {"id": model.id, "sha256": model.sha256},
        }
        streams = {"OCCU": exact.finish(), "LATE": stream, "THRE": thresholds.pack(chosen)}
        return Payload(meta, streams)

    def decode(self, payload: Payload) -> VoxelCloud:
        """The VoxelCloud of a payload, in Morton order.

        Raises FormatError when the payload is damaged, ModelError when its model is not installed.
        """
        if not integer(payload.meta, "cells", 0, MAX_VOXELS):
            return VoxelCloud(np.zeros((0, 3), dtype=np.int64))
        return compute(self.device, lambda device: _decoded(payload, device))


def _decoded(payload: Payload, device: torch.device) -> VoxelCloud:
    meta = payload.meta
    recorded, name = member(meta, "model", dict), member(meta, "entropy_model", str)
    gain, refined = integer(meta, "gain", 1, QUALITY_MAX), integer(meta, "exact", 0, STAGES - 1)
    block_size = integer(meta, "block_size", BLOCK_SIZES[0], BLOCK_SIZES[-1])
    if block_size not in BLOCK_SIZES:
        raise FormatError(f"there are no blocks of {block_size} voxels")
    depth = integer(meta, "depth", STAGES + 1, rootcell.MAX_DEPTH)
    cells = integer(meta, "cells", 1, MAX_CELLS)
    base, marks = rootcell.corner_of(meta, depth), _marks(meta, STAGES - refined)
    model = load_model(member(recorded, "id", str), member(recorded, "sha256", str), name, device)
    exact = coarse.Decoder(payload.stream("OCCU"))
    levels = exact.upper(depth - STAGES, cells, device)
    if len(levels[1]) != cells:
        raise FormatError(f"the tree has {len(levels[1])} cells, its header says {cells}")
    coded = entropy.decode(model, gain, *levels, payload.stream("LATE"))
    walk = Walk(model, gain, levels[1], coded.inputs, block_size)
    for _ in range(refined):
        walk.follow(exact.next(walk.log_odds(), MAX_CELLS).to(device))
    exact.finish()
    for mark in marks[:-1]:
        walk.log_odds()
        walk.descend(mark)
    walk.log_odds()
    indices = thresholds.unpack(payload.stream("THRE"), walk.block_count)
    return VoxelCloud(walk.voxels(thresholds.marks(marks[-1], indices)) + base)


@dataclass(frozen=True)
class Plan:
    """What a quality means.

    exact : levels below the cells with latents that are stored exactly, too: 0, 1 or 2
    gain : 1 .. 100, how finely latents are quantized
    """

    exact: int
    gain: int


def plan_for(quality: int, exact: int | None) -> Plan:
    """The plan for a quality 1 .. 100; with `exact` given, the quality is that of the latents."""
    if exact is not None:
        return Plan(exact, quality)
    exact = sum(quality >= first for first in _EXACT_FROM)
    low, high = (1, *_EXACT_FROM, QUALITY_MAX + 1)[exact : exact + 2]
    first, last = _GAINS[exact]
    return Plan(exact, first + (last - first) * (quality - low) // max(high - 1 - low, 1))


# Measured on dense captures: an exact level is cheaper than latents that tell as much, so latents
# stay at their lowest gain, at which they say nothing, until both levels are exact.
_EXACT_FROM = 34, 67  # qualities from which one and two levels are exact
_GAINS = (1, 1), (1, 1), (1, 1)  # from the first to the last quality of each


@dataclass(frozen=True)
class _Wanted:
    """What the analysis makes of a cloud, in whole steps: latents (n, C), hyper-latents (p, h)."""

    latents: Tensor
    hyper: Tensor

    @classmethod
    def of(
        cls,
        model: DeepCompressModel,
        gain: int,
        tree: octree.Octree,
        coarsest: tuple[Level, Level],
    ) -> _Wanted:
        parents, level = coarsest
        codes = [torch.from_numpy(c).to(model.layers.device) for c in tree.codes[-STAGES:]]
        levels = [level]
        for code in codes[:-1]:
            levels.append(neighbours.children(levels[-1], code))
        analysis = Analysis(model.config, model.layers)
        latents, features = analysis.latents(levels, codes[-1])
        hyper = analysis.hyper_latents(features, level, len(parents))
        return cls(
            Quantizer.at(model.latent_gains, gain).quantized(latents),
            Quantizer.at(model.hyper_gains, gain).quantized(hyper),
        )

    def steps(self, part: Part) -> Array:
        """Those of `part`, on the CPU."""
        whole = self.hyper if part.is_hyper else self.latents
        found: Array = whole[part.rows][:, part.channels].cpu().numpy()
        return found


def _mark(odds: Tensor, count: int) -> int:
    """The threshold that about `count` of `odds` pass."""
    flat = odds.flatten()
    found = int(flat.kthvalue(max(len(flat) - count + 1, 1)).values)
    crowded = int((flat >= found).sum()) > MAX_CELLS  # many are equal
    return min(max(found + crowded, -MARK_LIMIT), MARK_LIMIT)


def _marks(meta: dict[str, Any], count: int) -> list[int]:
    values = member(meta, "marks", list)
    if len(values) != count:
        raise FormatError(f"there are {count} marks, not {len(values)}")
    named = {f"mark {stage}": value for stage, value in enumerate(values)}
    return [integer(named, name, -MARK_LIMIT, MARK_LIMIT) for name in named]
