"""The walk down a tree that encoder and decoder of `occupancy` share.

They visit the same levels and stages, and differ only in where a bit comes from: the tree, or the
range decoder. Of levels that are grown (`lossy.py`), the network decides the bits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from pcc_cli.codecs.occupancy.lossy import Loss
from pcc_cli.codecs.occupancy.model import OccupancyModel
from pcc_cli.codecs.occupancy.network import STAGES, LevelStep
from pcc_cli.entropy.rangecoder import RangeDecoder, RangeEncoder
from pcc_cli.errors import FormatError
from pcc_cli.geometry import Array
from pcc_cli.nn.turns import Turns
from pcc_cli.tree import neighbours, octree
from pcc_cli.tree.coder import BitCoder
from pcc_cli.tree.contexts import LevelContexts
from pcc_cli.tree.stage import Known

MAX_VOXELS = 1 << 22  # of one tree; larger clouds come in tiles

# (level, stage, rows (k,) that are coded, what is known of them) -> their bits (k,) uint8
Exchange = Callable[[int, int, Array, Known], Array]


class Coded(NamedTuple):
    """A tree as it is decoded, its stream, and how many bytes of that are of each level."""

    tree: octree.Octree
    stream: bytes
    level_bytes: list[int]


def encode_tree(model: OccupancyModel, tree: octree.Octree, coder: BitCoder, loss: Loss) -> Coded:
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
        codes = list(Walk(model, tree.depth, loss, MAX_VOXELS).levels(exchange))
    stream = encoder.finish()
    sizes = np.diff([*ends, len(stream)]) if ends else np.zeros(0, int)
    return Coded(octree.Octree(codes), stream, sizes.tolist())


def decode_tree(walk: Walk, stream: bytes, coder: BitCoder, levels: int) -> octree.Octree:
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
class Walk:
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
