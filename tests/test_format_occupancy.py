"""docs/format-occupancy.md is enough to decode a tile: `occupancy_decoder.py`, made from it alone.

The network is a tiny untrained one: every layer counts here, but not what it has learned.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import occupancy_decoder
import pytest
import tiny_models
from contract import voxel_cloud

from pcc_cli.codecs.occupancy.codec import Occupancy

DOCUMENT = (Path(__file__).parent.parent / "docs" / "format-occupancy.md").read_text("utf-8")


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    tiny_models.write(folder)
    return folder


def nothing(rng):
    return np.zeros((0, 3))


def one(rng):
    return [[7, 8, 9]]


def sheet(rng):
    """A bumpy surface."""
    x, y = np.mgrid[:32, :32]
    return np.stack([x, y, 12 + 5 * np.sin(x / 4) * np.cos(y / 5)], axis=-1).reshape(-1, 3)


def repeated(rng):
    rows = sheet(rng)[:500]
    return np.concatenate([rows, rows[rng.integers(0, len(rows), 200)]]) + 1000


def ranked(rng):
    """Points on a few x, on any y, and on a z that is finer than it need be."""
    x, y, z = rng.integers(0, 6, 600) ** 5, rng.integers(0, 64, 600), rng.integers(0, 200, 600) * 37
    return np.stack([x, y, z], axis=1)


def deep(rng):
    """Below level 21 many rows here are equal modulo 2**21: on an axis, on all, or all but 1."""
    places = rng.integers(0, 1 << 21, (30, 3))[rng.integers(0, 30, 250)]
    places[:, 0] += rng.integers(0, 3, 250)
    places[:, 1] += rng.integers(0, 2, 250) * rng.integers(0, 1 << 20, 250)
    return places + (rng.integers(0, 1 << 9, (250, 3)) << 21)


def flat(rng):
    """A plane, so that the axes are all but sure of one half."""
    x, y = np.nonzero(rng.random((96, 96)) < 0.5)
    return np.stack([x, y, np.full(len(x), 2)], axis=1)


def many(rng):
    """Noise; blocks grow."""
    return rng.integers(0, 1 << 6, (18000, 3))


def plain(rng):
    """A plane without holes: more certain bits in a stage than a block of them has."""
    return np.argwhere(np.ones((272, 272, 1)))


# cloud -> what must hold of its `meta` and of the number of coded bits, lest it test too little
CASES = {
    nothing: lambda meta, coded: meta == {"points": 0},
    one: lambda meta, coded: meta["base"] == [7, 8, 9] and coded == (0, 0),
    sheet: lambda meta, coded: meta["voxels"] == 1024,
    repeated: lambda meta, coded: meta["points"] == 700 and "repeats" in meta,
    ranked: lambda meta, coded: list(meta["ranks"]) == ["X", "Z"],
    deep: lambda meta, coded: meta["depth"] == 30 and "ranks" not in meta,
    flat: lambda meta, coded: "ranks" not in meta,
    many: lambda meta, coded: coded[0] >> meta["growth"] > 256 and meta["growth"] == 9,
    plain: lambda meta, coded: coded[1] > 16384 and meta["growth"] == 8,
}


@pytest.mark.parametrize("make", CASES)
def test_a_decoder_written_from_the_document_agrees(make, models, monkeypatch):
    monkeypatch.setenv("PCC_MODELS", str(models))
    cloud = voxel_cloud(make(np.random.default_rng(3)))
    payload = Occupancy(tiny_models.OCCUPANCY, "cpu").encode(cloud)
    meta = json.loads(json.dumps(payload.meta))
    files = [
        (models / tiny_models.OCCUPANCY / name).read_bytes()
        for name in ("config.json", "weights.safetensors")
    ]
    voxels, coded = occupancy_decoder.decode(meta, payload.streams, *files)
    assert np.array_equal(np.reshape(voxels, (-1, 3)), cloud.voxels)
    assert CASES[make](meta, coded)


@pytest.mark.parametrize(
    ("make", "quality", "members"),
    [
        (sheet, 88, {"grown", "sure", "threshold"}),
        (sheet, 67, {"grown", "sure", "threshold"}),
        (sheet, 50, {"grown", "threshold"}),
        (many, 70, {"scale"}),
        (many, 20, {"scale", "grown", "sure", "threshold"}),
        (deep, 10, {"scale"}),
    ],
)
def test_it_agrees_on_lossy_files(make, quality, members, models, monkeypatch):
    monkeypatch.setenv("PCC_MODELS", str(models))
    cloud = voxel_cloud(make(np.random.default_rng(3))[:6000])
    codec = Occupancy(tiny_models.OCCUPANCY, "cpu", quality=quality)
    payload = codec.encode(cloud)
    meta = json.loads(json.dumps(payload.meta))
    files = [
        (models / tiny_models.OCCUPANCY / name).read_bytes()
        for name in ("config.json", "weights.safetensors")
    ]
    voxels, _ = occupancy_decoder.decode(meta, payload.streams, *files)
    assert {"scale", "grown", "sure", "threshold"} & set(meta) == members
    assert np.array_equal(np.reshape(voxels, (-1, 3)), payload.decoded.voxels)
    assert np.array_equal(payload.decoded.voxels, codec.decode(payload).voxels)


def numbers_of(row):
    """The integers in a row of a table of the document, without its first cell."""
    cells = re.search(rf"^\| {re.escape(row)} \|(.*)\|$", DOCUMENT, re.MULTILINE)
    return [int(cell) for cell in cells[1].split("|")]


@pytest.mark.parametrize(("function", "argument"), [("squash", "x"), ("stretch", "p")])
def test_the_tables_of_the_document_are_right(function, argument):
    values = getattr(occupancy_decoder, function)(np.array(numbers_of(argument)))
    assert values.tolist() == numbers_of(f"{function}({argument})")


def test_the_example_of_the_document_is_right():
    cells = re.search(r"\| D \| r \| x \|\n\|---\|---\|---\|\n\|(.*)\|", DOCUMENT)[1].split("|")
    matrix = [[float(number) for number in row.split()] for row in cells[0].split(",")]
    right, solution = ([float(number) for number in cell.split(",")] for cell in cells[1:])
    assert occupancy_decoder.solve(matrix, right) == solution
