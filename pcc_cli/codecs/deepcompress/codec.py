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
from pcc_cli.codecs.deepcompress.latents import QUALITY_MAX, UNIT, Quantizer
from pcc_cli.codecs.deepcompress.model import DeepCompressModel, load_model
from pcc_cli.codecs.deepcompress.network import STAGES, Analysis
from pcc_cli.codecs.deepcompress.walk import MAX_CELLS, SUREST, Walk, sureness
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
        {"quality": quality} for quality in (20.0, 50.0, 80.0)
    )

    quality: float = setting(50.0, "1, the smallest files, to 100, the best ones")
    entropy_model: str | None = setting(None, f"{', '.join(priors.PRIORS)}; else the model's best")
    exact_levels: int | None = setting(
        None, "levels that are exact below the latents, 0 to 2; else by quality"
    )
    metric: str = setting("d1", "what thresholds are chosen for: d1 or d2, to points or planes")
    block_size: int = setting(64, "voxels along a block, which has a threshold of its own")
    nearest: int | None = setting(
        None, "points whose mean colour a restored one takes; else as MPEG recolours"
    )
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
        if self.nearest is not None and self.nearest < 1:
            raise InputError(f"--nearest is 1 or more, not {self.nearest}")

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
        plan = plan_for(self.quality, self.exact_levels)
        progress(0.0, "coarse cells")
        exact = coarse.Encoder(tree.codes)
        levels = exact.upper(tree.depth - STAGES, MAX_CELLS, device)
        progress(0.2, "latents")
        latents = _Wanted.of(model, plan.gain, tree, levels)
        stream, coded = entropy.encode(model, plan.gain, *levels, latents.steps)
        progress(0.4, "synthesis")
        walk = Walk(model, plan.gain, levels[1], coded.inputs, self.block_size, exact)
        marks, sure = _descended(walk, exact, tree, plan)
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
            "sure": sure,
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
    base = rootcell.corner_of(meta, depth)
    marks = _limits(meta, "marks", STAGES - refined, -MARK_LIMIT, MARK_LIMIT)
    sure = _limits(meta, "sure", STAGES - refined, 0, SUREST + 1)
    model = load_model(member(recorded, "id", str), member(recorded, "sha256", str), name, device)
    exact = coarse.Decoder(payload.stream("OCCU"))
    levels = exact.upper(depth - STAGES, cells, device)
    if len(levels[1]) != cells:
        raise FormatError(f"the tree has {len(levels[1])} cells, its header says {cells}")
    coded = entropy.decode(model, gain, *levels, payload.stream("LATE"))
    walk = Walk(model, gain, levels[1], coded.inputs, block_size, exact)
    for mark, reach in [(None, 0)] * refined + list(zip(marks, sure, strict=True)):
        walk.log_odds()
        walk.step(mark, reach)
    exact.finish()
    indices = thresholds.unpack(payload.stream("THRE"), walk.block_count)
    return VoxelCloud(walk.voxels(thresholds.marks(marks[-1], indices)) + base)


@dataclass(frozen=True)
class Plan:
    """What a quality means.

    exact : levels below the cells with latents that are stored exactly, too: 0, 1 or 2
    gain : 1 .. 100, how finely latents are quantized
    share : 0 .. 1, how much of the next level is coded: what is least certain
    """

    exact: int
    gain: int
    share: float


def plan_for(quality: float, exact: int | None) -> Plan:
    """The plan for a quality 1 .. 100; with `exact` given, the quality is that of the latents.

    Measured on dense captures: coding the children that are in doubt costs less than latents that
    tell as much, on one level after the other. So latents stay at their lowest gain, at which they
    say nothing, and the quality is how far down the tree is coded: at 1 to the cells with latents,
    at 100 to the voxels.
    """
    if exact is not None:
        return Plan(exact, round(quality), 0.0)
    place = (quality - 1) / (QUALITY_MAX - 1) * STAGES
    exact = min(int(place), STAGES - 1)
    return Plan(exact, 1, place - exact)


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


def _descended(
    walk: Walk, exact: coarse.Encoder, tree: octree.Octree, plan: Plan
) -> tuple[list[int], list[int]]:
    """Takes the three steps of `walk`: marks and surenesses of the levels that are not exact."""
    marks, sure = [], []
    for stage, codes in enumerate(tree.codes[-STAGES:]):
        odds = walk.log_odds()
        if stage < plan.exact:
            walk.step(None)
            continue
        marks.append(_mark(odds, int(octree.POPCOUNT[codes].sum(dtype=np.int64))))
        share = plan.share if stage == plan.exact else 0.0
        sure.append(_sure(odds.cpu().numpy(), marks[-1], exact.truth, share))
        walk.step(marks[-1], sure[-1])
    return marks, sure


def _mark(odds: Tensor, count: int) -> int:
    """The threshold that about `count` of `odds` pass."""
    flat = odds.flatten()
    found = int(flat.kthvalue(max(len(flat) - count + 1, 1)).values)
    crowded = int((flat >= found).sum()) > MAX_CELLS  # many are equal
    return min(max(found + crowded, -MARK_LIMIT), MARK_LIMIT)


def _sure(odds: Array, mark: int, truth: Array, share: float) -> int:
    """The sureness below which cells are coded, so that they take about `share` of all bits.

    truth : (n,) codes of the cells
    """
    if not 0 < share < 1:
        return SUREST + 1 if share else 0
    signs = 1 - 2 * np.unpackbits(truth[:, None], axis=1, bitorder="little").astype(np.int64)
    bits = np.minimum(np.logaddexp(0.0, signs * odds / UNIT), _DEAREST).sum(1)
    about = sureness(odds, mark)
    spent = np.cumsum(np.bincount(about, bits, SUREST + 1))
    return int(np.searchsorted(spent, share * spent[-1])) + 1


_DEAREST = 8.0  # what a child may seem to cost; the coder learns where log odds are wrong


def _limits(meta: dict[str, Any], name: str, count: int, least: int, most: int) -> list[int]:
    values = member(meta, name, list)
    if len(values) != count:
        raise FormatError(f"there are {count} {name}, not {len(values)}")
    named = {f"{name} {stage}": value for stage, value in enumerate(values)}
    return [integer(named, key, least, most) for key in named]
