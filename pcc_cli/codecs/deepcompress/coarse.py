"""Levels of the octree that are stored exactly, or where it is in doubt, by the tree's coder.

The upper levels, down to the cells that carry latents, are coded by counts alone. Below them the
log odds of the synthesis guide the coder: at higher qualities the first one or two levels are
exact, too, and on the next one those children are coded of which the synthesis is least sure.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import fields
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pcc_cli.entropy.rangecoder import RangeDecoder, RangeEncoder
from pcc_cli.errors import FormatError
from pcc_cli.geometry import Array
from pcc_cli.tree import neighbours, octree
from pcc_cli.tree.coder import STAGES, BitCoder
from pcc_cli.tree.contexts import LevelContexts
from pcc_cli.tree.neighbours import Level
from pcc_cli.tree.stage import Known

_CONTEXTS = ("touching", "siblings", "crowd", "lineage", "sides", "faces", "cells")


class ExactLevels(ABC):
    """Level after level of one cloud, root first; encoder and decoder make the same calls.

    level : the cells whose children come next, on the CPU
    """

    def __init__(self) -> None:
        self.level, self._parent_codes = neighbours.root(), torch.full((1,), 255, dtype=torch.uint8)
        self._coder = BitCoder()

    @abstractmethod
    def _exchange(self, stage: int, rows: Any, known: Known) -> Array:
        """The bits of the children `stage` of the cells `rows`."""

    def upper(self, depth: int, most: int, device: torch.device) -> tuple[Level, Level]:
        """Goes down `depth` levels; the last two cells' levels, on `device`. FormatError.

        most : cells of a level
        """
        above = self.level
        for _ in range(depth):
            above, codes = self.level, self.codes(None)
            count_of(codes, most)
            self.follow(neighbours.children(above, codes), codes)
        return _on(device, above), _on(device, self.level)

    def codes(self, odds: Tensor | None, decided: Array | None = None) -> Tensor:
        """(n,) uint8 codes of the cells.

        odds : (n, 8) log odds of the children, in units of 1/256, or None
        decided : (n, 8) int8: 0 or 1 for children of which both sides know it, -1 for those that
            are coded; None: all are, and each cell has one
        """
        codes = torch.zeros(len(self.level), dtype=torch.uint8)
        guess = np.zeros((len(codes), STAGES), np.int64) if odds is None else odds.cpu().numpy()
        self._coder.begin_level()
        contexts = None
        for stage in range(STAGES):
            if decided is None:
                # Where all other children are missing, the last is there, uncoded.
                rows = (codes != 0 if stage == STAGES - 1 else codes >= 0).numpy()
                bits = np.ones(len(codes), dtype=np.uint8)
            else:
                rows = decided[:, stage] < 0
                bits = decided[:, stage].astype(np.uint8)
            if rows.any():
                contexts = contexts or LevelContexts(self.level, self._parent_codes)
                about = contexts.at(stage, codes)
                known = Known(guess[:, stage], *(getattr(about, n).numpy() for n in _CONTEXTS))
                bits[rows] = self._exchange(stage, rows, known[rows])
            codes |= torch.from_numpy(bits) << stage
        return codes

    def follow(self, level: Level, codes: Tensor) -> None:
        """Goes on to the children that `codes` have; `level` is theirs, on any device."""
        self.level, self._parent_codes = _on(torch.device("cpu"), level), codes.cpu()


def count_of(codes: Tensor, most: int) -> int:
    """How many children `codes` have; FormatError unless 1 to `most`."""
    count = int(octree.POPCOUNT[codes.cpu().numpy()].sum(dtype=np.int64))
    if not 0 < count <= most:
        raise FormatError(f"a level has {count} cells, not 1 to {most}")
    return count


class Encoder(ExactLevels):
    """Appends to a stream what the tree with these codes has below the cells of each level.

    truth : (n,) uint8, its codes of these cells; 0 for cells that it has not
    """

    def __init__(self, codes: list[Array]) -> None:
        super().__init__()
        self._stream = RangeEncoder()
        self._tree = [np.append(level, np.uint8(0)) for level in codes]  # the last: of no cell
        self._rows, self.truth = np.zeros(1, dtype=np.int64), codes[0]

    def _exchange(self, stage: int, rows: Any, known: Known) -> Array:
        bits: Array = (self.truth[rows] >> stage) & 1
        self._coder.encode(self._stream, stage, known, bits)
        return bits

    def follow(self, level: Level, codes: Tensor) -> None:
        super().follow(level, codes)
        above, tree, *_ = self._tree
        counts = octree.POPCOUNT[above]
        first = np.cumsum(counts, dtype=np.int64) - counts
        rows = self._rows[self.level.parents.numpy()]
        bit = np.uint8(1) << self.level.octants.numpy().astype(np.uint8)
        place = first[rows] + octree.POPCOUNT[above[rows] & (bit - np.uint8(1))]
        self._rows = np.where(above[rows] & bit, place, len(tree) - 1)
        self._tree, self.truth = self._tree[1:], tree[self._rows]

    def finish(self) -> bytes:
        """The stream."""
        return self._stream.finish()


class Decoder(ExactLevels):
    """Reads levels from a stream."""

    def __init__(self, data: bytes) -> None:
        super().__init__()
        self._stream = RangeDecoder(data)

    def _exchange(self, stage: int, rows: Any, known: Known) -> Array:
        return self._coder.decode(self._stream, stage, known)

    def finish(self) -> None:
        """FormatError when the stream does not end with what was read."""
        self._stream.finish()


def _on(device: torch.device, level: Level) -> Level:
    return Level(*(getattr(level, field.name).to(device) for field in fields(Level)))
