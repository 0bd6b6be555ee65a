"""The shapes of a run that are kept for pictures, in its folder."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np

from pcc_cli import formats
from pcc_cli.evaluation.case import Case
from pcc_cli.evaluation.measure import COLOURS
from pcc_cli.geometry import Array, Mesh, PointCloud, Volume

FOLDER = "shapes"
_EXACT = 1 << 24  # integers below are floats


def keep_original(folder: Path, case: Case) -> str:
    """Writes the original, with its colours, once; its name below the folder of the run."""
    assert not isinstance(case.source, Volume) and not isinstance(case.shape, Volume)
    name = f"{FOLDER}/{_stem(case)}.ply"
    if not (folder / name).exists():
        _write(folder / name, replace(case.source, points=case.shape.points, source={}), case)
    return name


def keep_decoded(folder: Path, case: Case, codec: str, label: str, shape: PointCloud | Mesh) -> str:
    """Writes a decoded shape, points in grid steps; its name below the folder of the run."""
    part = re.sub(r"[^\w.-]+", "_", f"{codec}-{label}")
    name = f"{FOLDER}/{_stem(case)}-{part}.ply"
    _write(folder / name, shape, case)
    return name


def _stem(case: Case) -> str:
    return f"{Path(case.file).stem}-{case.sha256[:8]}"


def _write(path: Path, shape: PointCloud | Mesh, case: Case) -> None:
    """In units of the file, as floats."""
    path.parent.mkdir(parents=True, exist_ok=True)
    shape = replace(shape, attributes={k: v for k, v in shape.attributes.items() if k in COLOURS})
    if isinstance(shape, Mesh):
        shape = replace(shape, face_attributes={})
    else:
        shape = replace(shape, points=_coordinates(shape.points, case))
    path.write_bytes(formats.write(".ply", shape))


def _coordinates(points: Array, case: Case) -> Array:
    """(n, 3) float32: where the file has them, or, too far from 0 for floats, from their corner."""
    assert isinstance(case.shape, PointCloud)
    corner = np.array(case.corner)
    far = np.abs(case.shape.points + corner).max(initial=0) >= _EXACT
    return ((points if far else points + corner) * np.array(case.steps)).astype(np.float32)
