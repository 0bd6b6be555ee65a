"""The upper levels of an octree, down to the cells that carry latents: exact, by counts alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import Any

import numpy as np
import torch

from pcc_cli.entropy.rangecoder import RangeDecoder, RangeEncoder
from pcc_cli.errors import FormatError
from pcc_cli.tree import neighbours, octree
from pcc_cli.tree.coder import STAGES, BitCoder
from pcc_cli.tree.contexts import LevelContexts
from pcc_cli.tree.neighbours import Level
from pcc_cli.tree.stage import Known

Array = np.ndarray[Any, Any]
Exchange = Callable[[int, int, Any, Known], Array]  # level, stage, rows, what is known -> bits


def encode(codes: list[Array], device: torch.device) -> tuple[bytes, tuple[Level, Level]]:
    """The stream of the levels with `codes`, and the last two of the levels that they lead to."""
    encoder, coder = RangeEncoder(), BitCoder()

    def exchange(level: int, stage: int, rows: Any, known: Known) -> Array:
        bits: Array = (codes[level][rows] >> stage) & 1
        coder.encode(encoder, stage, known, bits)
        return bits

    levels = _walk(len(codes), None, coder, exchange)
    return encoder.finish(), _on(device, levels)


def decode(
    stream: bytes, depth: int, cells: int, device: torch.device
) -> tuple[Level, Level]:
    """The last two of the levels that `depth` coded ones lead to, the last with `cells` cells.

    Raises FormatError.
    """
    decoder, coder = RangeDecoder(stream), BitCoder()

    def exchange(level: int, stage: int, rows: Any, known: Known) -> Array:
        return coder.decode(decoder, stage, known)

    levels = _walk(depth, cells, coder, exchange)
    decoder.finish()
    if len(levels[1]) != cells:
        raise FormatError(f"the tree has {len(levels[1])} cells, its header says {cells}")
    return _on(device, levels)


def _on(device: torch.device, levels: tuple[Level, Level]) -> tuple[Level, Level]:
    parents, level = (
        Level(*(getattr(level, field.name).to(device) for field in fields(Level)))
        for level in levels
    )
    return parents, level


def _walk(
    depth: int, most: int | None, coder: BitCoder, exchange: Exchange
) -> tuple[Level, Level]:
    """most : cells of a level"""
    level, parent_codes = neighbours.root(), torch.full((1,), 255, dtype=torch.uint8)
    above = level
    for number in range(depth):
        coder.begin_level()
        context = LevelContexts(level, parent_codes)
        codes = torch.zeros(len(level), dtype=torch.uint8)
        for stage in range(STAGES):
            # A node has a child: where all others are missing, the last is there, uncoded.
            rows = (codes != 0 if stage == STAGES - 1 else codes >= 0).numpy()
            about = context.at(stage, codes)
            known = Known(np.zeros(len(level), dtype=np.int64), *(
                getattr(about, name).numpy()
                for name in ("touching", "siblings", "crowd", "lineage", "sides", "faces", "cells")
            ))  # fmt: skip
            bits = np.ones(len(codes), dtype=np.uint8)
            bits[rows] = exchange(number, stage, rows, known[rows])
            codes |= torch.from_numpy(bits) << stage
        count = int(octree.POPCOUNT[codes.numpy()].sum(dtype=np.int64))
        if most is not None and count > most:
            raise FormatError(f"the tree grows beyond the {most} cells of its header")
        above, level = level, neighbours.children(level, codes)
        parent_codes = codes
    return above, level
