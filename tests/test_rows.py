"""The record of an evaluation, on disk and as curves that are compared."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path

import pytest

from pcc_cli.errors import InputError
from pcc_cli.evaluation import rows
from pcc_cli.evaluation.bd import bd_table
from pcc_cli.evaluation.rows import Row

LOSSLESS = Row(
    file="cube.ply",
    sha256="ab" * 32,
    kind="points",
    points=1000,
    codec="occupancy.1",
    version="0.1.0",
    setting="lossless",
    config="--codec occupancy",
    bytes=125,
    bpp=1.0,
    sections={"geometry": 100},
    lossless=True,
    metrics={"d1_mse": 0.0, "d1_psnr_db": math.inf},
    peak=1023.0,
)
SKIPPED = Row("cube.ply", "ab" * 32, "points", 1000, "gpcc", skipped="tmc3 is not on PATH")


def test_rows_come_back(tmp_path: Path) -> None:
    rows.write_rows(tmp_path, [LOSSLESS])
    rows.append_row(tmp_path, SKIPPED)
    assert rows.read_rows(tmp_path) == [LOSSLESS, SKIPPED]


def test_the_lines_are_strict_json(tmp_path: Path) -> None:
    rows.write_rows(tmp_path, [LOSSLESS])

    def refuse(constant: str) -> float:
        raise AssertionError(constant)

    line = (tmp_path / "rows.jsonl").read_text("utf-8")
    assert json.loads(line, parse_constant=refuse)["metrics"]["d1_psnr_db"] is None


def test_a_cut_line_is_left_out(tmp_path: Path) -> None:
    rows.write_rows(tmp_path, [LOSSLESS, SKIPPED])
    path = tmp_path / "rows.jsonl"
    path.write_bytes(path.read_bytes()[:-20])
    assert rows.read_rows(tmp_path) == [LOSSLESS]


def test_a_damaged_line_is_named(tmp_path: Path) -> None:
    rows.write_rows(tmp_path, [LOSSLESS, SKIPPED])
    path = tmp_path / "rows.jsonl"
    path.write_text(path.read_text("utf-8").replace('"codec": "gpcc"', '"code": "gpcc"'), "utf-8")
    with pytest.raises(InputError, match=r"rows.jsonl: line 2: not a row"):
        rows.read_rows(tmp_path)


def test_table_for_spreadsheets(tmp_path: Path) -> None:
    rows.write_csv(tmp_path, [LOSSLESS, SKIPPED])
    with (tmp_path / "rows.csv").open(newline="", encoding="utf-8") as stream:
        first, second = csv.DictReader(stream)
    assert (first["section_geometry"], first["d1_psnr_db"]) == ("100", "inf")
    assert (second["section_geometry"], second["skipped"]) == ("", "tmc3 is not on PATH")


def curve(codec: str, points: list[tuple[float, float]]) -> list[Row]:
    return [
        Row("a.ply", "", "points", 1, codec, bpp=bpp, metrics={"d1_psnr_db": quality})
        for bpp, quality in points
    ]


def test_half_the_bits_are_minus_fifty_percent() -> None:
    octree = [(0.1, 50.0), (0.2, 60.0), (0.4, 65.0), (0.8, 68.0)]
    half = [(bpp / 2, quality) for bpp, quality in octree]
    table = bd_table([*curve("gpcc", octree), *curve("ours", half)], "gpcc")
    (entry,) = table
    assert (entry.codec, entry.metric, entry.refused) == ("ours", "d1_psnr_db", "")
    assert entry.rate_percent == pytest.approx(-50)
    assert entry.psnr_db is not None and entry.psnr_db > 0


def test_values_of_another_implementation() -> None:
    # Package bjontegaard 1.3.0, method "pchip".
    octree = [(0.0217, 52.8), (0.069, 58.4), (0.217, 63.2), (0.481, 68.0), (0.615, 69.7)]
    trisoup = [(0.0072, 56.1), (0.0245, 63.3), (0.0836, 68.8), (0.2568, 71.2)]
    (entry,) = bd_table([*curve("octree", octree), *curve("trisoup", trisoup)], "octree")
    assert entry.rate_percent == pytest.approx(-86.891237, abs=1e-5)
    assert entry.psnr_db == pytest.approx(9.317504, abs=1e-5)


def test_curves_that_do_not_overlap_are_refused() -> None:
    low, high = [(0.1, 50.0), (0.2, 60.0)], [(0.1, 61.0), (0.2, 65.0)]
    (entry,) = bd_table([*curve("gpcc", low), *curve("ours", high)], "gpcc")
    assert (entry.rate_percent, entry.psnr_db) == (None, None)
    assert "do not overlap in quality" in entry.refused


def test_one_point_is_no_curve() -> None:
    assert bd_table([*curve("gpcc", [(0.1, 50.0)]), *curve("ours", [(0.1, 50.0)])], "gpcc") == []
