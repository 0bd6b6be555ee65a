"""How near the meshes of a set come back, as NeCGS reports it: docs/metrics.md, "Sets"."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pcc_cli.geometry import Array
from pcc_cli.metrics.meshes import Surface
from pcc_cli.metrics.points import Cloud, f_score

THRESHOLDS = {"f1_005": 0.005, "f1_01": 0.01}  # where half of the longest side is 1


def measure(originals: Sequence[Surface], decoded: Sequence[Surface]) -> dict[str, float]:
    """Means over the meshes, name -> value; lengths are in halves of the longest side of any."""
    sides = [float(np.ptp(one.vertices, axis=0).max()) for one in originals]
    unit = max(sides) / 2
    found = [_one(a.samples, b.samples, unit) for a, b in zip(originals, decoded, strict=True)]
    return {name: float(np.mean([values[name] for values in found])) for name in found[0]}


def _one(original: Cloud, decoded: Cloud, unit: float) -> dict[str, float]:
    there, along = _nearest(decoded, original)
    back, against = _nearest(original, decoded)
    there, back = there / unit, back / unit
    return {
        "set_chamfer": float(there.mean() + back.mean()) / 2,
        "set_normals": float(along.mean() + against.mean()) / 2,
        **{name: f_score(there, back, limit) for name, limit in THRESHOLDS.items()},
    }


def _nearest(queries: Cloud, target: Cloud) -> tuple[Array, Array]:
    """Distances to the nearest point, and |cosine| between the normals."""
    # Imported here: half a second, which only an evaluation spends.
    from scipy.spatial import cKDTree

    distance, near = cKDTree(target.points).query(queries.points)
    cosine: Array = np.abs((queries.directions * target.directions[near]).sum(axis=1))
    return distance, cosine
