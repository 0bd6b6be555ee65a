"""The synthesis with the decisions: from coarse cells down three levels to voxels."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from pcc_cli.codecs.deepcompress.latents import about_quality
from pcc_cli.codecs.deepcompress.model import DeepCompressModel
from pcc_cli.codecs.deepcompress.network import STAGES, Synthesis, codes_of
from pcc_cli.codecs.deepcompress.thresholds import Candidates
from pcc_cli.errors import FormatError
from pcc_cli.geometry import Array
from pcc_cli.tree import neighbours, octree
from pcc_cli.tree.neighbours import Level

MAX_CELLS = 1 << 21  # of a level, and voxels


class Walk:
    """Encoder and decoder call `log_odds`, then `descend` or `follow`, and so on; then `voxels`.

    blocks : (n,) int64, the block of each cell of the level; block_count : how many there are
    """

    def __init__(
        self,
        model: DeepCompressModel,
        quality: int,
        level: Level,
        inputs: Tensor,
        block_size: int,
    ) -> None:
        about = model.layers.constant(about_quality(quality).to(inputs.device))
        self._synthesis = Synthesis(model.config, model.layers)
        entered = torch.cat([inputs, about.repeat(len(inputs), 1)], dim=1)
        self._synthesis.enter(entered, level)
        self._level, self._stage = level, 0
        # In Morton order the cells of a block follow each other.
        places = level.cells >> (block_size.bit_length() - 1 - STAGES)
        begins = (places[1:] != places[:-1]).any(1).long()
        self.blocks = torch.cat([begins.new_zeros(1), begins.cumsum(0)])
        self.block_count = int(self.blocks[-1]) + 1

    def log_odds(self) -> Tensor:
        """(n, 8) int32, of the children of the cells of this level."""
        self._odds = self._synthesis.log_odds()
        return self._odds

    def descend(self, mark: int) -> None:
        """To the children whose log odds are at least `mark`; FormatError for none or too many."""
        kept = self._odds >= mark
        if self._stage == 0:  # these cells are occupied: each has a child
            # The first of the largest ones: which of them `argmax` finds is left open.
            places = torch.arange(8, device=kept.device)
            best = (self._odds.long() * 8 - places).argmax(1)
            kept |= places == best[:, None]
        if not 0 < int(kept.sum()) <= MAX_CELLS:
            raise FormatError(f"a threshold keeps no cells, or more than {MAX_CELLS}")
        self.follow(codes_of(kept))

    def follow(self, codes: Tensor) -> None:
        """To the children of which `codes` (n,) says that they are there."""
        self._level = neighbours.children(self._level, codes)
        self.blocks = self.blocks[self._level.parents]
        self._stage += 1
        self._synthesis.descend(self._level)

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
        """(m, 3) int64, Morton order, those that pass the mark of their block."""
        chosen = torch.from_numpy(marks).to(self.blocks.device)[self.blocks]
        codes = codes_of(self._odds >= chosen[:, None])
        count = int(octree.POPCOUNT[codes.cpu().numpy()].sum(dtype=np.int64))
        if count > MAX_CELLS:
            raise FormatError(f"the thresholds keep {count} voxels, more than {MAX_CELLS}")
        return octree.expand(self._level.cells.cpu().numpy(), codes.cpu().numpy())
