"""A small run of an evaluation, without running one: generated shapes, and numbers made up."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import volumes

from pcc_cli import formats
from pcc_cli.evaluation import pictures
from pcc_cli.evaluation.case import Case
from pcc_cli.evaluation.report import exhibits
from pcc_cli.evaluation.rows import Row, write_csv, write_rows
from pcc_cli.geometry import Array, Mesh, PointCloud, Volume

HOSTILE = "</script><b>&\"'.ply"  # the name of a file, as unlucky as it can be
SCAN, FIELD, BALL, BLOBS = "scan.ply", "field.bin", "ball.ply", "blobs.npy"
STEPS = (0.04, 0.08, 0.16)
OURS, PEER = "occupancy.1", "gpcc"
VOLUMES, VOLUMES_PEER = "neurcomp.1", "sperr"


def shrink(patch: pytest.MonkeyPatch) -> None:
    """Small pictures: they are what takes time."""
    for name, pixels in (("WIDTH", 160), ("HEIGHT", 144)):
        patch.setattr(exhibits, name, pixels)


def globe(count: int = 4000, radius: float = 1.0) -> Array:
    """Points all over a ball, float32."""
    index = np.arange(count) + 0.5
    z, turn = 1.0 - 2.0 * index / count, index * 2.399963
    level = np.sqrt(1.0 - z * z)
    points = np.stack([level * np.cos(turn), level * np.sin(turn), z], axis=1)
    return (radius * points).astype(np.float32)


def scan() -> PointCloud:
    """A red and green ball."""
    points = globe()
    shade = (points[:, 2] > 0).astype(np.uint8)
    return PointCloud(points, {"red": 200 * shade, "green": 180 * (1 - shade), "blue": 40 + shade})


def field() -> PointCloud:
    """Flat land without colours."""
    x, y = (axis.ravel() for axis in np.meshgrid(np.linspace(0, 9, 60), np.linspace(0, 7, 50)))
    return PointCloud(np.stack([x, y, 0.4 * np.sin(x)], axis=1).astype(np.float32))


def ball() -> Mesh:
    """A mesh of a ball."""
    rows, columns = 12, 24
    down, turn = np.meshgrid(np.linspace(0, np.pi, rows), np.arange(columns) * 2 * np.pi / columns)
    points = np.stack([np.sin(down) * np.cos(turn), np.sin(down) * np.sin(turn), np.cos(down)], -1)
    at = np.arange(rows * columns).reshape(columns, rows)
    beside = np.roll(at, -1, axis=0)
    rings = np.stack([at[:, :-1], at[:, 1:], beside[:, 1:], beside[:, :-1]], axis=-1).reshape(-1, 4)
    sizes = np.full(len(rings), 4, np.int32)
    return Mesh(points.reshape(-1, 3).astype(np.float32), sizes, rings.ravel().astype(np.int64))


def made(folder: Path, names: tuple[str, ...] = (SCAN, FIELD, BALL)) -> list[Row]:
    """The rows of a run in `folder`: each shape lossless and at three rates, by two codecs."""
    (folder / "shapes").mkdir(parents=True)
    makers = {SCAN: scan, FIELD: field, BALL: ball}
    rows = []
    for number, name in enumerate(names):
        if name == BLOBS:
            rows += _of_volume(folder, f"{number:064d}")
        else:
            rows += _of_file(folder, name, number, makers.get(name, scan)())
    write_rows(folder, rows)
    write_csv(folder, rows)
    return rows


def _of_file(folder: Path, name: str, number: int, shape: PointCloud | Mesh) -> list[Row]:
    original = _kept(folder, f"{number}", shape)
    kind = "mesh" if isinstance(shape, Mesh) else "points"
    blank = Row(name, f"{number:064d}", kind, len(shape), "", peak=2.0, original=original)
    rows = []
    for codec, cost in ((OURS, 6.0), (PEER, 8.0)):
        exact = {"d1_psnr_db": math.inf, "d2_psnr_db": math.inf, "f_score": 1.0}
        rows.append(_row(blank, codec, "lossless", cost, exact, original))
        for step in STEPS:
            points = np.rint(shape.points / step) * step
            coarse = replace(shape, points=points.astype(np.float32), attributes={})
            kept = _kept(folder, f"{number}-{step}", coarse)
            quality = 20 * math.log10(2.0 / step)
            metrics = {"d1_psnr_db": quality, "d2_psnr_db": quality + 4.0, "f_score": 0.5}
            rows.append(_row(blank, codec, f"x{step:g}", cost * 0.02 / step, metrics, kept))
    return rows


def _of_volume(folder: Path, digest: str) -> list[Row]:
    """A volume, 24 samples along z, lossless and at three rates, by two codecs."""
    volume = Volume(volumes.blobs((24, 20, 32)), spacing=(1.0, 1.0, 2.0))
    case = Case(BLOBS, digest, volume, volume)
    original = pictures.keep_original(folder, case)
    blank = Row(BLOBS, digest, "volume", len(volume), "", peak=250.0, original=original)
    rows = []
    for codec, cost in ((VOLUMES, 6.0), (VOLUMES_PEER, 8.0)):
        exact = {"psnr_db": math.inf, "ssim": 1.0, "max_error": 0.0}
        rows.append(_row(blank, codec, "lossless", cost, exact, original))
        for step in STEPS:
            coarse = np.rint(volume.values / (500 * step)) * np.float32(500 * step)
            kept = pictures.keep_decoded(folder, case, codec, f"{step}", Volume(coarse))
            metrics = {"psnr_db": 20 * math.log10(2.0 / step), "ssim": 0.9, "max_error": 250 * step}
            rows.append(_row(blank, codec, f"x{step:g}", cost * 0.02 / step, metrics, kept))
    return rows


def _row(
    blank: Row, codec: str, setting: str, bpp: float, metrics: dict[str, float], kept: str
) -> Row:
    size = int(bpp * blank.points / 8)
    return replace(blank, codec=codec, version="1.0", setting=setting, bytes=size, bpp=bpp,
                   config=f"--step={setting} <i>", encode_s=1.5, decode_s=0.5, encode_mb=120.0,
                   decode_mb=90.0, lossless=setting == "lossless", metrics=metrics,
                   reconstruction=kept)  # fmt: skip


def _kept(folder: Path, stem: str, shape: PointCloud | Mesh) -> str:
    name = f"shapes/{stem}.ply"
    (folder / name).write_bytes(formats.write(".ply", shape))
    return name
