"""Levels of the octree that are stored exactly, by the tree's coder.

The upper levels, down to the cells that carry latents, are coded by counts alone. At higher
qualities the first one or two levels below them are exact, too: there the log odds of the
synthesis guide the coder.
"""

from __future__ import annotations

from collections.abc import Callable
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

Exchange = Callable[[int, int, Any, Known], Array]  # level, stage, rows, what is known -> bits
_CONTEXTS = ("touching", "siblings", "crowd", "lineage", "sides", "faces", "cells")


class ExactLevels:
    """Level after level of one cloud, root first; encoder and decoder make the same calls.

    level : the cells whose children come next, on the CPU
    """

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._number = 0
        self._parent_codes = torch.full((1,), 255, dtype=torch.uint8)
        self.level = neighbours.root()

    def upper(self, depth: int, most: int, device: torch.device) -> tuple[Level, Level]:
        """Goes down `depth` levels; the last two cells' levels, on `device`. FormatError.

        most : cells of a level
        """
        above = self.level
        for _ in range(depth):
            above = self.level
            self.next(None, most)
        return _on(device, above), _on(device, self.level)

    def next(self, odds: Tensor | None, most: int) -> Tensor:
        """(n,) uint8 codes of the cells; `level` is that of their children afterwards.

        odds : (n, 8) log odds of the children, in units of 1/256, or None
        """
        level = self.level
        contexts = LevelContexts(level, self._parent_codes)
        codes = torch.zeros(len(level), dtype=torch.uint8)
        guess = np.zeros((len(level), STAGES), np.int64) if odds is None else odds.cpu().numpy()
        for stage in range(STAGES):
            # A cell has a child: where all others are missing, the last is there, uncoded.
            rows = (codes != 0 if stage == STAGES - 1 else codes >= 0).numpy()
            about = contexts.at(stage, codes)
            known = Known(guess[:, stage], *(getattr(about, name).numpy() for name in _CONTEXTS))
            bits = np.ones(len(codes), dtype=np.uint8)
            bits[rows] = self._exchange(self._number, stage, rows, known[rows])
            codes |= torch.from_numpy(bits) << stage
        count = int(octree.POPCOUNT[codes.numpy()].sum(dtype=np.int64))
        if count > most:
            raise FormatError(f"the tree grows beyond the {most} cells of its header")
        self.level, self._parent_codes = neighbours.children(level, codes), codes
        self._number += 1
        return codes


class Encoder(ExactLevels):
    """Appends to a stream the levels with these codes."""

    def __init__(self, codes: list[Array]) -> None:
        stream, coder = RangeEncoder(), BitCoder()

        def exchange(level: int, stage: int, rows: Any, known: Known) -> Array:
            bits: Array = (codes[level][rows] >> stage) & 1
            if not stage:
                coder.begin_level()
            coder.encode(stream, stage, known, bits)
            return bits

        super().__init__(exchange)
        self.finish = stream.finish


class Decoder(ExactLevels):
    """Reads levels from a stream; `finish` raises FormatError when it does not end with them."""

    def __init__(self, data: bytes) -> None:
        stream, coder = RangeDecoder(data), BitCoder()

        def exchange(level: int, stage: int, rows: Any, known: Known) -> Array:
            if not stage:
                coder.begin_level()
            return coder.decode(stream, stage, known)

        super().__init__(exchange)
        self.finish = stream.finish


def _on(device: torch.device, level: Level) -> Level:
    return Level(*(getattr(level, field.name).to(device) for field in fields(Level)))
