"""The occupancy codec with a tiny untrained network: corners, lies, and what costs nothing.

`contract.py` has the tests that every codec must pass; here is what is special to this one.
"""

from __future__ import annotations

import json

import contract
import numpy as np
import pytest
import tiny_models
import torch
import trees

from pcc_cli.codecs.base import Payload
from pcc_cli.codecs.occupancy import codec as codecs
from pcc_cli.codecs.occupancy import lossy, walk
from pcc_cli.codecs.occupancy.codec import Occupancy
from pcc_cli.errors import FormatError, InputError, ModelError, PccError
from pcc_cli.geometry import VoxelCloud

TOP = contract.TOP


@pytest.fixture(scope="module", autouse=True)
def models(tmp_path_factory):
    """The tiny model, where PCC_MODELS says."""
    folder = tmp_path_factory.mktemp("models")
    tiny_models.write(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PCC_MODELS", str(folder))
        yield folder


@pytest.fixture
def codec():
    return Occupancy(tiny_models.OCCUPANCY, "cpu")


def through_json(payload: Payload) -> Payload:
    return Payload(json.loads(json.dumps(payload.meta)), dict(payload.streams))


def decoded(codec: Occupancy, payload: Payload) -> np.ndarray:
    return codec.decode(through_json(payload)).voxels


@pytest.mark.parametrize(
    ("rows", "depth", "streams"),
    [
        ([], None, []),
        ([[0, 0, 0]], 0, []),
        ([[TOP, 0, 5]], 0, []),
        ([[TOP, 0, 5]] * 9, 0, ["MULT"]),
        ([[6, 6, 6], [6, 6, 7]], 1, ["OCCU"]),
        ([[7, 7, 7], [8, 8, 8]], 4, ["OCCU"]),
        ([[TOP - 1, 4, 4], [TOP, 4, 4]], 1, ["OCCU"]),
        ([[0, 0, 0], [TOP, TOP, TOP]], 32, ["OCCU"]),
        ([[1, 2, 3]] * 4 + [[1, 2, 2]], 1, ["OCCU", "MULT"]),
    ],
)
def test_only_what_is_needed_is_stored(codec, rows, depth, streams):
    """The tree begins at the smallest cell that holds all; one voxel needs no tree, no model."""
    cloud = contract.voxel_cloud(rows)
    payload = codec.encode(cloud)
    assert payload.meta.get("depth") == depth and payload.meta["points"] == len(rows)
    assert list(payload.streams) == streams
    assert ("model" in payload.meta) == ("OCCU" in streams)
    assert np.array_equal(decoded(codec, payload), cloud.voxels)


def test_single_voxels_need_no_model_at_all():
    codec = Occupancy("no-such-model", "cpu")
    for rows in ([], [[5, 6, 7]], [[5, 6, 7]] * 30):
        cloud = contract.voxel_cloud(rows)
        assert np.array_equal(decoded(codec, codec.encode(cloud)), cloud.voxels)
    with pytest.raises(ModelError, match="no-such-model"):
        codec.encode(contract.voxel_cloud([[0, 0, 0], [1, 1, 1]]))


@pytest.mark.parametrize("depth", [1, 2, 16, 17, 22, 32])
def test_every_depth(codec, depth):
    rng = np.random.default_rng(depth)
    top = (1 << depth) - 1
    rows = np.concatenate([rng.integers(0, top + 1, (40, 3)), [[0, 0, 0], [top, top, top]]])
    cloud = contract.voxel_cloud(np.concatenate([rows, rows[:7]]))
    payload = codec.encode(cloud)
    assert payload.meta["depth"] == depth
    assert np.array_equal(decoded(codec, payload), cloud.voxels)


@pytest.mark.parametrize("step", [[1, 0, 0], [0, 1, 0], [0, 0, 1], [3, 3, 3], [1, 2, 100_000_000]])
def test_lines(codec, step):
    cloud = contract.voxel_cloud(np.arange(40)[:, None] * step)
    assert np.array_equal(decoded(codec, codec.encode(cloud)), cloud.voxels)


@pytest.mark.parametrize("repeats", [False, True])
def test_axes_as_ranks(codec, repeats):
    """A lattice: its axes are ranked, which changes the Morton order of the points and back."""
    rng = np.random.default_rng(31)
    rows = rng.choice(1 << 30, 25)[rng.integers(0, 25, (800, 3))]
    rows = np.unique(rows, axis=0)
    cloud = contract.voxel_cloud(np.concatenate([rows, rows[:100]]) if repeats else rows)
    payload = codec.encode(cloud)
    assert set(payload.meta["ranks"]) == set("XYZ")
    assert list(payload.streams) == ["OCCU", "GAPX", "GAPY", "GAPZ"] + ["MULT"] * repeats
    assert np.array_equal(decoded(codec, payload), cloud.voxels)


def test_the_place_of_a_cloud_costs_nothing(codec):
    """The same cloud in another octree cell of its size gives the same stream."""
    voxels = trees.surface(4)
    here, there = (
        codec.encode(contract.voxel_cloud(voxels + offset))
        for offset in (0, np.array([1 << 20, 5 << 27, 16]))
    )
    assert here.streams == there.streams
    assert here.meta["base"] != there.meta["base"]


def test_the_last_child_of_a_node_without_others_is_not_coded(codec):
    """One path down 31 levels: of each node seven bits are coded, none where child 7 is alone."""
    last = codec.encode(contract.voxel_cloud([[0, 0, 0], [TOP, TOP, TOP]]))
    size = len(last.streams["OCCU"])
    assert size < 400
    assert np.array_equal(decoded(codec, last), [[0, 0, 0], [TOP] * 3])


@pytest.mark.parametrize("shape", [np.zeros((1, 3)), trees.surface(3).astype(np.int32), "points"])
def test_other_shapes_are_refused(codec, shape):
    with pytest.raises(InputError):
        codec.encode(shape if isinstance(shape, str) else VoxelCloud(shape))


def test_too_many_points_are_refused(codec, monkeypatch):
    monkeypatch.setattr(codecs, "MAX_VOXELS", 100)
    with pytest.raises(InputError, match="100"):
        codec.encode(contract.voxel_cloud(np.arange(101)[:, None] * [1, 1, 1]))


@pytest.fixture
def payload(codec):
    """A cloud with everything: a tree, ranks on one axis, repeats."""
    voxels = trees.surface(4) * (1, 1, 1001)
    return codec.encode(contract.voxel_cloud(np.concatenate([voxels, voxels[::9]])))


def test_that_payload_has_everything(payload):
    assert list(payload.streams) == ["OCCU", "GAPZ", "MULT"]


@pytest.mark.parametrize("name", ["OCCU", "GAPZ", "MULT"])
def test_missing_streams_are_refused(codec, payload, name):
    streams = {key: data for key, data in payload.streams.items() if key != name}
    with pytest.raises(FormatError, match=name):
        codec.decode(Payload(payload.meta, streams))


@pytest.mark.parametrize("key", ["voxels", "base", "depth", "model"])
@pytest.mark.parametrize(
    "value", [None, -1, "x", [], {}, 1.5, True, 1 << 40, [-1, 0, 0], [0, "1", 0]]
)
def test_lies_are_refused(codec, payload, key, value):
    with pytest.raises(PccError):
        codec.decode(Payload(payload.meta | {key: value}, payload.streams))


@pytest.mark.parametrize(
    "change",
    [
        {"points": 1},
        {"points": 1 << 23},
        {"points": (1 << 23) + 1},
        {"voxels": 1},
        {"depth": 0},
        {"depth": 33},
        {"base": [1, 0, 0]},
        {"base": [0, 0]},
        {"base": [1 << 32, 0, 0]},
    ],
)
def test_numbers_that_contradict_each_other_are_refused(codec, payload, change):
    with pytest.raises(FormatError) as caught:
        codec.decode(Payload(payload.meta | change, payload.streams))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("difference", [-3, -1, 1, 3])
def test_other_numbers_of_voxels_and_levels_are_refused(codec, payload, difference):
    for key in ("voxels", "depth", "points"):
        changed = payload.meta | {key: payload.meta[key] + difference}
        with pytest.raises(FormatError):
            codec.decode(Payload(changed, payload.streams))


def test_another_model_is_refused(codec, payload):
    for model in (
        {"id": "other", "sha256": "0" * 64},
        payload.meta["model"] | {"sha256": "1" * 64},
    ):
        with pytest.raises(ModelError):
            codec.decode(Payload(payload.meta | {"model": model}, payload.streams))


def test_the_model_of_the_file_counts_not_that_of_the_settings(payload):
    voxels = Occupancy("no-such-model", "cpu").decode(payload).voxels
    assert len(voxels) == payload.meta["points"]


def test_a_damaged_stream_is_refused_or_gives_as_many_points(codec, payload):
    """What damage cannot be told from another cloud is caught by the digest of the file."""
    for name, data in payload.streams.items():
        for position in range(0, len(data), max(1, len(data) // 4)):
            damaged = bytearray(data)
            damaged[position] ^= 0x11
            for stream in (data[:position], bytes(damaged), data + b"\0\0\0\0"):
                try:
                    voxels = codec.decode(
                        Payload(payload.meta, payload.streams | {name: stream})
                    ).voxels
                except FormatError:
                    continue
                assert len(voxels) == payload.meta["points"]


def test_a_tree_that_grows_too_large_is_stopped_at_once(codec, payload, monkeypatch):
    """No level may have more nodes than the file says it has voxels; none below is decoded."""
    levels = []
    children = walk.neighbours.children
    monkeypatch.setattr(
        walk.neighbours, "children", lambda *level: levels.append(level) or children(*level)
    )
    with pytest.raises(FormatError, match="beyond the 30 voxels"):
        codec.decode(Payload(payload.meta | {"voxels": 30}, payload.streams))
    assert len(levels) < payload.meta["depth"] - 2


@pytest.mark.parametrize("tail", [b"\xff" * 12, b"\0" * 8])
def test_a_stream_that_goes_on_is_refused(codec, payload, tail):
    streams = payload.streams | {"OCCU": payload.streams["OCCU"] + tail}
    with pytest.raises(FormatError, match="does not end"):
        codec.decode(Payload(payload.meta, streams))


def test_nothing_is_left_behind_in_torch(codec):
    """Coding neither needs gradients nor changes the settings of the program."""
    threads, grad = torch.get_num_threads(), torch.is_grad_enabled()
    codec.encode(contract.voxel_cloud(trees.surface(3)))
    assert (torch.get_num_threads(), torch.is_grad_enabled()) == (threads, grad)


QUALITIES = [1, 40, 67, 83.5, 95, 100]


@pytest.mark.parametrize("name", contract.voxel_cases())
@pytest.mark.parametrize("quality", QUALITIES)
def test_lossy_files_decode_to_what_their_encoder_saw(name, quality):
    cloud = contract.voxel_cases()[name]
    coder = Occupancy(tiny_models.OCCUPANCY, "cpu", quality=quality)
    assert not coder.lossless
    payload = coder.encode(cloud)
    found = decoded(coder, payload)
    if payload.decoded is not None:
        assert np.array_equal(found, payload.decoded.voxels)
    assert (len(found) > 0) == (len(cloud) > 0)
    if quality == 100:
        assert {tuple(row) for row in found} == {tuple(row) for row in cloud.voxels}


@pytest.mark.parametrize("quality", [10, 30, 45, 49.9])
def test_no_more_than_three_octaves_are_grown(quality):
    """What is left of the octaves makes the grid coarser; no level is coded in part."""
    x, y = np.divmod(np.arange(64 * 64), 64)
    loss = lossy.choose(np.stack([x, y, np.full(len(x), 5)], axis=1), quality)
    octaves = lossy.OCTAVES * (100 - quality) / 100
    assert (loss.grown, loss.sure) == (3, 0)
    assert np.log2(loss.scale / lossy.UNIT) == pytest.approx(octaves - 3, abs=0.003)


@pytest.mark.parametrize("quality", [0.5, 101, float("nan")])
def test_other_qualities_are_refused(quality):
    with pytest.raises(InputError, match="--quality"):
        Occupancy(tiny_models.OCCUPANCY, "cpu", quality=quality)


def test_less_quality_takes_fewer_bytes():
    cloud = contract.voxel_cases()["surface"]
    sizes = [
        len(Occupancy(tiny_models.OCCUPANCY, "cpu", quality=q).encode(cloud).streams["OCCU"])
        for q in (40, 67, 83.5, 95, 100)
    ]
    assert sizes == sorted(sizes)


@pytest.mark.parametrize(
    ("member", "value"), [("grown", 40), ("sure", 2501), ("threshold", 1 << 40), ("scale", 0)]
)
def test_lossy_members_out_of_range_are_refused(codec, member, value):
    payload = Occupancy(tiny_models.OCCUPANCY, "cpu", quality=80).encode(
        contract.voxel_cases()["surface"]
    )
    payload.meta[member] = value
    with pytest.raises(FormatError, match=member):
        codec.decode(payload)
