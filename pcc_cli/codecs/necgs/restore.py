"""From features to a mesh: the network coarse to fine, only near the surface; then its contour."""

from __future__ import annotations

import numpy as np
import torch

from pcc_cli.codecs.necgs import band as bands
from pcc_cli.codecs.necgs import contour
from pcc_cli.codecs.necgs.field import TRUNCATION
from pcc_cli.codecs.necgs.model import load_model
from pcc_cli.codecs.necgs.network import Decoder, Plan, Table, Weights
from pcc_cli.codecs.necgs.stream import Network
from pcc_cli.entropy.steps import step_of
from pcc_cli.geometry import Array
from pcc_cli.levelset.solid import Frame

NEAR = bands.REACH / TRUNCATION  # of the coarse distances, below which nodes have children


@torch.no_grad()
def restored(plan: Plan, weights: Weights, features: torch.Tensor) -> tuple[Array, Array]:
    """Vertices (v, 3) float64 in [-1, 1]^3 and triangles (m, 3)."""
    decoder = Decoder(plan, weights)
    device = features.device
    x = decoder.start(features)
    nodes = bands.all_nodes(bands.FIRST)
    inside = np.zeros((bands.FIRST,) * 3, bool)
    for side in bands.sides(plan.side):
        near = np.ones(len(nodes), bool)
        if side >= bands.DENSE:
            found = decoder.near(x, side).cpu().numpy()
            inside.ravel()[nodes] = found < 0
            near = np.abs(found) < NEAR
        level = bands.level(side, nodes, near)
        x = decoder.stage(x, side, Table.of(level.table, len(nodes), device))
        nodes = level.nodes
        inside = inside.repeat(2, 0).repeat(2, 1).repeat(2, 2)
    if not len(nodes):
        return np.zeros((0, 3)), np.zeros((0, 3), np.int64)
    table = bands.neighbours(nodes, np.arange(len(nodes)), plan.side)
    found = decoder.last(x, Table.of(table, len(nodes), device)).double().cpu().numpy()
    return contour.whole(np.clip(found, -1, 1), nodes, inside)


def weights_of(network: Network, device: torch.device) -> Weights:
    """Of the decoder, float32. ModelError where a network is coded to a model that is not there."""
    known = {} if network.model is None else load_model(*network.model).known(network.plan)
    found = {}
    for name, whole in network.weights.items():
        values = whole * step_of(network.codes[name]) + known.get(name, 0.0)
        found[name] = torch.from_numpy(values.astype(np.float32)).to(device)
    return found


def outward(frame: Frame, vertices: Array, double: bool) -> Array:
    """Vertices in units of the source."""
    return frame.outward(vertices).astype(np.float64 if double else np.float32)
