"""The occupancy network: one level step, run by training, encoder and decoder alike.

Every node of a level has an 8-bit occupancy code, coded child by child in eight stages. The step
predicts stage s of all nodes from the stages below s of each node and of its 26 neighbours:

    state of the parent (C), octant ─┐
    which of 27 neighbours exist ────┼─ enter ─ [conv ─ conv +]*R ─ features (C)
    statistics of the level ─────────┘                                  │
    stages 2r and 2r+1, r = 0..3:   r > 0: features = conv([features, bits known]) + features
                                    logit_s = out_s(hidden_s(window_s([features, bits known])))
    all bits known:                 state = conv([features, bits]) + features  -> the children

`bits known` is a window of 27 x 8 inputs: bits 0 .. s-1 of the codes of the node and its
neighbours, and in place of bit 7, which is never known while a stage is predicted, whether the
neighbour exists. The layers are handed in: float ones to train (`nn.layers`), integer ones to code
(`exact.layers`). Values between layers are whole numbers 0 .. 127 in units of 1/16 in both.

Kin: SparsePCGC (Wang et al., TPAMI 2022) for the staged occupancy, RENO (You et al., CVPR 2025)
for one network shared by all levels.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pcc_cli.errors import InputError
from pcc_cli.nn.layers import BIT_VALUE, Layers
from pcc_cli.nn.neighbourhood import Neighbourhood, gathered
from pcc_cli.tree.neighbours import NEIGHBOURS, Level

STAGES = 8
STATISTICS = 24
REFRESHES = 4  # features are renewed before every second stage


@dataclass(frozen=True)
class NetworkConfig:
    """The size of the network."""

    channels: int = 48  # C, width of the features
    hidden: int = 64  # width of the first layer of each stage
    blocks: int = 2  # R, residual blocks before the first stage

    def __post_init__(self) -> None:
        sizes = (self.channels, self.hidden, self.blocks)
        if not all(type(size) is int for size in sizes) or self.hidden < 2 or self.blocks < 0:
            raise InputError(f"there is no network with channels, hidden, blocks = {sizes}")
        if self.channels < 8 or self.channels % 8:  # rows are moved as 64-bit words
            raise InputError(f"the channels of a network must be a multiple of 8: {self.channels}")

    def layers(self) -> dict[str, tuple[int, int]]:
        """name -> (inputs, outputs) of every layer."""
        c, h = self.channels, self.hidden
        window = NEIGHBOURS * STAGES
        shapes = {"enter": (8 * c + NEIGHBOURS + STATISTICS, c)}
        for block in range(self.blocks):
            shapes[f"block{block}.first"] = (NEIGHBOURS * c, c)
            shapes[f"block{block}.second"] = (NEIGHBOURS * c, c)
        for refresh in range(1, REFRESHES + 1):
            shapes[f"refresh{refresh}"] = (NEIGHBOURS * c + window, c)
        for stage in range(STAGES):
            shapes[f"stage{stage}.window"] = (c + window, h)
            shapes[f"stage{stage}.hidden"] = (h, h // 2)
            shapes[f"stage{stage}.out"] = (h // 2, 1)
        return shapes


def statistics(level: Level, parent_codes: Tensor) -> Tensor:
    """(STATISTICS,) int64 in 0 .. 127: what kind of cloud this is, as far as both sides know it.

    Share of each number of children in the level above (8), share of each class of number of
    neighbours in this level (8), and of nodes by size of the level (8 bins of log2, one-hot).
    """
    occupied = (
        parent_codes[:, None] >> torch.arange(8, dtype=torch.uint8, device=parent_codes.device)
    ) & 1
    branching = torch.bincount(occupied.sum(1), minlength=9)[1:]
    count = len(level)
    near = (level.table < count).sum(1)
    edges = torch.tensor([1, 2, 4, 6, 9, 13, 18], device=near.device)
    crowding = torch.bincount(torch.bucketize(near, edges), minlength=8)
    size = torch.zeros(8, dtype=torch.long, device=near.device)
    size[min(count.bit_length() // 3, 7)] = 127
    shares = [127 * branching // branching.sum(), 127 * crowding // count]
    return torch.cat([*shares, size])


_BITS = BIT_VALUE * ((torch.arange(256)[:, None] >> torch.arange(8)) & 1)  # (256, 8) of a byte


def known_bits(layers: Layers, codes: Tensor, stage: int) -> Tensor:
    """(n + 1, 8) window: bits below `stage`, bit 7 for existence, none in the last row."""
    window = torch.zeros(len(codes) + 1, 1, dtype=torch.int32, device=codes.device)
    window[:-1, 0] = codes if stage == STAGES else (codes & ((1 << stage) - 1)) | 0x80
    return gathered(layers.constant(_BITS.to(codes.device)), window)


class LevelStep:
    """One level of one cloud: `predict(stage, codes)` for stage 0 .. 7 in order, then `state`.

    state : (m, C) of the level above
    parent_codes : (m,) uint8, its occupancy
    """

    def __init__(
        self,
        config: NetworkConfig,
        layers: Layers,
        level: Level,
        state: Tensor,
        parent_codes: Tensor,
    ) -> None:
        self.config, self.layers, self.level = config, layers, level
        self.features = self._enter(state, statistics(level, parent_codes))
        near = Neighbourhood(level.table, None, features=True)
        for block in range(config.blocks):
            inner = layers.apply_layer(f"block{block}.first", self.features, near)
            self.features = layers.apply_layer(f"block{block}.second", inner, near, self.features)

    def _enter(self, state: Tensor, stats: Tensor) -> Tensor:
        level, layers, c = self.level, self.layers, self.config.channels
        entered = []
        for rows in layers.chunks(len(level)):
            octants = level.octants[rows]
            n = len(octants)
            slots = torch.zeros(n, 8, c, dtype=state.dtype, device=state.device)
            slots[torch.arange(n, device=state.device), octants] = state[level.parents[rows]]
            exists = layers.constant((level.table[rows] < len(level)).long() * BIT_VALUE)
            about = layers.constant(stats).expand(n, STATISTICS)
            x = torch.cat([slots.flatten(1), exists, about], dim=1)
            entered.append(layers.apply_layer("enter", x))
        return torch.cat(entered)

    def _refresh(self, number: int, window: Tensor) -> Tensor:
        near = Neighbourhood(self.level.table, window, features=True)
        return self.layers.apply_layer(f"refresh{number}", self.features, near, self.features)

    def predict(self, stage: int, codes: Tensor) -> Tensor:
        """(n,) log odds that child `stage` is occupied; of `codes` only lower bits are read."""
        window = known_bits(self.layers, codes, stage)
        if stage and stage % 2 == 0:
            self.features = self._refresh(stage // 2, window)
        near = Neighbourhood(self.level.table, window, features=False)
        x = self.layers.apply_layer(f"stage{stage}.window", self.features, near)
        x = self.layers.apply_layer(f"stage{stage}.hidden", x)
        return self.layers.logits(f"stage{stage}.out", x)

    def state(self, codes: Tensor) -> Tensor:
        """(n, C) what the children inherit, once all bits are known."""
        return self._refresh(REFRESHES, known_bits(self.layers, codes, STAGES))
