"""`attention`: cells in eight phases; each attends to the known cells of its window.

The window is the cell and its 26 neighbours, 24 voxels wide. Queries come from the hyper-latents,
keys and values from known latents, too; cells that are not decoded yet have no weight, so the
model is causal. Weights are exponentials by integer table (`exact.attention`); there is no
normalisation of features.

Qian et al., "Entroformer", ICLR 2022, for attention in an entropy model.
"""

from __future__ import annotations

import torch
from torch import Tensor

from pcc_cli.codecs.deepcompress.network import NetworkConfig, Shapes
from pcc_cli.codecs.deepcompress.priors.base import ONE_BY_ONE, Prior
from pcc_cli.nn.attention import WindowAttention
from pcc_cli.tree.neighbours import NEIGHBOURS

HEADS = 2
KEY = 16  # channels of queries and keys, a head
VALUE = 32  # channels of values, a head
PLACES = 32  # inputs that name one of the 27 places of the window
_ONE = 16  # the activation that stands for 1


def attention_shapes(config: NetworkConfig) -> Shapes:
    """The layers that `attended` needs."""
    width = config.filters[2]
    return {
        "query": (width, HEADS * KEY),
        "key": (width + config.latents, HEADS * KEY),
        "value": (width + config.latents, HEADS * VALUE),
        "place.out": (PLACES, HEADS),
    }


def attended(prior: Prior, known: Tensor) -> Tensor:
    """(n, HEADS * VALUE) what each cell gathers from the known cells of its window."""
    source = torch.cat([prior.side, known], dim=1)
    places = torch.eye(NEIGHBOURS, PLACES, dtype=torch.long, device=known.device) * _ONE
    inputs = WindowAttention(
        query=prior.apply("query", prior.side),
        key=prior.apply("key", source),
        value=prior.apply("value", source),
        position_bias=prior.logits("place.out", prior.layers.constant(places)),
        table=prior.level.table,
        known=known[:, 0] > 0,
    )
    return prior.layers.attend(inputs)


class Attention(Prior):
    """See the module."""

    name = "attention"
    phases = ONE_BY_ONE

    @classmethod
    def own_shapes(cls, config: NetworkConfig) -> Shapes:
        width = config.filters[2]
        return attention_shapes(config) | {
            "hidden": (width + HEADS * VALUE, 2 * width),
            "out": (2 * width, 2 * config.latents),
        }

    def predict(self, step: int, known: Tensor) -> Tensor:
        x = torch.cat([self.side, attended(self, known)], dim=1)
        return self.logits("out", self.apply("hidden", x))
