"""A mesh of a set on its way in: its place, its distances, its tensor, how near it comes back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pcc_cli.codecs.necgs import field
from pcc_cli.codecs.necgs.deform import Deform
from pcc_cli.codecs.necgs.field import Field
from pcc_cli.codecs.necgs.stream import Place
from pcc_cli.errors import InputError
from pcc_cli.geometry import Array, Mesh, MeshSet
from pcc_cli.levelset import solid as solids
from pcc_cli.levelset.solid import Frame, Solid

ALIKE = 0.6  # of the longest side of all; meshes at least as long have one scale
PROBES = 20_000  # points, on each surface, from which errors are measured


@dataclass(frozen=True)
class Subject:
    """One mesh: its name, place, surface, and distances."""

    name: str
    place: Place
    solid: Solid
    field: Field

    def tensor(self, steps: int, shifts: bool, seed: int) -> Array:
        """(n, 4) the TSDF-Def of the nodes of its band."""
        return Deform(steps, free=shifts).fit(self.solid, self.field, seed)

    def error(self, mesh: Mesh) -> float:
        """Mean distance between the surfaces, both ways, in units of the source.

        Where nothing came back it is the longest side.
        """
        frame = self.place.frame
        triangles = mesh.triangles()
        points = frame.inward(mesh.points.astype(np.float64))
        other = Solid(points, triangles[solids.areas(points[triangles]) > 0])
        if not len(other.triangles):
            return 2 * frame.radius
        rng = np.random.default_rng(0)
        there = self.solid.distance(other.on_surface(PROBES, rng)[0]).mean()
        back = other.distance(self.solid.on_surface(PROBES, rng)[0]).mean()
        return float(there + back) / 2 * frame.radius / solids.REACH


def subjects(meshes: MeshSet, side: int, usual: float = 0.0) -> list[Subject]:
    """The meshes of a set, on grids of up to `side` nodes.

    usual : half of the longest side in a set that they join
    InputError, with its name, for one that has no surface.
    """
    radius = max(_common_radius(meshes), usual)
    return [_subject(name, mesh, side, radius) for name, mesh in meshes.items()]


def _subject(name: str, mesh: Mesh, side: int, radius: float) -> Subject:
    def boxed(used: Array) -> Frame:
        middle = (used.min(axis=0) + used.max(axis=0)) / 2
        own = float(np.ptp(used, axis=0).max()) / 2
        return Frame(middle, radius if own >= ALIKE * radius else own)

    try:
        frame, solid = Solid.of(mesh, boxed)
    except InputError as error:
        raise InputError(f"{name}: {error}") from error
    place = Place(frame, mesh.points.dtype != np.float32)
    return Subject(name, place, solid, field.sampled(solid, side))


def _common_radius(meshes: MeshSet) -> float:
    """Half of the longest side of any mesh."""
    finite = (mesh.points[np.isfinite(mesh.points).all(axis=1)] for mesh in meshes.values())
    sides = [float(np.ptp(points, axis=0).max()) for points in finite if len(points)]
    return max(sides, default=0.0) / 2
