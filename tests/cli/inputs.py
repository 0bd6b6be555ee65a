"""The files that every command line case finds in its folder, all of them tiny."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import tiny_models

from pcc_cli import api, container, formats
from pcc_cli.formats import ply
from pcc_cli.geometry import Mesh, PointCloud
from pcc_cli.tree.morton import morton_order

TINY_RUN = b"""
[data]
samples = 2
[recipe]
nodes = 500
[network]
channels = 8
hidden = 16
blocks = 1
"""


def make(folder: Path) -> None:
    """Fills `folder`."""
    cube, floats, tetrahedron, sphere = _cube(), _floats(), _tetrahedron(), _sphere()
    tiny_models.write(folder / "models")
    texts = {
        "cube.ply": ply.write(cube),
        "floats.ply": ply.write(floats),
        "sphere.ply": ply.write(sphere),
        "painted.ply": ply.write(_painted(sphere)),
        "table.xyz": b"0 0 0\n0 0 1\n",
        "named.csv": b"x,y,z,label\n1,2,3,7\n",
        "ones.bin": np.ones((5, 4), np.float32).tobytes(),
        "mesh.ply": ply.write(tetrahedron),
        "none.ply": ply.write(PointCloud(np.zeros((0, 3), np.float32))),
        "nan.ply": ply.write(_with_nan(floats)),
        "lists.ply": _ascii("property list uchar int track", "0 0 0 1 5"),
        "scans/a.ply": ply.write(cube),
        "scans/b.ply": ply.write(floats),
        "scans/notes.txt": b"taken on a cloudy day\n",
        "scans/more/c.ply": ply.write(cube),
        "solids/solid.ply": ply.write(tetrahedron),
        "tiny.toml": TINY_RUN,
        "started/settings.json": b"{}",
        "notes.md": b"not a scan\n",
        "empty.ply": b"",
    }
    texts["cut.ply"] = texts["cube.ply"][:-7]
    packed = _packed(texts["cube.ply"], codec="plain")
    texts["packed.dcz"] = packed
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PCC_MODELS", str(folder / "models"))
        texts["learned.dcz"] = _packed(
            texts["sphere.ply"], settings={"model": tiny_models.OCCUPANCY}
        )
    texts["packed/a.ply.dcz"] = packed
    texts["packed/b.ply.dcz"] = _packed(texts["floats.ply"], codec="plain")
    texts["cut.dcz"] = packed[:-20]
    texts["flipped.dcz"] = packed[:200] + bytes([packed[200] ^ 16]) + packed[201:]
    texts["future.dcz"] = _with_major_version(packed, 9)
    for name, data in texts.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    (folder / "nothing").mkdir()


def _packed(source: bytes, **options: str) -> bytes:
    return api.compress(formats.read(source, "source"), api.Options(**options))  # type: ignore[arg-type]


def _cube() -> PointCloud:
    """27 points of an integer grid, in the order in which they are decoded, with colours."""
    voxels = np.stack(np.unravel_index(np.arange(27), (3, 3, 3)), axis=1)
    points = voxels[morton_order(voxels)].astype(np.float32)
    colours = {
        name: np.arange(27, dtype=np.uint8) * (i + 1)
        for i, name in enumerate(("red", "green", "blue"))
    }
    return PointCloud(points, colours)


def _sphere() -> PointCloud:
    """A dense surface, which a learned codec makes smaller than `plain` does."""
    grid = np.stack(np.unravel_index(np.arange(32**3), (32, 32, 32)), axis=1)
    shell = grid[np.abs(np.linalg.norm(grid - 15.5, axis=1) - 14) < 0.5]
    shell -= shell.min(axis=0)
    return PointCloud(shell[morton_order(shell)].astype(np.int32))


def _painted(cloud: PointCloud) -> PointCloud:
    shades = (cloud.points * 8).astype(np.uint8)
    return PointCloud(cloud.points, dict(zip(("red", "green", "blue"), shades.T, strict=True)))


def _floats() -> PointCloud:
    """50 points on no grid."""
    return PointCloud(np.random.default_rng(1).normal(size=(50, 3)).astype(np.float32))


def _with_nan(cloud: PointCloud) -> PointCloud:
    points = cloud.points.copy()
    points[[3, 7], 1] = np.nan
    return PointCloud(points)


def _tetrahedron() -> Mesh:
    points = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]], np.float32)
    faces = np.array([0, 2, 1, 0, 1, 3, 0, 3, 2, 1, 2, 3])
    return Mesh(points, np.full(4, 3, np.int32), faces.astype(np.int64))


def _ascii(properties: str, row: str) -> bytes:
    axes = "".join(f"property float {axis}\n" for axis in "xyz")
    head = f"ply\nformat ascii 1.0\nelement vertex 1\n{axes}{properties}\nend_header\n"
    return (head + row + "\n").encode()


def _with_major_version(data: bytes, major: int) -> bytes:
    """A file of another format version, its checksum right."""
    (length,) = struct.unpack_from("<I", data, 12)
    end = 16 + length
    head = data[: len(container.MAGIC)] + struct.pack("<H", major) + data[10:end]
    return head + struct.pack("<I", zlib.crc32(head)) + data[end + 4 :]
