"""The adapter of G-PCC with the real program: `pytest -m peer`, and tmc3 on PATH or in PCC_TMC3."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pcc_cli.evaluation import example, run
from pcc_cli.evaluation.choices import Choices
from pcc_cli.evaluation.rows import Row
from pcc_cli.formats import ply
from pcc_cli.geometry import PointCloud

pytestmark = pytest.mark.peer


def measured(path: Path, folder: Path, choices: Choices) -> dict[tuple[str, str], Row]:
    """The rows of G-PCC, by codec and setting."""
    work = run.plan([path], choices)
    assert not work.skipped, work.skipped[0].skipped
    found = [row for _, row in run.execute(work, folder) if isinstance(row, Row)]
    assert len(found) == len(work.tasks)
    return {(row.codec, row.setting): row for row in found if row.codec.startswith("gpcc")}


def test_both_curves_of_the_example(tmp_path: Path) -> None:
    rows = measured(example.path(), tmp_path, Choices(("plain",), ("gpcc",)))
    octree = [rows["gpcc-octree", f"r0{n}"] for n in range(1, 7)]
    trisoup = [rows["gpcc-trisoup", f"r0{n}"] for n in range(1, 5)]
    for curve in (octree, trisoup):
        assert [row.bytes for row in curve] == sorted(row.bytes for row in curve)
        quality = [row.metrics["d1_psnr_db"] for row in curve]
        assert quality == sorted(quality)
    lossless = rows["gpcc-octree", "lossless"]
    assert lossless.lossless and lossless.bytes > octree[-1].bytes
    assert lossless.version.startswith("TMC13 release-v")


def test_every_mode_for_scans_is_lossless(tmp_path: Path) -> None:
    points = np.random.default_rng(3).integers(-4000, 4000, (3000, 3))
    points[5] = points[6]
    path = tmp_path / "field.ply"
    path.write_bytes(ply.write(PointCloud((points / 1000).astype(np.float32))))
    rows = measured(path, tmp_path, Choices(("plain",), ("gpcc",)))
    assert rows["gpcc", "lossless"].lossless
    assert [row.lossless for row in rows.values()] == [True, False, False, False] * 2
    assert rows["gpcc", "lossless"].bytes <= rows["gpcc-octree", "lossless"].bytes
    assert all(len(row.sections) == 1 for row in rows.values())


def test_colours_lossless_and_lossy(tmp_path: Path) -> None:
    rows = measured(example.path(), tmp_path, Choices(("plain",), ("gpcc",), attributes=True))
    exact = rows["gpcc", "lossless"]
    assert exact.lossless and next(iter(exact.sections)).startswith("octree, colours")
    choices = Choices(("plain",), ("gpcc",), attributes=True, attribute_qualities=(50,))
    lossy = [row for (codec, _), row in measured(example.path(), tmp_path, choices).items()]
    assert [row.setting for row in lossy] == [f"qp {qp}" for qp in (22, 28, 34, 40, 46, 51)]
    luma = [row.metrics["y_psnr_db"] for row in lossy]
    assert luma == sorted(luma, reverse=True) and luma[0] > 35
    assert all(row.bytes < exact.bytes and not row.lossless for row in lossy)
