"""`gaussian`: one mean and one scale for each channel, by quality; nothing else is looked at."""

from __future__ import annotations

from torch import Tensor

from pcc_cli.codecs.deepcompress.network import EXTRA, NetworkConfig, Shapes
from pcc_cli.codecs.deepcompress.priors.base import Prior


class Gaussian(Prior):
    """See the module."""

    name = "gaussian"
    has_hyper = False

    @classmethod
    def own_shapes(cls, config: NetworkConfig) -> Shapes:
        return {"out": (EXTRA, 2 * config.latents)}

    def predict(self, step: int, known: Tensor) -> Tensor:
        return self.logits("out", self.about)
