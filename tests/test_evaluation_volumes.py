"""Volumes in `pcc eval`: our codecs beside classical coders, and what `compress` says of them."""

from __future__ import annotations

import io
import math
from pathlib import Path

import numpy as np
import pytest
import volumes

from pcc_cli import api
from pcc_cli.errors import PccError
from pcc_cli.evaluation import exchange, measure, run
from pcc_cli.evaluation.choices import Choices
from pcc_cli.geometry import Volume


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "blobs.npy"
    np.save(path, volumes.blobs((20, 24, 22)))
    return path


def test_a_volume_is_a_case(file: Path) -> None:
    case = measure.reference(file, None).case
    assert (case.kind, case.grid, len(case.shape)) == ("volume", "", 20 * 24 * 22)
    assert case.peak == pytest.approx(float(np.ptp(volumes.blobs((20, 24, 22)))))


def test_rows_of_ours_and_of_others(file: Path) -> None:
    choices = Choices(
        codecs=("neurcomp",), against=("sperr", "sz3", "zfp", "draco"), settings={"bpp": "2"}
    )
    plan = run.plan([file], choices)
    chosen = {"neurcomp.1": 0, "sperr": 3, "sz3": 2, "zfp": 2}
    rows = []
    for name, number in chosen.items():
        tasks = [task for task in plan.tasks if task.row.codec == name]
        rows.append(run.measure_row(tasks[number]))
    assert plan.tasks[0].row.setting == "bpp 2"
    assert not plan.skipped and {task.row.codec for task in plan.tasks} == set(chosen)
    for row in rows:
        assert row.kind == "volume" and not row.lossless and row.bytes > 0
        assert row.metrics["psnr_db"] > 20 and 0 < row.metrics["ssim"] <= 1
    stream = io.BytesIO()
    report = api.compress_to(
        stream, Volume(volumes.blobs((20, 24, 22))), api.Options(settings={"bpp": 2.0})
    )
    assert rows[0].metrics["psnr_db"] == pytest.approx(report.quality["psnr_db"], abs=1e-9)
    assert rows[0].metrics["max_error"] == report.quality["max_error"]


def test_small_volumes_have_no_small_rates(file: Path) -> None:
    labels = [task.row.setting for task in run.plan([file], Choices()).tasks]
    assert labels == ["bpp 0.64", "lossless"]


def test_what_classical_coders_do_not_take_is_skipped(tmp_path: Path) -> None:
    holes = volumes.blobs((8, 9, 10))
    holes[2] = np.nan
    np.save(tmp_path / "holes.npy", holes)
    plan = run.plan([tmp_path / "holes.npy"], Choices(against=("sperr", "tthresh")))
    assert {row.codec for row in plan.skipped} == {"sperr", "tthresh"}
    assert "finite" in plan.skipped[0].skipped


def test_comparing(tmp_path: Path) -> None:
    values = volumes.blobs((8, 9, 10))
    values[0, 0, 0] = np.nan
    np.save(tmp_path / "a.npy", values)
    original = measure.reference(tmp_path / "a.npy", None)
    assert measure.compare(original, Volume(values.copy()), None).lossless
    found = measure.compare(original, Volume(values + 1), None)
    known = np.ptp(values[np.isfinite(values)])
    assert found.metrics["psnr_db"] == pytest.approx(20 * math.log10(known), abs=1e-3)
    with pytest.raises(PccError, match="no volume of this shape"):
        measure.compare(original, Volume(values[1:]), None)


def test_volumes_travel_between_processes(tmp_path: Path) -> None:
    for axes, shape in {"zyx": (3, 4, 5), "tzyxc": (2, 3, 4, 5, 2)}.items():
        volume = Volume(np.arange(np.prod(shape)).reshape(shape), axes)
        exchange.write_shape(tmp_path / "v.npz", volume)
        back = exchange.read_shape(tmp_path / "v.npz")
        assert isinstance(back, Volume) and volumes.same(back, volume)
