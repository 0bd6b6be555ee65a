"""Lossy colours: the transform, how it is stored, and what a user is told."""

from __future__ import annotations

import io

import numpy as np
import pytest
import raht_decoder
from test_attribute_neighbours import CLOUD, CLOUDS, colours, sheet

from pcc_cli import api
from pcc_cli.attributes import coder, colour, hierarchy
from pcc_cli.attributes.coder import Colours
from pcc_cli.attributes.transform import Blocks
from pcc_cli.errors import FormatError, InputError, PccError
from pcc_cli.geometry import Mesh, PointCloud
from pcc_cli.metrics import points as metrics

RNG = np.random.default_rng(17)
NAMES = ("red", "green", "blue")


def shades(voxels, dtype=np.uint8):
    scale = 1 if dtype == np.uint8 else 150
    return [(column * scale).astype(dtype) for column in colours(voxels)]


def coded(values, voxels, quality, place=0):
    entries, data, decoded = coder.encode(values, voxels, Colours(place, quality))
    layout = [(len(column), column.dtype) for column in values]
    back = coder.decode(entries, data, layout, voxels)
    assert [column.tobytes() for column in back] == [column.tobytes() for column in decoded]
    assert [column.dtype for column in back] == [column.dtype for column in values]
    return entries, data, decoded


@CLOUD
def test_weights_of_a_level_add_up_and_its_top_is_one_node(voxels):
    levels = hierarchy.levels(voxels)
    for level in levels:
        assert level.weights.sum() == len(voxels)
        assert level.counts.sum() == len(level.octants)
        assert (np.diff(level.octants)[np.diff(level.of_parents(level.firsts)) == 0] > 0).all()
    assert len(levels[-1].firsts) == 1
    assert (levels[0].weights == 1).all()


@CLOUD
def test_coefficients_have_the_energy_of_the_values(voxels):
    values = RNG.normal(size=(2, len(voxels)))
    means, energy = values, 0
    for level in hierarchy.levels(voxels):
        blocks = Blocks(level, np.arange(len(level.firsts)))
        found = blocks.differences(means)
        energy = energy + ((found * blocks.gains) ** 2).sum(axis=(1, 2))
        weights = np.add.reduceat(level.weights, level.firsts)
        above = np.add.reduceat(means * level.weights, level.firsts, axis=1) / weights
        np.testing.assert_allclose(blocks.means(above, found), means, atol=1e-9)
        means = above
    np.testing.assert_allclose(energy + len(voxels) * means[:, 0] ** 2, (values**2).sum(axis=1))


@pytest.mark.parametrize("cloud", ["surface", "sparse, 32 bits", "corners", "one place"])
@pytest.mark.parametrize("quality", [30, 75, 100])
def test_a_decoder_written_from_the_document_agrees(cloud, quality):
    """Ranks of duplicates, low bits that do not count, excesses, all stages."""
    voxels = sheet(20) if cloud == "surface" else CLOUDS[cloud]
    values = shades(voxels, np.uint16 if quality == 75 else np.uint8)
    stored, decoded = colour.encode(values, voxels, quality)
    data = b"".join(part for _, part in stored)
    found = raht_decoder.decode([record for record, _ in stored], data, voxels.tolist())
    assert [list(column) for column in found] == [column.tolist() for column in decoded]


def test_more_quality_takes_more_bytes_and_leaves_less_error():
    voxels = sheet(60)
    values = shades(voxels)
    sizes, errors = [], []
    for quality in (1, 25, 50, 75, 100):
        _, data, decoded = coded(values, voxels, quality)
        sizes.append(len(data))
        errors.append(
            np.mean([(a - b.astype(float)) ** 2 for a, b in zip(values, decoded, strict=True)])
        )
    assert sizes == sorted(set(sizes))
    assert errors == sorted(set(errors), reverse=True)
    assert errors[-1] < 0.5
    assert 3 * sizes[2] < len(coder.encode(values, voxels)[1])


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@CLOUD
def test_any_cloud_takes_lossy_colours(voxels, dtype):
    values = shades(voxels, dtype)
    entries, _, decoded = coded(values, voxels, 90)
    if len(voxels) >= coder.LEAST:
        assert [entry["coder"] for entry in entries] == [colour.RAHT] * 3
    unit = 1 if dtype == np.uint8 else 257
    assert (
        max(np.abs(a - b.astype(float)).max() for a, b in zip(values, decoded, strict=True))
        < 12 * unit
    )


def test_other_columns_stay_exact_even_if_they_refer_to_colours():
    voxels = sheet(40)
    values = shades(voxels)
    others = [values[0].astype(np.float32), np.maximum(values[2], 1), values[2]]
    entries, _, decoded = coded([others[0], *values, *others[1:]], voxels, 40, place=1)
    for place, column in ((0, others[0]), (4, others[1]), (5, others[2])):
        assert decoded[place].tobytes() == column.tobytes()
        assert entries[place].get("coder") != colour.RAHT
    assert (decoded[1] != values[0]).any()


def test_colours_that_are_smaller_without_loss_lose_nothing():
    voxels = sheet(20)
    values = [np.full(len(voxels), shade, np.uint8) for shade in (3, 200, 255)]
    entries, _, decoded = coded(values, voxels, 50)
    assert all("coder" not in entry for entry in entries)
    assert all((a == b).all() for a, b in zip(values, decoded, strict=True))


def test_damage_is_found_or_harmless():
    voxels = sheet(16)
    values = shades(voxels)
    entries, data, _ = coder.encode(values, voxels, Colours(0, 60))
    layout = [(len(column), column.dtype) for column in values]
    for _ in range(150):
        damaged = bytearray(data)
        damaged[RNG.integers(len(data))] ^= 1 << RNG.integers(8)
        try:
            decoded = coder.decode(entries, bytes(damaged), layout, voxels)
        except PccError:
            continue
        assert [len(column) for column in decoded] == [len(voxels)] * 3


@pytest.mark.parametrize(
    "lie",
    [
        {"step": 0.0},
        {"step": 1e300},
        {"step": 3},
        {"top": 256},
        {"top": 0},
        {"plain": 1 << 40},
        {"coder": "neighbours.1", "guides": 0},
    ],
    ids=str,
)
def test_a_wrong_description_is_refused(lie):
    voxels = sheet(16)
    values = shades(voxels)
    entries, data, _ = coder.encode(values, voxels, Colours(0, 60))
    layout = [(len(column), column.dtype) for column in values]
    with pytest.raises(FormatError):
        coder.decode([{**entries[0], **lie}, *entries[1:]], data, layout, voxels)
    with pytest.raises(FormatError):
        coder.decode(entries, data, layout, None)
    with pytest.raises(FormatError):
        coder.decode(entries, data, [layout[0], (len(voxels), np.dtype("u2")), layout[2]], voxels)


def cloud_of(dtype=np.uint8, repeat=False):
    voxels = np.unique(sheet(30), axis=0)
    voxels = np.concatenate([voxels, voxels[::9]]) if repeat else voxels
    named = dict(zip(NAMES, shades(voxels, dtype), strict=True))
    return PointCloud(voxels.astype(np.int32), {**named, "ring": np.arange(len(voxels)) % 7})


@pytest.mark.parametrize("repeat", [False, True])
def test_the_quality_that_is_reported_is_that_of_the_decoded_file(repeat):
    cloud = cloud_of(repeat=repeat)
    options = api.Options(codec="plain", attribute_quality=50)
    stream = io.BytesIO()
    report = api.compress_to(stream, cloud, options)
    back = api.decompress(stream.getvalue())
    assert api.inspect(stream.getvalue())["lossless"] is False
    one, other = (
        metrics.cloud(shape.points, np.stack([shape.attributes[c] for c in NAMES], axis=1))
        for shape in (cloud, back)
    )
    measured = metrics.measure(one, other, 255)
    assert report.quality == pytest.approx({n: measured[n] for n in ("y_psnr_db", "yuv_psnr_db")})
    assert 25 < report.quality["y_psnr_db"] < 60
    rows = {tuple(row) for row in np.column_stack([cloud.points, cloud.attributes["ring"]])}
    assert {tuple(row) for row in np.column_stack([back.points, back.attributes["ring"]])} == rows


def test_wide_colours_are_measured_over_their_range():
    plain = {"codec": "plain", "attribute_quality": 50}
    found = [
        api.compress_to(io.BytesIO(), cloud_of(dtype), api.Options(**plain)).quality
        for dtype in (np.uint8, np.uint16)
    ]
    assert abs(found[0]["y_psnr_db"] - found[1]["y_psnr_db"]) < 6


def test_a_cloud_without_colours_and_a_mesh_are_kept_and_it_is_said():
    options = api.Options(codec="plain", attribute_quality=50)
    cloud = PointCloud(np.arange(300).reshape(100, 3), {"red": np.arange(100, dtype=np.uint8)})
    corners = np.arange(9, dtype=np.float32).reshape(3, 3)
    named = {name: np.arange(3, dtype=np.uint8) for name in NAMES}
    mesh = Mesh(corners, np.array([3], np.int32), np.arange(3), named)
    for shape in (cloud, mesh):
        stream = io.BytesIO()
        report = api.compress_to(stream, shape, options)
        assert any("every attribute is kept exactly" in note for note in report.notes)
        assert report.quality == {}
        back = api.decompress(stream.getvalue())
        assert (back.attributes["red"] == shape.attributes["red"]).all()


@pytest.mark.parametrize("quality", [0, 101, float("nan")])
def test_a_quality_out_of_range_is_refused(quality):
    with pytest.raises(InputError, match="1 to 100"):
        api.compress(cloud_of(), api.Options(codec="plain", attribute_quality=quality))
