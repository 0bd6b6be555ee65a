"""docs/benchmarks.py: tables of volumes, and sections that stay where a run has no rows."""

from __future__ import annotations

import importlib.util
import math
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from pcc_cli.evaluation.rows import Row

SCRIPT = Path(__file__).parent.parent / "docs" / "benchmarks.py"


@pytest.fixture(scope="module")
def benchmarks() -> ModuleType:
    spec = importlib.util.spec_from_file_location("benchmarks", SCRIPT)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(SCRIPT.parent))  # as `python docs/benchmarks.py` has it
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(SCRIPT.parent))
    return module


def row(codec: str, setting: str, bpp: float, psnr: float) -> Row:
    return Row(
        "a/field.npy", "0" * 64, "volume", 8000, codec, version="1", setting=setting, bpp=bpp,
        bytes=int(1000 * bpp), lossless=math.isinf(psnr), metrics={"psnr_db": psnr},
    )  # fmt: skip


ROWS = [
    row("neurcomp.1", "bpp 0.064", 0.06, 31.0),
    row("neurcomp.1", "bpp 0.32", 0.3, 39.0),
    row("plain.1", "lossless", 7.0, math.inf),
    row("sperr", "bpp 0.064", 0.064, 30.0),
    row("sperr", "bpp 0.32", 0.32, 41.0),
    row("tthresh", "bpp 0.064", 0.1, 33.0),
    row("sz3", "error 0.1", 0.2, 35.0),
    row("sz3", "error 0.01", 3.0, 55.0),
]


def test_volumes_are_compared_at_two_rates(benchmarks: ModuleType) -> None:
    text = "\n".join(benchmarks.volumes(ROWS))
    assert "| `field` | 8,000 | 0.064 | **31.00** (60 B) | 30.00 (64 B) | 33.00 @ 0.100 |" in text
    assert "|  |  | 0.32 | 39.00 (300 B) | **41.00** (320 B) |  | 35.00 @ 0.200 |" in text
    assert "| 7.000 |" in text
    assert "Ahead of SPERR at 0.064 bits a sample on all 1." in text
    assert "Ahead of SPERR at 0.32 bits a sample on 0 of 1." in text
    assert "0.064" not in "\n".join(benchmarks.volumes([]))


def test_lossless_at_a_size_is_the_best(benchmarks: ModuleType) -> None:
    exact = replace(ROWS[1], lossless=True, metrics={"psnr_db": math.inf})
    text = "\n".join(benchmarks.volumes([ROWS[0], exact, *ROWS[2:]]))
    assert "**lossless** (300 B)" in text


def cloud_row(codec: str, setting: str, size: int, psnr: float) -> Row:
    return Row(
        "body.ply", "0" * 64, "points", 8000, codec, version="1", setting=setting, bytes=size,
        bpp=size / 1000, metrics={"d1_psnr_db": psnr},
    )  # fmt: skip


def test_entropy_models_are_compared_at_equal_quality(benchmarks: ModuleType) -> None:
    sizes = {"deepcompress.1:gaussian": 400, "deepcompress.1:context": 300, "gpcc-octree": 500}
    rows = [
        cloud_row(codec, f"rate {psnr}", size * (psnr - 60), float(psnr))
        for codec, size in sizes.items()
        for psnr in (65, 68, 72)
    ]
    text = "\n".join(benchmarks.entropy_models(rows))
    assert "| `body` | `context` | 1,500 @ 65.00; 2,400 @ 68.00; 3,600 @ 72.00 | -25.0 % " in text
    assert "| -30 to -40 % | -40.0 % |  |" in text
    assert (
        "| `body` | `gaussian` | 2,000 @ 65.00; 3,200 @ 68.00; 4,800 @ 72.00 |  |  | -20.0 %"
        in text
    )
    assert not list(benchmarks.entropy_models([]))
    made = "".join(benchmarks.tables(rows))
    assert "## Entropy models of deepcompress" in made and "Lossy geometry" not in made


def test_sections_without_rows_stay(benchmarks: ModuleType) -> None:
    old = "\nMeasured.\nVersions: a: 1; b: 1.\n\n## Meshes\n\nold\n\n## Volumes\n\nold\n"
    new = "\nMeasured.\nVersions: b: 2; c: 3.\n\n## Volumes\n\nnew\n\n## Lossless geometry\n\nnew\n"
    assert benchmarks.merged(old, new) == (
        "\nMeasured.\nVersions: a: 1; b: 2; c: 3.\n\n## Lossless geometry\n\nnew\n"
        "\n## Meshes\n\nold\n\n## Volumes\n\nnew\n"
    )


def coloured(codec: str, setting: str, size: int, **metrics: float) -> Row:
    return Row(
        "a/cloud.ply", "0" * 64, "points", 1000, codec, version="1", setting=setting,
        bytes=size, bpp=8 * size / 1000, lossless=setting == "lossless", metrics=metrics,
        config="--attributes", grid="1, exact", sections={"geometry": 100, "red": size - 100},
    )  # fmt: skip


def test_whole_clouds_stand_beside_others(benchmarks: ModuleType) -> None:
    rows = [coloured("occupancy.1", "lossless", 900), coloured("gpcc", "lossless", 1000)]
    (line,) = list(benchmarks.whole(rows))[2:]
    assert line == (
        "| `cloud` | 1,000 | 900 | 1,000 |  | -10.0 % |  | 0.00 | 0.00 | 0 | 0 "
        "| geometry 100, red 800 |"
    )
    assert not list(benchmarks.las(rows)) and not list(benchmarks.lossy_colours(rows))


def test_las_files_stand_beside_laz_in_both_orders(benchmarks: ModuleType) -> None:
    sizes = {"occupancy.1": 900, "laz": 800, "laz-morton": 1000}
    rows = [coloured(codec, "lossless", size) for codec, size in sizes.items()]
    lines = list(benchmarks.las(rows))
    assert lines[2] == "| `cloud.ply` | 1,000 | 900 | 1,000 | 800 | -10.0 % | +12.5 % |"
    assert " ".join(lines[3:]).strip() == (
        "Smaller than LAZ in the same order on 1 of 1, than LAZ in the order of the file on 0."
    )
    assert not list(benchmarks.whole(rows))


def test_lossy_colours_are_compared_at_equal_luma(benchmarks: ModuleType) -> None:
    rows = [
        coloured(codec, setting, size, y_psnr_db=30.0 + y, yuv_psnr_db=31.0 + y)
        for codec, setting, size, y in (
            ("occupancy.1", "colours 7", 200, 0), ("occupancy.1", "colours 50", 400, 6),
            ("gpcc-raht", "qp 40", 220, 0), ("gpcc-raht", "qp 22", 440, 6),
        )
    ]  # fmt: skip
    lines = list(benchmarks.lossy_colours(rows))
    assert "| `cloud` | occupancy.1 | colours 7 | 200 | 1.600 | 30.00 | 31.00 |" in lines
    (change,) = [line for line in lines if "| gpcc-raht | Y |" in line]
    assert change == "| `cloud` | occupancy.1 | gpcc-raht | Y | -9.1 % | +0.83 dB |"


def mesh_row(codec: str, setting: str, size: int, error: float) -> Row:
    found = {"chamfer": 2 * error, "mesh_distance": error, "f_score": 1 - error, "iou": 0.9}
    return Row(
        "a/cow.ply", "0" * 64, "mesh", 8000, codec, version="1", setting=setting, bytes=size,
        metrics=found, peak=10.0,
    )  # fmt: skip


MESHES = [
    mesh_row("keyspheres.1", "size 2048", 2000, 0.05),
    mesh_row("keyspheres.1", "size 4096", 4000, 0.01),
    mesh_row("decimation+draco", "1200 faces", 2000, 0.04),
    mesh_row("decimation+draco", "4800 faces", 8000, 0.01),
    mesh_row("draco", "qp7", 5000, 0.001),
]


def test_meshes_are_compared_at_our_sizes(benchmarks: ModuleType) -> None:
    text = "\n".join(benchmarks.small_meshes(MESHES))
    assert "| `cow` | 2,000 | 10.00 | **8.00** | 0.950 | **0.960** | 5.00 | **4.00** |" in text
    # Half way between two sizes, by logarithms, half of the error at the smaller one.
    assert "| `cow` | 4,000 | **2.00** | 4.00 | **0.990** | 0.975 | **1.00** | 2.00 |" in text
    assert "Ahead at 2048 bytes: Chamfer, organic 0 of 1" in text
    assert "distance to the surface, organic 1 of 1" in text


def test_meshes_at_sizes_have_a_section_of_their_own(benchmarks: ModuleType) -> None:
    titles = [part for part in benchmarks.tables([*MESHES, *ROWS]) if "## Mesh" in part]
    assert len(titles) == 1
    assert titles[0].startswith("\n## Meshes at 2, 4 and 8 kB")
