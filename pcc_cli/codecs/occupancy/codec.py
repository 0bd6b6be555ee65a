"""The default codec for point clouds: an octree whose occupancy bits a network predicts.

encode and decode walk down the tree alike (`walk.py`). Everything the probabilities depend on is an
integer, so a file decodes to the same points on every machine.

With a `quality`, the finest levels are not coded but grown (`lossy.py`), by the same walk.

Streams: "OCCU", the bits; "MULT", only when points coincide, how often each voxel occurs; "GAPX",
"GAPY", "GAPZ", only where an axis is stored as ranks (`codecs.ranks`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import torch

from pcc_cli.codecs import multiplicity, ranks, rootcell
from pcc_cli.codecs.base import Payload, Progress, setting, silent
from pcc_cli.codecs.occupancy import lossy
from pcc_cli.codecs.occupancy.lossy import DENSE, Loss
from pcc_cli.codecs.occupancy.model import OccupancyModel, load_model
from pcc_cli.codecs.occupancy.walk import MAX_VOXELS, Coded, Walk, decode_tree, encode_tree
from pcc_cli.entropy.logistic import PROBABILITY_BITS
from pcc_cli.errors import FormatError, InputError
from pcc_cli.fields import integer, member
from pcc_cli.geometry import Array, Shape, VoxelCloud
from pcc_cli.nn.device import compute
from pcc_cli.tree import octree
from pcc_cli.tree.coder import BitCoder
from pcc_cli.tree.morton import morton_order

LISTED = 4096  # bytes of a stream from which on the sizes of its levels are worth their room
# Surfaces have three voxels or more for each node of the level above them, scans hardly more than
# one. On surfaces half of the bits are certain enough to be coded the quick way, and blocks may
# grow early, for 0.3 % more bytes; elsewhere few bits are certain, and every count helps.
ON_SURFACES = {"certain": 400, "growth": 8}
ELSEWHERE = {"certain": 0, "growth": 9}


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
        about, streams, decoded = self._encode_voxels(lossy.coarser(voxels, loss.scale), loss)
        meta = {"points": len(decoded), "voxels": len(decoded), **about}
        return Payload(meta, streams, decoded=VoxelCloud(_spread(decoded, loss)))

    def _encode_voxels(
        self, voxels: Array, loss: Loss
    ) -> tuple[dict[str, Any], dict[str, bytes], Array]:
        """Members for the meta and the stream of a tree, and the voxels that it decodes to."""
        base, depth = rootcell.around(voxels)
        loss = replace(loss, grown=min(loss.grown, depth), sure=loss.sure if depth else 0)
        meta = {"base": base.tolist(), "depth": depth, **loss.to_json()}
        if not depth:
            return meta, {}, voxels
        tree = octree.build(voxels - base, depth)
        meta |= ON_SURFACES if len(voxels) >= DENSE * len(tree.codes[-1]) else ELSEWHERE

        def encoded(device: torch.device) -> tuple[OccupancyModel, Coded]:
            model = load_model(self.model, None, device)
            return model, encode_tree(model, tree, _bit_coder(meta), loss)

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
        depth = integer(meta, "depth", 0, rootcell.MAX_DEPTH)
        voxels = np.zeros((1, 3), dtype=np.int64)
        loss = Loss.from_json(meta, depth)
        if depth:
            voxels = octree.voxels_of(self._decoded_tree(payload, depth, loss, count))
        if len(voxels) != count:
            raise FormatError(f"the tree holds {len(voxels)} voxels, its header says {count}")
        voxels += rootcell.corner_of(meta, depth)
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
        depth = integer(meta, "depth", 0, rootcell.MAX_DEPTH) if meta.get("points") else 0
        loss = Loss.from_json(meta, depth)
        inner = octaves - (loss.scale // lossy.UNIT).bit_length() + 1  # octaves within the tree
        if "ranks" in meta or loss.scale % lossy.UNIT or not 0 < inner < depth:
            return self.decode(payload)
        count = integer(meta, "voxels", 1, MAX_VOXELS)
        cells = octree.voxels_of(self._decoded_tree(payload, depth - inner, loss, count))
        return VoxelCloud(_spread((cells << inner) + rootcell.corner_of(meta, depth), loss))

    def _decoded_tree(
        self, payload: Payload, levels: int, loss: Loss, voxels: int
    ) -> octree.Octree:
        """The first `levels` of the tree; FormatError when one has more than `voxels` nodes."""
        meta = payload.meta
        recorded, stream = member(meta, "model", dict), payload.stream("OCCU")
        named = member(recorded, "id", str), member(recorded, "sha256", str)
        depth = integer(meta, "depth", 0, rootcell.MAX_DEPTH)

        def decoded(device: torch.device) -> octree.Octree:
            walk = Walk(load_model(*named, device), depth, loss, voxels)
            return decode_tree(walk, stream, _bit_coder(meta), levels)

        return compute(self.device, decoded)


def _spread(voxels: Array, loss: Loss) -> Array:
    """Decoded voxels on the grid of the source, in canonical order."""
    spread = lossy.finer(voxels, loss.scale)
    return spread if loss.scale == lossy.UNIT else spread[morton_order(spread)]


def _bit_coder(meta: dict[str, Any]) -> BitCoder:
    """A new coder with the settings of a file."""
    rarest = integer(meta, "certain", 0, 1 << (PROBABILITY_BITS - 1))
    return BitCoder(rarest, integer(meta, "growth", 0, 32))
