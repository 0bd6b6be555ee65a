"""Columns guessed from the points around: exact for every type, small where space helps."""

from __future__ import annotations

import attributes_decoder
import numpy as np
import pytest

from pcc_cli.attributes import coder, detail, neighbourhood, neighbours
from pcc_cli.attributes.bits import BitReader, BitWriter
from pcc_cli.attributes.integers import Scale, from_integers, scales
from pcc_cli.entropy import columns, rangecoder, reference
from pcc_cli.errors import FormatError, PccError, UnsupportedError
from pcc_cli.tree.morton import morton_order

RNG = np.random.default_rng(8)
TOP = (1 << 32) - 1


def in_order(rows):
    voxels = np.asarray(rows, dtype=np.int64).reshape(-1, 3)
    return voxels[morton_order(voxels)]


def sheet(size):
    """A bumpy surface, some of its points twice."""
    x, y = np.mgrid[:size, :size]
    z = 20 + 8 * np.sin(x / 6) * np.cos(y / 9)
    rows = np.stack([x, y, z], axis=-1).reshape(-1, 3).astype(np.int64)
    return in_order(np.concatenate([rows, rows[:: size // 4]]))


SHEET = sheet(40)
CLOUDS = {
    "surface": SHEET,
    "sparse, 32 bits": in_order(RNG.integers(0, 1 << 32, (300, 3))),
    "corners": in_order([[x, y, z] for x in (0, TOP) for y in (0, TOP) for z in (0, TOP)] * 9),
    "one place": np.full((200, 3), 5),
    "a line": in_order(np.arange(300)[:, None] * [0, 0, 3]),
    "full cube": in_order(np.argwhere(np.ones((7, 7, 7)))),
    "far away": in_order(RNG.integers(0, 9, (300, 3)) + 4_000_000_000),
}
CLOUD = pytest.mark.parametrize("voxels", CLOUDS.values(), ids=CLOUDS)


def colours(voxels):
    """Three smooth columns that go together, with a little noise."""
    shade = 90 + 40 * np.sin(voxels[:, 0] / 5.0) + 30 * np.cos(voxels[:, 1] / 7.0)
    noise = RNG.normal(0, 2, (4, len(voxels)))
    return [
        np.clip(shade * k + noise[0] + n, 0, 255)
        for k, n in zip((1, 0.8, 1.3), noise[1:], strict=True)
    ]


def round_trip(values, voxels):
    entries, data, _ = coder.encode(values, voxels)
    layout = [(len(column), column.dtype) for column in values]
    back = coder.decode(entries, data, layout, voxels)
    assert [column.tobytes() for column in back] == [column.tobytes() for column in values]
    assert [column.dtype for column in back] == [column.dtype for column in values]
    assert sum(entry["bytes"] for entry in entries) == len(data)
    return entries, data


@CLOUD
def test_each_point_is_coded_once_and_after_its_neighbours(voxels):
    coded = np.zeros(len(voxels), dtype=bool)
    coded[0] = True
    for stage in detail.stages(voxels):
        assert not coded[stage.rows].any()
        assert (np.diff(stage.rows) > 0).all()
        assert (np.diff(stage.starts) > 0).all()
        assert stage.starts[-1] == len(stage.near) == len(stage.places)
        assert coded[stage.near].all()
        coded[stage.rows] = True
    assert coded.all()


@CLOUD
def test_stages_are_those_of_the_document(voxels):
    expected = list(attributes_decoder.stages(voxels.tolist()))
    found = [
        [
            (row, list(zip(near.tolist(), places.tolist(), strict=True)))
            for row, near, places in zip(
                stage.rows.tolist(),
                np.split(stage.near, stage.starts[1:-1]),
                np.split(stage.places, stage.starts[1:-1]),
                strict=True,
            )
        ]
        for stage in detail.stages(voxels)
    ]
    assert found == expected


@pytest.mark.parametrize("cloud", ["surface", "sparse, 32 bits", "corners", "one place"])
def test_a_decoder_written_from_the_document_agrees(cloud):
    """Chains of three and one; every kind of scale; blocks, excesses, low bits, duplicates."""
    voxels = sheet(20) if cloud == "surface" else CLOUDS[cloud]
    shades = [column.astype(np.uint8) for column in colours(voxels)]
    jumps = np.where(RNG.random(len(voxels)) < 0.1, 60_000, voxels[:, 0] % 50).astype(np.uint16)
    wide = RNG.normal(size=len(voxels)).astype(np.float32)
    table = np.array([-3.5, 1.0, 1e30, 7.25])[voxels[:, 1] % 4]
    values = [*shades, shades[0] // 2, jumps, wide, table]
    stages = list(detail.stages(voxels))
    entries, pieces = [], []
    for chain in (values[:4], values[4:5], values[5:6], values[6:]):
        for record, data in coder._encode_chain(chain, stages):
            entries.append(record)
            pieces.append(data)
    widths = [column.itemsize for column in values]
    images = attributes_decoder.decode(entries, b"".join(pieces), voxels.tolist(), widths)
    assert images == [columns.to_image(column).tolist() for column in values]


@CLOUD
@pytest.mark.parametrize("name", columns.TYPES)
def test_every_bit_of_every_type_survives(voxels, name):
    dtype = np.dtype(name)
    noise = RNG.integers(0, 256, len(voxels) * dtype.itemsize, dtype=np.uint8).view(dtype)
    smooth = (voxels[:, 0] % 97).astype(dtype)
    rare = np.where(RNG.random(len(voxels)) < 0.02, noise, dtype.type(1))
    round_trip([noise, smooth, np.full(len(voxels), 7, dtype), rare, smooth[::-1].copy()], voxels)


@CLOUD
def test_neighbours_alone_are_exact(voxels):
    """Without the other coder to fall back on."""
    tops = [255, (1 << 20) - 1, 1, 255]
    values = [RNG.integers(0, top + 1, len(voxels)) for top in tops]
    values[3][:] = values[0]
    stages = list(detail.stages(voxels))
    coded = neighbours.encode(values, tops, stages)
    back = neighbours.decode(coded, tops, stages, len(voxels))
    assert all(np.array_equal(a, b) for a, b in zip(values, back, strict=True))


def test_smooth_columns_are_coded_by_neighbours_in_a_chain():
    values = [column.astype(np.uint8) for column in colours(sheet(120))]
    entries, data = round_trip(values, sheet(120))
    assert [entry["coder"] for entry in entries] == [coder.NEIGHBOURS] * 3
    assert [entry["guides"] for entry in entries] == [0, 1, 2]
    assert len(data) < 0.85 * len(coder.encode(values)[1])


def test_noise_costs_hardly_more_than_it_must():
    """Nothing can be guessed but the mean: within 10 % of the entropy, for
    the mean of a few neighbours is noisy, too."""
    voxels = sheet(100)
    values = np.rint(RNG.normal(128, 9, len(voxels))).astype(np.int64)
    (coded,) = neighbours.encode([values], [255], list(detail.stages(voxels)))
    least_bytes = np.log2(9 * np.sqrt(2 * np.pi * np.e)) * len(voxels) / 8
    assert len(coded.stream) + len(coded.plain) < 1.1 * least_bytes


def test_few_points_constants_and_meshes_stay_with_columns():
    entries, _ = round_trip([np.arange(30), np.zeros(30)], SHEET[:30])
    assert all("coder" not in entry for entry in entries)
    entries, _ = round_trip([np.full(len(SHEET), 7)], SHEET)
    assert "coder" not in entries[0]
    round_trip([np.zeros(0)], SHEET[:0])


@pytest.mark.parametrize("top", [255, 4000])
def test_types_threads_and_range_coders_do_not_matter(monkeypatch, top):
    values = [column.astype(np.int64) * top // 255 for column in colours(SHEET)]
    stages = list(detail.stages(SHEET))
    expected = neighbours.encode(values, [top] * 3, stages)
    monkeypatch.setattr(neighbours, "ahead", lambda items, most: (item for item in items))
    assert neighbours.encode(values, [top] * 3, stages) == expected
    for limit in ("_NARROW_VALUE", "_NARROW_ERROR"):
        monkeypatch.setattr(neighbourhood, limit, 0)  # all in float64
    assert neighbours.encode(values, [top] * 3, stages) == expected
    monkeypatch.setattr(rangecoder, "coders", reference)
    assert neighbours.encode(values, [top] * 3, stages) == expected
    back = neighbours.decode(expected, [top] * 3, stages, len(SHEET))
    assert all(np.array_equal(a, b) for a, b in zip(values, back, strict=True))


def test_damage_is_refused_or_stays_in_shape():
    values = [column.astype(np.uint16) * 257 for column in colours(SHEET)]
    entries, data, _ = coder.encode(values, SHEET)
    assert entries[0]["coder"] == coder.NEIGHBOURS
    layout = [(len(SHEET), np.dtype(np.uint16))] * 3
    for position in range(0, len(data), 211):
        damaged = data[:position] + bytes([data[position] ^ 64]) + data[position + 1 :]
        try:
            decoded = coder.decode(entries, damaged, layout, SHEET)
        except PccError:
            continue
        assert [(len(column), column.dtype) for column in decoded] == layout
    for cut in (data[:-1], data + b"\0", b""):
        with pytest.raises(FormatError):
            coder.decode(entries, cut, layout, SHEET)


@pytest.mark.parametrize(
    ("place", "lie", "error"),
    [
        (0, {"guides": 1}, FormatError),
        (1, {"guides": 0}, None),
        (2, {"guides": 1}, FormatError),
        (0, {"guides": None}, FormatError),
        (0, {"plain": 1 << 40}, FormatError),
        (0, {"top": 0}, FormatError),
        (0, {"top": 1 << 20}, FormatError),
        (0, {"coder": "neighbours.9"}, UnsupportedError),
        (0, {"coder": 5}, UnsupportedError),
        (0, {"bytes": -1}, FormatError),
    ],
)
def test_lies_are_refused(place, lie, error):
    values = [column.astype(np.uint8) for column in colours(SHEET)]
    entries, data, _ = coder.encode(values, SHEET)
    entries[place] = {**entries[place], **lie}
    layout = [(len(SHEET), np.dtype(np.uint8))] * 3
    with pytest.raises(error or PccError):
        coder.decode(entries, data, layout, SHEET)
        raise FormatError("decodes to something else, which the digest of the tile refuses")
    with pytest.raises(PccError):
        coder.decode(entries, data, layout, None)


def test_scales_bring_columns_back():
    cases = {
        "few": np.array([1.5, -2.5, 1e9, np.nan])[RNG.integers(0, 4, 90)],
        "low": RNG.integers(-90, 90, 400).astype(np.int16),
        "wide": RNG.normal(size=300).astype(np.float32),
        "times": 3e5 + np.cumsum(RNG.integers(1, 3, 300)) * 1e-5,
        "gaps": (RNG.integers(0, 9, 300) * 257).astype(np.uint16),
    }
    for name, values in cases.items():
        found = scales(values)
        assert len(found) == (2 if name in ("wide", "times") else 1)
        for scale, integers in found:
            assert integers.min() == 0 and integers.max() == scale.top
            again = Scale.from_json({**scale.to_json()}, scale.apart + b"rest")
            assert from_integers(again, integers, values.dtype).tobytes() == values.tobytes()
        assert found[-1][0].top < 1 << neighbours.VALUE_BITS
    with pytest.raises(FormatError):
        Scale.from_json({"top": 3, "low": 1, "shift": 64}, b"")
    with pytest.raises(FormatError):
        from_integers(found[0][0], np.array([9]), np.dtype(np.uint16))


def test_the_order_of_a_scan_follows_from_its_times():
    """Pulses in time, echoes of a pulse by number: sorting by both is the order of the source."""
    count = 6000
    pulse = np.arange(count) // 2
    cloud = np.stack([pulse % 100, pulse // 100, np.arange(count) % 2 * 5], axis=1)
    rows = morton_order(cloud)
    time, echo = 4e5 + pulse * 1e-5, np.arange(count) % 2 + 1
    values = [echo[rows], time[rows], rows.astype(np.uint32)]
    entries, _ = round_trip(values, cloud[rows])
    assert entries[2]["by"] == [1, 0]
    assert entries[2]["bytes"] < 60
    assert entries[1]["bytes"] < 2 * count
    for lie in ([5], [-1], ["x"], [2], 3):
        wrong = [*entries[:2], {**entries[2], "by": lie}]
        with pytest.raises(PccError):
            layout = [(count, column.dtype) for column in values]
            coder.decode(wrong, coder.encode(values, cloud[rows])[1], layout, cloud[rows])


def test_bits_come_back_and_their_end_is_checked():
    widths = RNG.integers(0, 21, 500)
    values = RNG.integers(0, 1 << 20, 500) & ((1 << widths) - 1)
    writer = BitWriter()
    writer.put(values[:200], widths[:200])
    writer.put(values[200:], widths[200:])
    data = writer.finish()
    assert len(data) == -(-int(widths.sum()) // 8)
    reader = BitReader(data)
    assert np.array_equal(reader.take(widths), values)
    reader.finish()
    with pytest.raises(FormatError):
        BitReader(data + b"\0").take(widths + 1)
    reader = BitReader(data + b"\0")
    reader.take(widths)
    with pytest.raises(FormatError):
        reader.finish()
    assert BitWriter().finish() == b""
