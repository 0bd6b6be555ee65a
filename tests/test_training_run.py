"""Training runs: a folder that says everything, goes on, and ends with a model that codes."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

import contract
import numpy as np
import pytest
import trees

from pcc_cli import formats, weights
from pcc_cli.codecs.occupancy.codec import Occupancy
from pcc_cli.codecs.occupancy.model import load_model
from pcc_cli.datasets import packing
from pcc_cli.errors import DeviceError, InputError, OutputError, UnsupportedError
from pcc_cli.geometry import PointCloud
from pcc_cli.training import run
from pcc_cli.training.run import DataConfig, Settings, load_settings, start

TINY = Settings().updated(
    {
        "data": {"samples": 2, "seed": 3},
        "recipe": {"nodes": 300},
        "network": {"channels": 8, "hidden": 16, "blocks": 1},
        "train": {"steps": 3, "warmup": 1},
    },
    "test",
)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A folder with one cloud."""
    folder = tmp_path_factory.mktemp("data")
    cloud = PointCloud(trees.surface(4).astype(np.float32))
    (folder / "cloud.ply").write_bytes(formats.write(".ply", cloud))
    return folder


@pytest.fixture(scope="module")
def finished(data, tmp_path_factory):
    """(the folder of a run of three steps, its losses)."""
    out, losses = tmp_path_factory.mktemp("runs") / "deep" / "run", []
    packed = []
    progress = start(
        TINY,
        [data],
        out,
        device="cpu",
        packed=lambda done, total: packed.append((done, total)),
        stepped=lambda _, values: losses.append(values["loss"]),
    )
    assert progress.step == 3 and packed == [(1, 2), (2, 2)]
    return out, losses


def test_a_run_is_its_folder(finished):
    out, _ = finished
    assert sorted(path.name for path in out.iterdir()) == [
        "checkpoint.safetensors", "log.csv", "model", "settings.json", "train.pack",
    ]  # fmt: skip
    assert len(packing.load_pack(out / "train.pack")) == 2
    assert load_settings(out) == TINY


def test_the_model_of_a_run_codes(finished, monkeypatch, tmp_path):
    out, _ = finished
    (tmp_path / "trained").symlink_to(out / "model")
    monkeypatch.setenv("PCC_MODELS", str(tmp_path))
    weights.load.cache_clear()
    load_model.cache_clear()
    cloud = contract.voxel_cloud(trees.surface(4))
    codec = Occupancy("trained", "cpu")
    assert np.array_equal(codec.decode(codec.encode(cloud)).voxels, cloud.voxels)
    card = (out / "model" / "README.md").read_text("utf-8")
    assert "3 steps" in card and json.dumps(asdict(TINY), indent=2) in card


def test_a_run_goes_on_without_its_data(data, finished, tmp_path):
    """In two parts, without the folder of the data: the same losses, the same model."""
    out, losses = finished
    parts: list[float] = []

    def stop(progress, values):
        parts.append(values["loss"])
        if progress.step == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        start(TINY, [data], tmp_path / "run", device="cpu", stepped=stop)
    rest = load_settings(tmp_path / "run")
    start(rest, [], tmp_path / "run", resume=True, device="cpu",
          stepped=lambda _, values: parts.append(values["loss"]))  # fmt: skip
    assert parts == losses
    one, other = (folder / "model" / "weights.safetensors" for folder in (out, tmp_path / "run"))
    assert one.read_bytes() == other.read_bytes()


def test_dev_clouds_are_scored_and_not_trained_on(data, finished, tmp_path):
    """At the end, under their names; the model is that of the run without them."""
    dev, out = tmp_path / "dev", tmp_path / "run"
    dev.mkdir()
    points = PointCloud(trees.surface(4).astype(np.float32))
    (dev / "bumps.ply").write_bytes(formats.write(".ply", points))
    start(TINY, [data], out, dev=[dev], device="cpu")
    rows = [row.split(",") for row in (out / "log.csv").read_text().splitlines()]
    (scored,) = (row for row in rows if "bumps" in row[2])
    assert scored[0] == "3" and scored[2] == "bumps.ply at 1" and 0 < float(scored[3]) < 20
    one, other = (folder / "model" / "weights.safetensors" for folder in (finished[0], out))
    assert one.read_bytes() == other.read_bytes()
    with pytest.raises(InputError, match="nowhere"):
        start(TINY, [data], tmp_path / "other", dev=[tmp_path / "nowhere"], device="cpu")


def test_a_finished_run_is_not_begun_again(data, finished):
    out, _ = finished
    before = (out / "log.csv").read_bytes()
    with pytest.raises(OutputError, match="--resume"):
        start(TINY, [data], out)
    assert (out / "log.csv").read_bytes() == before


def test_a_larger_budget_goes_on(finished, tmp_path):
    out, _ = finished
    target = tmp_path / "run"
    target.mkdir()
    for name in ("settings.json", "train.pack", "checkpoint.safetensors"):
        (target / name).write_bytes((out / name).read_bytes())
    longer = load_settings(target).updated({"train": {"steps": 4}}, "test")
    assert start(longer, [], target, resume=True, device="cpu").step == 4
    assert load_settings(target) == longer


def test_a_damaged_checkpoint_is_an_input_error(finished, tmp_path):
    out, _ = finished
    for name in ("settings.json", "train.pack", "checkpoint.safetensors"):
        (tmp_path / name).write_bytes((out / name).read_bytes())
    path = tmp_path / "checkpoint.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InputError, match="checkpoint"):
        start(TINY, [], tmp_path, resume=True, device="cpu")


def test_a_network_of_another_size_is_an_input_error(finished, tmp_path):
    out, _ = finished
    for name in ("settings.json", "train.pack", "checkpoint.safetensors"):
        (tmp_path / name).write_bytes((out / name).read_bytes())
    other = TINY.updated({"network": {"hidden": 24}}, "test")
    with pytest.raises(InputError, match="does not fit"):
        start(other, [], tmp_path, resume=True, device="cpu")


def test_without_data_there_is_nothing_to_train(tmp_path):
    with pytest.raises(InputError, match="--data"):
        start(TINY, [], tmp_path / "a", device="cpu")
    with pytest.raises(InputError, match="no such folder"):
        start(TINY, [tmp_path / "missing"], tmp_path / "b", device="cpu")
    with pytest.raises(InputError, match="no meshes or clouds"):
        start(TINY, [tmp_path], tmp_path / "c", device="cpu")
    for name in "abc":  # what failed can be tried again
        assert not (tmp_path / name / "settings.json").exists()


def test_a_device_that_is_not_there_leaves_nothing(tmp_path, data, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(DeviceError):
        start(TINY, [data], tmp_path / "run", device="cuda")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("text", ["", "{", "[]", "3", '{"codec": "plain.1"}', '{"speed": {}}'])
def test_damaged_settings_are_refused(tmp_path, text):
    (tmp_path / "settings.json").write_text(text)
    with pytest.raises((InputError, UnsupportedError)):
        load_settings(tmp_path)


def test_no_run_to_resume(tmp_path):
    with pytest.raises(InputError, match="without --resume"):
        load_settings(tmp_path)


@pytest.mark.parametrize(
    "sections",
    [
        {"speed": {}},
        {"train": 3},
        {"train": {"speed": 3}},
        {"train": {"steps": "3"}},
        {"train": {"steps": 2.5}},
        {"train": {"steps": True}},
        {"train": {"steps": 0}},
        {"train": {"steps": -1}},
        {"train": {"batch": 0}},
        {"train": {"minutes": -1.0}},
        {"train": {"rate": float("nan")}},
        {"train": {"rate": None}},
        {"data": {"samples": 0}},
        {"recipe": {"nodes": 0}},
        {"recipe": {"shift_bits": -1}},
        {"network": {"channels": 12}},
        {"network": {"channels": 0}},
        {"network": {"hidden": 1}},
        {"network": {"blocks": -1}},
    ],
)
def test_settings_that_cannot_be_are_input_errors(sections):
    with pytest.raises(InputError) as caught:
        Settings().updated(sections, "some.toml")
    assert "\n" not in str(caught.value)


def test_settings_say_where_they_are_wrong():
    with pytest.raises(InputError, match=r"^some\.toml: .*steps"):
        Settings().updated({"train": {"steps": 0}}, "some.toml")
    with pytest.raises(UnsupportedError, match="occupancy"):
        Settings().updated({"codec": "plain.1"}, "some.toml")


def test_settings_are_merged():
    settings = Settings().updated({"train": {"minutes": 5, "rate": 1}, "data": {"seed": 0}}, "x")
    assert (settings.train.minutes, settings.train.rate) == (5, 1)
    # What was a whole number in a file may become another number later.
    assert settings.updated({"train": {"minutes": 7.5}}, "x").train.minutes == 7.5
    assert settings.data == DataConfig() and settings.network == Settings().network
    again = Settings().updated(json.loads(json.dumps(asdict(settings))), "x")
    assert again == settings
    assert settings.updated({}, "x") == settings == replace(settings)
    assert run.SETTINGS == "settings.json"
