"""The spine: what goes in comes out, the report tells the truth, and no file can lie unnoticed."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from dataclasses import dataclass
from typing import Any, ClassVar

import contract
import numpy as np
import pytest

import pcc_cli
from pcc_cli import api, codecs
from pcc_cli.codecs.base import Payload, silent
from pcc_cli.container import WHOLE_FILE, Section
from pcc_cli.errors import FormatError, InputError, PccError, UnsupportedError
from pcc_cli.geometry import Mesh, PointCloud, VoxelCloud
from pcc_cli.spine import tiling

RNG = np.random.default_rng(5)
PLAIN = api.Options(codec="plain")


def options(**choices) -> api.Options:
    return api.Options(codec="plain", **choices)


def cloud(count=300, dtype=np.float32, step=0.01) -> PointCloud:
    """Points on a grid, a tenth of them twice, with attributes of several types."""
    rows = RNG.integers(-200, 200, (count, 3))
    rows[: count // 10] = rows[count // 10 : count // 10 * 2]
    points = (rows * step).astype(dtype) if step else RNG.normal(size=(count, 3)).astype(dtype)
    attributes = {
        "red": RNG.integers(0, 256, count).astype(np.uint8),
        "intensity": RNG.normal(size=count).astype(np.float32),
        "time": np.arange(count) * 0.1,
    }
    return PointCloud(points, attributes, {"format": "ply", "comments": ["Größe"]})


def mesh() -> Mesh:
    bare = contract.mesh_cases()["polygons"]
    vertex = {"nx": RNG.normal(size=len(bare)), "red": np.arange(len(bare), dtype=np.uint8)}
    face = {"red": np.arange(len(bare.face_sizes), dtype=np.int16)}
    return Mesh(bare.points, bare.face_sizes, bare.face_indices, vertex, face, {"format": "ply"})


def rows_of(shape: PointCloud) -> list[bytes]:
    """Every point with all its attributes, as bytes, sorted."""
    columns = [shape.points, *shape.attributes.values()]
    return sorted(b"".join(column[i].tobytes() for column in columns) for i in range(len(shape)))


def compressed(shape, choices=PLAIN) -> tuple[bytes, api.Report]:
    stream = io.BytesIO()
    report = api.compress_to(stream, shape, choices)
    return stream.getvalue(), report


@pytest.fixture
def small_tiles(monkeypatch):
    monkeypatch.setattr(tiling, "TILE_POINTS", 64)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int16, np.int64, np.uint8])
def test_points_on_a_grid_come_back_with_all_they_carry(dtype):
    step = 0.01 if np.dtype(dtype).kind == "f" else 1
    shape = cloud(dtype=dtype, step=step)
    data, report = compressed(shape)
    back = api.decompress(data)
    assert rows_of(back) == rows_of(shape)
    assert back.source == shape.source
    assert list(back.attributes) == list(shape.attributes)
    assert back.points.dtype == shape.points.dtype
    assert report.max_error == 0.0


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_lossless_keeps_every_bit_of_floats(dtype):
    shape = cloud(dtype=dtype, step=None)
    shape.points[0] = -0.0
    data, report = compressed(shape, options(lossless=True))
    assert rows_of(api.decompress(data)) == rows_of(shape)
    assert report.max_error == 0.0
    assert "x" not in report.attribute_bytes  # residuals count as geometry


def test_rounded_points_stay_within_the_reported_error():
    shape = cloud(step=None)
    data, report = compressed(shape, options(step=0.05, keep_order=True))
    back = api.decompress(data)
    error = np.linalg.norm(back.points.astype(np.float64) - shape.points, axis=1).max()
    assert 0 < error <= report.max_error < 0.05


def test_the_order_is_kept_when_asked(small_tiles):
    shape = cloud()
    data, report = compressed(shape, options(keep_order=True))
    assert contract.same(api.decompress(data), shape)
    assert report.attribute_bytes["order"] > 0
    assert not contract.same(api.decompress(api.compress(shape, PLAIN)), shape)


def test_large_clouds_come_in_tiles_of_neighbours(small_tiles):
    shape = cloud()
    data, report = compressed(shape)
    tiles = api.inspect(data)["tiles"]
    assert [tile["points"] for tile in tiles] == [60] * 5
    assert report.codecs == ["plain.1"] * 5
    assert rows_of(api.decompress(data)) == rows_of(shape)


def test_no_points_at_all():
    shape = PointCloud(np.zeros((0, 3), np.float32), {"red": np.zeros(0, np.uint8)})
    for choices in (PLAIN, options(keep_order=True), options(lossless=True)):
        data, report = compressed(shape, choices)
        assert contract.same(api.decompress(data), shape)
        assert report.points == report.bits_per_point == 0


def test_a_mesh_keeps_order_faces_and_bits():
    shape = mesh()
    data, report = compressed(shape, api.Options())
    back = api.decompress(data)
    assert contract.same(back, shape)
    assert (list(back.attributes), list(back.face_attributes)) == (["nx", "red"], ["red"])
    assert back.source == shape.source
    assert (report.points, report.faces) == (9, 4)
    assert {"nx", "red", "face red"} == set(report.attribute_bytes)
    assert report.notes == []


def test_a_step_for_a_mesh_is_not_dropped_in_silence():
    _, report = compressed(mesh(), api.Options(step=0.1))
    assert "mesh" in report.notes[0]


def test_rgb_stands_for_three_colours():
    columns = {name: np.arange(30, dtype=np.uint8) for name in ("red", "green", "blue", "time")}
    shape = PointCloud(np.arange(90).reshape(30, 3), columns)
    left = api.decompress(api.compress(shape, options(drop=("rgb",)))).attributes
    assert list(left) == ["time"]
    kept = api.decompress(api.compress(shape, options(only=("rgb", "time")))).attributes
    assert list(kept) == list(columns)
    with pytest.raises(InputError, match="blue"):
        api.compress(PointCloud(shape.points, {"red": columns["red"]}), options(only=("rgb",)))


def test_attributes_are_chosen_by_name():
    shape = cloud()
    assert list(api.decompress(api.compress(shape, options(drop=("red",)))).attributes) == [
        "intensity",
        "time",
    ]
    assert list(api.decompress(api.compress(shape, options(only=("time",)))).attributes) == ["time"]
    assert api.decompress(api.compress(shape, options(only=()))).attributes == {}
    back = api.decompress(api.compress(mesh(), options(drop=("red",))))
    assert (list(back.attributes), list(back.face_attributes)) == (["nx"], [])
    for choices in (options(drop=("colour",)), options(only=("colour",))):
        with pytest.raises(InputError, match=r"'colour'.*intensity, red, time"):
            api.compress(shape, choices)


def test_the_same_bytes_twice_and_the_shape_untouched(small_tiles):
    shape = cloud()
    before = [array.copy() for array in (shape.points, *shape.attributes.values())]
    assert api.compress(shape, PLAIN) == api.compress(shape, PLAIN)
    for was, array in zip(before, (shape.points, *shape.attributes.values()), strict=True):
        assert was.tobytes() == array.tobytes()


def test_the_report_and_the_file_agree(small_tiles):
    for shape in (cloud(), cloud(step=None), mesh()):
        data, report = compressed(shape)
        told = api.inspect(data)
        assert report.bytes_out == told["bytes"] == len(data)
        assert report.geometry_bytes == told["geometry_bytes"]
        assert report.attribute_bytes == told["attribute_bytes"]
        assert report.codecs == [tile["codec"] for tile in told["tiles"]]
        assert report.grid == told["grid_text"]
        assert report.points == told["count"] == len(shape)
        assert report.bits_per_point == told["bits_per_point"] == 8 * len(data) / len(shape)
        assert report.geometry_bytes + sum(report.attribute_bytes.values()) < len(data)
        json.dumps(told)


def test_the_file_is_written_front_to_back_tile_by_tile(small_tiles):
    """The stream has nothing but `write`, and progress comes between the tiles."""
    events: list[Any] = []

    class Pipe:
        def write(self, data: bytes) -> int:
            events.append(len(data))
            return len(data)

    api.compress_to(Pipe(), cloud(), PLAIN, lambda done, label: events.append((done, label)))
    steps = [event for event in events if isinstance(event, tuple)]
    assert [label for _, label in steps] == [
        "grid",
        *(f"tile {number} of 5" for number in range(1, 6)),
        "done",
    ]
    assert [done for done, _ in steps] == [0.0, 0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    assert all(isinstance(events[events.index(step) - 1], int) for step in steps[2:])


def test_progress_of_decoding(small_tiles):
    steps: list[float] = []
    api.decompress(api.compress(cloud(), PLAIN), progress=lambda done, label: steps.append(done))
    assert steps == [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]


def test_inspecting_loads_no_torch():
    code = (
        "import sys; from pcc_cli import api; api.inspect(sys.stdin.buffer.read());"
        "assert 'torch' not in sys.modules"
    )
    environment = {"PYTHONPATH": ":".join(sys.path)}
    command = [sys.executable, "-c", code]
    subprocess.run(command, input=api.compress(cloud(), PLAIN), check=True, env=environment)


@dataclass(frozen=True)
class Fat:
    """A codec that never pays, computes on a device, and has no room for surprises."""

    id: ClassVar[str] = "fat.1"
    accepts: ClassVar[tuple[type, ...]] = (VoxelCloud,)
    exact: ClassVar[bool] = True
    lossless: ClassVar[bool] = True
    rates: ClassVar[tuple[dict[str, Any], ...]] = ()

    model: str = "none"
    device: str = "auto"

    def config(self) -> dict[str, Any]:
        return {"model": self.model, "device": self.device}

    def encode(self, shape, progress=silent) -> Payload:
        return Payload({}, {"FAT": shape.voxels.tobytes() * 2})

    def decode(self, payload: Payload) -> VoxelCloud:
        rows = np.frombuffer(payload.stream("FAT"), np.int64).reshape(-1, 3)
        return VoxelCloud(rows[: len(rows) // 2])


@pytest.fixture
def fat(monkeypatch):
    monkeypatch.setitem(codecs.CODECS, "fat.1", f"{__name__}:Fat")


def test_plain_takes_what_it_makes_smaller(fat, small_tiles):
    data, report = compressed(cloud(), api.Options(codec="fat", device="cpu"))
    assert set(report.codecs) == {"plain.1"}
    assert report.notes == ["plain stored: smaller than fat"]
    alone, report = compressed(cloud(), api.Options(codec="fat", device="cpu", fallback=False))
    assert set(report.codecs) == {"fat.1"}
    assert report.notes == []
    assert len(alone) > len(data)
    assert api.inspect(alone)["tiles"][0]["config"] == {"model": "none"}  # no device in a file
    api.decompress(alone, device="cpu")


def test_settings_reach_the_codec(fat):
    data, report = compressed(
        cloud(),
        api.Options(codec="fat.1", settings={"model": "thin"}, device="cpu", fallback=False),
    )
    assert api.inspect(data)["tiles"][0]["config"] == {"model": "thin"}
    assert report.device == "cpu"
    with pytest.raises(UnsupportedError, match="no setting model"):
        api.compress(cloud(), options(settings={"model": "thin"}))


def test_a_codec_for_another_kind_of_shape_is_refused(fat):
    with pytest.raises(UnsupportedError, match="does not take single meshes"):
        api.compress(mesh(), api.Options(codec="fat"))
    with pytest.raises(UnsupportedError, match="unknown codec 'zip'"):
        api.compress(mesh(), api.Options(codec="zip"))


@pytest.mark.parametrize("where", ["header", "tile"])
@pytest.mark.parametrize("kind", ["points", "ordered", "bits", "mesh"])
def test_no_lie_in_a_description_gives_a_wrong_shape(where, kind):
    shape = mesh() if kind == "mesh" else cloud(40, step=None if kind == "bits" else 0.01)
    choices = options(keep_order=kind == "ordered", lossless=kind == "bits")
    data = api.compress(shape, choices)
    genuine = api.decompress(data)
    for path, value, damaged in contract.lies(data, where):
        try:
            back = api.decompress(damaged)
        except PccError:
            continue
        assert back.points.tobytes() == genuine.points.tobytes(), (path, value)
        columns = zip(back.attributes.values(), genuine.attributes.values(), strict=True)
        assert all(a.tobytes() == b.tobytes() for a, b in columns), (path, value)


@pytest.mark.parametrize(
    ("where", "edit", "message"),
    [
        ("header", lambda h: h.update(kind="hologram"), "hologram"),
        ("header", lambda h: h.update(count=h["count"] + 1), "add up"),
        ("header", lambda h: h.update(count=1 << 60), "count"),
        ("header", lambda h: h["columns"].append(dict(h["columns"][0])), "twice"),
        ("header", lambda h: h["columns"][0].update(type="<c8"), "<c8"),
        ("header", lambda h: h["columns"][0].update(role="smell"), "smell"),
        ("tile", lambda t: t.update(codec="holo.7"), r"holo\.7.*newer pcc"),
        ("tile", lambda t: t.update(config={"speed": 1}), "speed"),
        ("tile", lambda t: t.update(coder="columns.9"), r"columns\.9"),
        ("tile", lambda t: t["columns"][0].update(coder="columns.9"), r"columns\.9"),
        ("tile", lambda t: t.update(points=1 << 40), "points"),
        ("tile", lambda t: t.update(bounds=[[0, 0, 0], [1, 1, 1]]), "digest is wrong"),
        ("tile", lambda t: t.update(digest="00" * 16), "digest is wrong"),
        ("tile", lambda t: t["streams"].append("MORE"), "lacks one of its streams"),
    ],
)
def test_what_is_wrong_is_said(where, edit, message):
    with pytest.raises(PccError, match=message):
        api.decompress(contract.edited(api.compress(cloud(), PLAIN), where, edit))


@pytest.mark.parametrize(
    "box",
    [[[0, 0, 0]], [[0, 0, 0], [1, 1, "1"]], [[0, 0, -1], [1, 1, 1]], [[0, 0, 0], [1, 1, 2**32]]],
)
def test_bounds_that_cannot_be_are_noticed_before_decoding(box):
    damaged = contract.edited(api.compress(cloud(), PLAIN), "tile", lambda t: t.update(bounds=box))
    with pytest.raises(FormatError, match="bounds of tile 0"):
        api.decompress(damaged, level=3)
    with pcc_cli.open(damaged) as file, pytest.raises(FormatError, match="bounds of tile 0"):
        _ = file.bounds


def test_the_digest_of_the_whole_shape_is_needed_and_checked():
    data = api.compress(cloud(), PLAIN)
    without = contract.rewritten(data, lambda _, sections: sections[:-1])
    with pytest.raises(FormatError, match="no digest"):
        api.inspect(without)
    forged = contract.rewritten(
        data, lambda _, s: [*s[:-1], Section("HASH", WHOLE_FILE, bytes(16))]
    )
    with pytest.raises(FormatError, match="digest is wrong"):
        api.decompress(forged)


@pytest.mark.parametrize("tile", [0, WHOLE_FILE])
def test_sections_of_later_versions(tile):
    """Ancillary ones are passed over, critical ones end it."""
    data = api.compress(cloud(), PLAIN)

    def added(critical):
        extra = Section("NEW", tile, b"later", critical)
        return contract.rewritten(data, lambda _, sections: [*sections[:-1], extra, sections[-1]])

    assert contract.same(api.decompress(added(False)), api.decompress(data))
    with pytest.raises(UnsupportedError, match="'NEW'"):
        api.decompress(added(True))


def test_members_of_later_versions_are_passed_over():
    data = api.compress(cloud(), PLAIN)
    for where in ("header", "tile"):
        later = contract.edited(data, where, lambda record: record.update(weather="fine"))
        assert contract.same(api.decompress(later), api.decompress(data))


@pytest.mark.parametrize(("row", "message"), [(7, "twice"), (40, "not there")])
def test_an_order_that_is_no_permutation_is_refused(row, message):
    rows = np.full(40, row, np.uint32)
    data = api.compress(PointCloud(cloud(40).points, {"rows": rows}), PLAIN)
    forged = contract.edited(
        data, "header", lambda header: header["columns"][0].update(role="order")
    )
    with pytest.raises(FormatError, match=message):
        api.decompress(forged)


def test_damage_anywhere_in_a_file_of_several_tiles(small_tiles):
    data = api.compress(cloud(130), PLAIN)
    for position in range(0, len(data), 5):
        damaged = bytearray(data)
        damaged[position] ^= 1 << position % 8
        with pytest.raises(PccError):
            api.decompress(bytes(damaged))


def test_scales_of_a_las_file_are_kept_exactly():
    ticks = np.random.default_rng(3).integers(-(1 << 20), 1 << 20, (500, 3))
    scales, offsets = [0.0003048006, 1e-7, 0.001], [1.0, 12.5, 0.0]
    points = ticks * np.array(scales) + np.array(offsets)
    shape = PointCloud(points, {}, {"format": "las", "scales": scales, "offsets": offsets})
    data = io.BytesIO()
    report = api.compress_to(data, shape, api.Options(codec="plain"))
    back = api.decompress(data.getvalue())
    assert report.max_error == 0
    assert sorted(map(tuple, back.points.tolist())) == sorted(map(tuple, points.tolist()))
