"""The synthesis with the decisions: from coarse cells down three levels to voxels."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from pcc_cli.codecs.deepcompress.coarse import ExactLevels, count_of
from pcc_cli.codecs.deepcompress.latents import about_quality
from pcc_cli.codecs.deepcompress.model import DeepCompressModel
from pcc_cli.codecs.deepcompress.network import STAGES, Synthesis, bits_of, codes_of
from pcc_cli.codecs.deepcompress.thresholds import Candidates
from pcc_cli.geometry import Array
from pcc_cli.tree import neighbours, octree
from pcc_cli.tree.neighbours import Level

MAX_CELLS = 1 << 21  # of a level, and voxels
_FAR = 512
SUREST = 8 * _FAR
_CODED = 1 << 30  # log odds of children that were coded: beyond any mark


def sureness(odds: Array, mark: int) -> Array:
    """(n,) 0 to SUREST, of each cell: how far the log odds (n, 8) of its children are from `mark`.

    Beyond two of the units of the natural logarithm it is all the same how far.
    """
    away: Array = np.minimum(np.abs(odds - mark), _FAR).sum(1)
    return away


class Walk:
    """Encoder and decoder call `log_odds`, then `step`, three times; then `voxels`.

    exact : the coder of levels, at the cells with latents
    blocks : (n,) int64, the block of each cell of the level; block_count : how many there are
    """

    def __init__(
        self,
        model: DeepCompressModel,
        quality: int,
        level: Level,
        inputs: Tensor,
        block_size: int,
        exact: ExactLevels,
    ) -> None:
        about = model.layers.constant(about_quality(quality).to(inputs.device))
        self._synthesis = Synthesis(model.config, model.layers)
        entered = torch.cat([inputs, about.repeat(len(inputs), 1)], dim=1)
        self._synthesis.enter(entered, level)
        self._level, self._exact, self._stage = level, exact, 0
        # In Morton order the cells of a block follow each other.
        places = level.cells >> (block_size.bit_length() - 1 - STAGES)
        begins = (places[1:] != places[:-1]).any(1).long()
        self.blocks = torch.cat([begins.new_zeros(1), begins.cumsum(0)])
        self.block_count = int(self.blocks[-1]) + 1

    def log_odds(self) -> Tensor:
        """(n, 8) int64, of the children of the cells of this level."""
        self._odds = self._synthesis.log_odds().long()
        return self._odds

    def step(self, mark: int | None, sure: int = 0) -> None:
        """To the children; on the last level only what is coded of them is found.

        mark : children with these log odds or more are there; None: all children are coded
        sure : cells of which the synthesis is less sure than this are coded, too
        """
        decided = None if mark is None else self._decided(mark, sure)
        codes = self._exact.codes(self._odds, decided).to(self._odds.device)
        if self._stage == STAGES - 1:
            coded = torch.ones_like(codes) if decided is None else torch.from_numpy(decided < 0)
            self._odds = torch.where(
                coded.to(codes.device), (2 * bits_of(codes).long() - 1) * _CODED, self._odds
            )
            return
        if self._stage == 0:  # these cells are occupied: each has a child
            # The first of the largest ones: which of them `argmax` finds is left open.
            best = (self._odds * 8 - torch.arange(8, device=codes.device)).argmax(1)
            codes = torch.where(codes == 0, (1 << best).to(torch.uint8), codes)
        count_of(codes, MAX_CELLS)
        self._level = neighbours.children(self._level, codes)
        self._exact.follow(self._level, codes)
        self.blocks = self.blocks[self._level.parents]
        self._stage += 1
        self._synthesis.descend(self._level)

    def _decided(self, mark: int, sure: int) -> Array:
        """(n, 8) int8 whether children are there, -1 for those that are coded."""
        decided: Array = (self._odds >= mark).to(torch.int8).cpu().numpy()
        decided[sureness(self._odds.cpu().numpy(), mark) < sure] = -1
        return decided

    def candidates(self) -> Candidates:
        """All voxels below the cells of this level."""
        corners = torch.arange(8)[:, None] & torch.tensor([4, 2, 1])
        voxels = 2 * self._level.cells.cpu()[:, None] + corners.ne(0)
        return Candidates(
            voxels.view(-1, 3).numpy(),
            self._odds.flatten().cpu().numpy(),
            self.blocks.repeat_interleave(8).cpu().numpy(),
        )

    def voxels(self, marks: Array) -> Array:
        """(m, 3) int64, Morton order, those that pass the mark of their block. FormatError."""
        chosen = torch.from_numpy(marks).to(self.blocks.device)[self.blocks]
        codes = codes_of(self._odds >= chosen[:, None])
        count_of(codes, MAX_CELLS)
        return octree.expand(self._level.cells.cpu().numpy(), codes.cpu().numpy())
