"""TSDF-Def: distances and shifts of nodes, fitted so that their surface is that of the mesh.

It begins with the exact distances. Each step takes points on both surfaces, and pulls distances and
shifts, rounded to 8 bits, to where points lie on the planes of their nearest neighbours and normals
agree. The mean size of the shifts is added (NeCGS, equation 1), so that they are used where they
help. No renderer is needed, and so no GPU.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pcc_cli.codecs.necgs import band as bands
from pcc_cli.codecs.necgs import contour
from pcc_cli.codecs.necgs.field import Field
from pcc_cli.geometry import Array
from pcc_cli.levelset.solid import Solid
from pcc_cli.nn.quantizers import round_through

LEVELS = 128  # of a number from 0 to 1: 8 bits with its sign
POINTS = 4000  # on each surface in a step
KNOWN = 60_000  # on the mesh
RATE = 0.02
BETAS = 0.8, 0.95
NORMALS = 0.1  # steps that a normal the other way round counts
SHIFTS = 0.01  # steps that a mean shift of half a step counts


@dataclass(frozen=True)
class Deform:
    """How a tensor is fitted.

    steps : of fitting; 0: the exact distances alone
    shifts : what their mean counts, in steps of the grid for a shift of half a step
    free : whether nodes are shifted at all
    """

    steps: int
    shifts: float = SHIFTS
    free: bool = True

    def fit(self, solid: Solid, field: Field, seed: int) -> Array:
        """(n, 4) float32 of the nodes of the band: distance, and shift along x, y, z."""
        start = np.zeros((len(field.values), 4), np.float32)
        start[:, 0] = field.values
        if not self.steps:
            return _rounded(torch.from_numpy(start)).numpy()
        return _Fit(self, solid, field, seed).run(torch.from_numpy(start)).numpy()


def _rounded(values: Tensor) -> Tensor:
    return round_through(values.clamp(-1, 1) * LEVELS) / LEVELS


class _Fit:
    def __init__(self, how: Deform, solid: Solid, field: Field, seed: int) -> None:
        from scipy.spatial import cKDTree

        self._how = how
        self._side = field.band.side
        self._rng = np.random.default_rng(seed)
        self._points, self._normals = solid.on_surface(KNOWN, self._rng)
        self._tree = cKDTree(self._points)
        self._corners = contour.cells(field.band.table)
        self._places = torch.from_numpy(bands.points(field.band.nodes, self._side)).float()

    def run(self, values: Tensor) -> Tensor:
        values.requires_grad_()
        optimizer = torch.optim.Adam([values], RATE, BETAS)
        for step in range(self._how.steps):
            for group in optimizer.param_groups:
                group["lr"] = RATE * 10 ** (-2 * step / self._how.steps)
            loss = self._loss(_rounded(values))
            if loss is None:
                break
            optimizer.zero_grad()
            loss.backward()
            if not self._how.free:
                values.grad[:, 1:] = 0  # type: ignore[index]
            optimizer.step()
        return _rounded(values.detach())

    def _loss(self, values: Tensor) -> Tensor | None:
        """In steps of the grid; None where there is no surface."""
        ends, triangles = contour.crossed(self._corners, values[:, 0].detach().numpy() < 0)
        if not len(triangles):
            return None
        places = self._places + values[:, 1:] / self._side
        vertices = contour.vertices(values[:, 0], places, torch.from_numpy(ends))
        corners = vertices[torch.from_numpy(triangles)]  # (m, 3, 3)
        found, normals = self._sampled(corners)
        there, back, aligned = self._distances(found, normals)
        scale = self._side / 2
        shifts = values[:, 1:].abs().mean()
        bent = NORMALS * (1 - aligned).mean()
        return (there.mean() + back.mean()) * scale + bent + self._how.shifts * shifts

    def _sampled(self, corners: Tensor) -> tuple[Tensor, Tensor]:
        """POINTS on the triangles `corners`, and their normals."""
        one, two, three = corners.unbind(1)
        normals = torch.linalg.cross(two - one, three - one)
        areas = normals.detach().norm(dim=1).double().numpy() + 1e-12
        chosen = self._rng.choice(len(areas), POINTS, p=areas / areas.sum())
        u, v = self._rng.random((2, POINTS, 1)).astype(np.float32)
        fold = u + v > 1
        u, v = (torch.from_numpy(np.where(fold, 1 - w, w)) for w in (u, v))
        first = one[chosen]
        points = first + u * (two[chosen] - first) + v * (three[chosen] - first)
        return points, torch.nn.functional.normalize(normals[chosen], dim=1)

    def _distances(self, found: Tensor, normals: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """From the points found to planes of the mesh, from the mesh to them, and the cosines."""
        from scipy.spatial import cKDTree

        places = found.detach().numpy()
        _, near = self._tree.query(places)
        theirs = torch.from_numpy(self._normals[near]).float()
        gap = found - torch.from_numpy(self._points[near]).float()
        there = (gap * theirs).sum(1).abs()
        rows = self._rng.integers(0, KNOWN, POINTS)
        _, back = cKDTree(places).query(self._points[rows])
        other = torch.from_numpy(self._points[rows]).float() - found[back]
        home = (other * normals[back]).sum(1).abs()
        # Beyond the sampling the other surface has nothing there: then the point itself counts.
        alone = other.norm(dim=1)
        lost = alone.detach() > 2 / self._side
        home = torch.where(lost, alone, home)
        return there, home, (theirs * normals).sum(1).abs()
