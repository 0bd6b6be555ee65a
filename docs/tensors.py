"""How near tensors come to meshes, before any network: TSDF, and TSDF-Def without and with L1.

python docs/tensors.py GRID FILE...
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from pcc_cli import formats
from pcc_cli.codecs.necgs import contour
from pcc_cli.codecs.necgs.deform import SHIFTS, Deform
from pcc_cli.codecs.necgs.field import sampled
from pcc_cli.geometry import Array, Mesh
from pcc_cli.levelset.solid import Frame, Solid, areas
from pcc_cli.metrics import sets
from pcc_cli.metrics.meshes import Surface

STEPS = 100
HOW = {
    "exact TSDF": Deform(0),
    "TSDF, fitted": Deform(STEPS, free=False),
    "TSDF-Def without L1": Deform(STEPS, 0.0),
    "TSDF-Def": Deform(STEPS, SHIFTS),
}


def boxed(used: Array) -> Frame:
    """The longest side from -0.9 to 0.9."""
    low, high = used.min(axis=0), used.max(axis=0)
    return Frame((low + high) / 2, float((high - low).max()) / 2)


def main(side: int, names: list[str]) -> None:
    """Prints a line for each way, means over the files."""
    found: dict[str, list[dict[str, float]]] = {way: [] for way in HOW}
    for name in names:
        path = Path(name)
        mesh = formats.read(path.read_bytes(), path.name)
        assert isinstance(mesh, Mesh)
        _, solid = Solid.of(mesh, boxed)
        field = sampled(solid, side)
        original = Surface(solid.vertices, solid.triangles)
        for way, how in HOW.items():
            values = how.fit(solid, field, 0).astype(np.float64)
            points, triangles = contour.whole(values, field.band.nodes, field.beyond())
            kept = triangles[areas(points[triangles]) > 0]
            found[way].append(sets.measure([original], [Surface(points, kept, 1)]))
            print(path.name, way, found[way][-1], file=sys.stderr)
    print(f"| K = {side}, {len(names)} meshes | Chamfer x 1000 | normals | F1 0.005 | F1 0.01 |")
    print("|---|---|---|---|---|")
    for way, rows in found.items():
        means = {key: float(np.mean([row[key] for row in rows])) for key in rows[0]}
        print(f"| {way} | {1000 * means.pop('set_chamfer'):.3f} |", end="")
        print("".join(f" {value:.3f} |" for value in means.values()))


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
