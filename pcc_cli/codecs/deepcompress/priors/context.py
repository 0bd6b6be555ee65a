"""`context`: cells in eight phases; each also sees its neighbours of the phases before.

Minnen et al., "Joint autoregressive and hierarchical priors", NeurIPS 2018: a masked convolution.
Here the mask is `known`, which is 0 where nothing is decoded, so all cells of a phase, of all
blocks, are predicted at once.
"""

from __future__ import annotations

import torch
from torch import Tensor

from pcc_cli.codecs.deepcompress.network import NetworkConfig, Shapes
from pcc_cli.codecs.deepcompress.priors.base import ONE_BY_ONE, Prior, near


class Context(Prior):
    """See the module."""

    name = "context"
    phases = ONE_BY_ONE

    @classmethod
    def own_shapes(cls, config: NetworkConfig) -> Shapes:
        width = config.filters[2]
        return {
            "known": (27 * config.latents, 2 * width),
            "hidden": (3 * width, 2 * width),
            "out": (2 * width, 2 * config.latents),
        }

    def predict(self, step: int, known: Tensor) -> Tensor:
        x = torch.cat([self.side, self.apply("known", known, near(self.level))], dim=1)
        return self.logits("out", self.apply("hidden", x))
