"""`channel`: four groups of channels; each also sees the groups before it, there and around.

Minnen and Singh, "Channel-wise autoregressive entropy models", ICIP 2020.
"""

from __future__ import annotations

import torch
from torch import Tensor

from pcc_cli.codecs.deepcompress.network import NetworkConfig, Shapes
from pcc_cli.codecs.deepcompress.priors.base import Prior, near

GROUPS = 4


class Channel(Prior):
    """See the module."""

    name = "channel"
    channel_groups = GROUPS

    @classmethod
    def own_shapes(cls, config: NetworkConfig) -> Shapes:
        width, group = config.filters[2], config.latents // GROUPS
        shapes: Shapes = {}
        for step in range(GROUPS):
            if step:
                shapes[f"group{step}.known"] = (27 * config.latents, width)
            inputs = 2 * width if step else width
            shapes[f"group{step}.hidden"] = (inputs, width)
            shapes[f"group{step}.out"] = (width, 2 * group)
        return shapes

    def predict(self, step: int, known: Tensor) -> Tensor:
        x = self.side
        if step:
            x = torch.cat([x, self.apply(f"group{step}.known", known, near(self.level))], dim=1)
        return self.logits(f"group{step}.out", self.apply(f"group{step}.hidden", x))
