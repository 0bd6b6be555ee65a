"""The shapes of a run that are kept for pictures: of volumes the slices that are shown."""

from __future__ import annotations

import hashlib
import io
import re
from dataclasses import replace
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from pcc_cli import formats
from pcc_cli.errors import InputError
from pcc_cli.evaluation.case import COLOURS, Case
from pcc_cli.evaluation.report.slices import Slices, middle_of
from pcc_cli.geometry import Array, Mesh, PointCloud, Volume, Whole

FOLDER = "shapes"
SHAPE, SLICES = ".ply", ".npz"
_EXACT = 1 << 24  # integers below are floats


def keep_original(folder: Path, case: Case) -> str:
    """Writes the original, with its colours; its name below the folder of the run.

    It is named after its content: rows that were measured on another grid keep theirs.
    """
    source = case.source
    if not isinstance(source, Volume) and not isinstance(case.shape, Volume):
        source = replace(source, points=case.shape.points, source={})
    suffix, data = _file_of(source, case)
    name = f"{FOLDER}/{Path(case.file).stem}-{hashlib.sha256(data).hexdigest()[:12]}{suffix}"
    if not (folder / name).exists():
        _write(folder / name, data)
    return name


def keep_decoded(folder: Path, case: Case, codec: str, label: str, shape: Whole) -> str:
    """Writes a decoded shape, points in grid steps; its name below the folder of the run."""
    part = re.sub(r"[^\w.-]+", "_", f"{codec}-{label}")
    suffix, data = _file_of(shape, case)
    name = f"{FOLDER}/{Path(case.file).stem}-{case.sha256[:8]}-{part}{suffix}"
    _write(folder / name, data)
    return name


def read(path: Path) -> PointCloud | Mesh | Slices:
    """What was kept. OSError or PccError when it cannot be read."""
    if path.suffix == SLICES:
        return _read_slices(path)
    shape = formats.read(path.read_bytes(), path.name)
    if isinstance(shape, Volume):
        raise InputError(f"{path.name}: of volumes slices are kept")
    return shape


def _file_of(shape: Whole, case: Case) -> tuple[str, bytes]:
    """Suffix and bytes; points in units of the file, as floats."""
    if isinstance(shape, Volume):
        return SLICES, _slices(shape)
    shape = replace(shape, attributes={k: v for k, v in shape.attributes.items() if k in COLOURS})
    if isinstance(shape, Mesh):
        shape = replace(shape, face_attributes={})
    else:
        shape = replace(shape, points=_coordinates(shape.points, case))
    return SHAPE, formats.write(SHAPE, shape)


def _slices(volume: Volume) -> bytes:
    slices = middle_of(volume)
    stream = io.BytesIO()
    np.savez_compressed(
        stream, allow_pickle=False, **{k: np.array(v) for k, v in slices._asdict().items()}
    )
    return stream.getvalue()


def _read_slices(path: Path) -> Slices:
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as named:
            z, y, x = (named[f"across_{axis}"] for axis in "zyx")
            places, spacing = named["places"].tolist(), named["spacing"].tolist()
    except (KeyError, ValueError, BadZipFile) as error:
        raise InputError(f"{path.name}: no slices of a volume: {error}") from error
    return Slices(z, y, x, tuple(places), tuple(spacing))


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def _coordinates(points: Array, case: Case) -> Array:
    """(n, 3) float32: where the file has them, or, too far from 0 for floats, from their corner."""
    assert isinstance(case.shape, PointCloud)
    corner = np.array(case.corner)
    far = np.abs(case.shape.points + corner).max(initial=0) >= _EXACT
    return ((points if far else points + corner) * np.array(case.steps)).astype(np.float32)
