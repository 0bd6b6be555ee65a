"""`hyperprior`: means and scales from hyper-latents, and from which cells are occupied.

Balle et al., "Variational image compression with a scale hyperprior", ICLR 2018.
"""

from __future__ import annotations

from torch import Tensor

from pcc_cli.codecs.deepcompress.network import NetworkConfig, Shapes
from pcc_cli.codecs.deepcompress.priors.base import Prior


class Hyperprior(Prior):
    """See the module."""

    name = "hyperprior"

    @classmethod
    def own_shapes(cls, config: NetworkConfig) -> Shapes:
        width = config.filters[2]
        return {"hidden": (width, width), "out": (width, 2 * config.latents)}

    def predict(self, step: int, known: Tensor) -> Tensor:
        return self.logits("out", self.apply("hidden", self.side))
