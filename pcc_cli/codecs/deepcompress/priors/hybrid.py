"""`hybrid`: two groups of channels, each in eight phases of cells, by convolution and attention."""

from __future__ import annotations

import torch
from torch import Tensor

from pcc_cli.codecs.deepcompress.network import NetworkConfig, Shapes
from pcc_cli.codecs.deepcompress.priors.attention import (
    HEADS,
    VALUE,
    attended,
    attention_shapes,
)
from pcc_cli.codecs.deepcompress.priors.base import ONE_BY_ONE, Prior, near

GROUPS = 2


class Hybrid(Prior):
    """See the module."""

    name = "hybrid"
    phases = ONE_BY_ONE
    channel_groups = GROUPS

    @classmethod
    def own_shapes(cls, config: NetworkConfig) -> Shapes:
        width, group = config.filters[2], config.latents // GROUPS
        shapes = attention_shapes(config) | {"known": (27 * config.latents, 2 * width)}
        for number in range(GROUPS):
            shapes[f"group{number}.hidden"] = (3 * width + HEADS * VALUE, 2 * width)
            shapes[f"group{number}.out"] = (2 * width, 2 * group)
        return shapes

    def predict(self, step: int, known: Tensor) -> Tensor:
        group = step // len(self.phases)
        around = self.apply("known", known, near(self.level))
        x = torch.cat([self.side, around, attended(self, known)], dim=1)
        return self.logits(f"group{group}.out", self.apply(f"group{group}.hidden", x))
