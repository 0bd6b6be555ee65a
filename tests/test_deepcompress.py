"""The deepcompress codec: entropy models that decode, sizes near the entropy, settings, plans."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import pytest
import tiny_models
import torch
import trees

from pcc_cli import codecs, formats
from pcc_cli.codecs.deepcompress import coarse, entropy, priors, scales
from pcc_cli.codecs.deepcompress.codec import DeepCompress, Plan, plan_for
from pcc_cli.codecs.deepcompress.latents import Quantizer, log_gains_at, powers
from pcc_cli.codecs.deepcompress.model import load_model
from pcc_cli.codecs.deepcompress.network import STAGES
from pcc_cli.entropy.rangecoder import TOTAL, RangeEncoder
from pcc_cli.errors import FormatError, InputError, ModelError, UnsupportedError
from pcc_cli.evaluation import run
from pcc_cli.evaluation.choices import Choices
from pcc_cli.geometry import PointCloud, VoxelCloud
from pcc_cli.metrics.neighbours import Neighbours
from pcc_cli.tree import octree

CPU = torch.device("cpu")
EVERY = pytest.mark.parametrize("name", priors.PRIORS)


@pytest.fixture(autouse=True, scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    tiny_models.write(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PCC_MODELS", str(folder))
        yield


def codec(**settings) -> DeepCompress:
    return DeepCompress(model=tiny_models.DEEPCOMPRESS, device="cpu", **settings)


@lru_cache(maxsize=1)
def cells():
    """The last two exact levels of a surface."""
    tree = octree.build(trees.surface(6), 6)
    return coarse.Encoder(tree.codes).upper(6 - STAGES, 1 << 21, CPU)


def random_steps(seed: int):
    """Latents as an analysis might want them, the same whenever they are asked for."""
    rng = np.random.default_rng(seed)
    whole = [np.rint(rng.normal(0, 4, (4000, 8))).astype(np.int64) for _ in range(2)]
    return lambda part: whole[part.is_hyper][: _count(part)][part.rows][:, part.channels]


def _count(part) -> int:
    parents, level = cells()
    return len(parents) if part.is_hyper else len(level)


@EVERY
@pytest.mark.parametrize("gain", [1, 60, 100])
def test_every_entropy_model_decodes_what_it_encoded(name, gain):
    model = load_model(tiny_models.DEEPCOMPRESS, None, name, CPU)
    parents, level = cells()
    stream, coded = entropy.encode(model, gain, parents, level, random_steps(gain))
    decoded = entropy.decode(model, gain, parents, level, stream)
    assert torch.equal(coded.steps, decoded.steps) and torch.equal(coded.inputs, decoded.inputs)
    assert int(coded.steps.abs().max()) > 3
    with pytest.raises(FormatError):
        entropy.decode(model, gain, parents, level, stream + bytes(8))


@EVERY
def test_the_stream_is_as_long_as_its_tables_say(name, monkeypatch):
    ideal, tables = 0.0, entropy._tables
    model = load_model(tiny_models.DEEPCOMPRESS, None, name, CPU)

    class Counting(RangeEncoder):
        def encode(self, symbols, frequencies):
            nonlocal ideal
            chosen = frequencies[np.arange(len(symbols)), symbols]
            ideal -= np.log2(chosen / TOTAL).sum()
            super().encode(symbols, frequencies)

    monkeypatch.setattr(entropy, "RangeEncoder", Counting)
    stream, _ = entropy.encode(model, 60, *cells(), random_steps(1))
    assert tables is entropy._tables
    assert ideal < 8 * len(stream) < 1.01 * ideal + 64


@pytest.mark.parametrize("log_scale", [-3.0, -1.0, 0.5, 2.0, 4.0])
def test_a_stream_takes_the_entropy_of_the_normal_distribution(log_scale):
    """Symbols that are distributed as a model says take as many bits as it has entropy."""
    rng = np.random.default_rng(5)
    count, scale = 20_000, 2**log_scale
    means = rng.integers(-100, 100, (count, 1))
    steps = np.rint(means / 16 + rng.normal(0, scale, (count, 1))).astype(np.int64)
    indices = np.full((count, 1), round((log_scale + 3.5) * 8))
    whole = (means + 8) >> 4
    reach = scales.reach_of(indices)
    symbols = np.clip(steps - whole, -reach, reach)
    encoder = RangeEncoder()
    for rows, table, reached in entropy._tables(means - 16 * whole, indices):
        encoder.encode(symbols.flat[rows] + reached, table)
    bits = 0.0
    for step, mean in zip((symbols + whole).ravel(), means.ravel() / 16, strict=True):
        above, below = ((step - mean + side) / scale / math.sqrt(2) for side in (0.5, -0.5))
        bits -= math.log2(max(0.5 * (math.erf(above) - math.erf(below)), 2.0**-16))
    assert abs(8 * len(encoder.finish()) - bits) < 0.01 * bits + 64


def test_frequencies_are_those_of_the_normal_distribution():
    for number, (beyond, reach) in enumerate(scales.CLASSES):
        table = scales.frequency_table(number)
        assert table.shape[1:] == (16, 2 * reach + 1)
        assert (table >= 1).all() and (table.sum(2) == TOTAL).all()
        scale = 2 ** ((beyond - 1) / 8 - 3.5)
        edge = 0.5 / scale / math.sqrt(2)
        assert table[-1, 8, reach] == pytest.approx(TOTAL * math.erf(edge), rel=0.08)


def test_bytes_do_not_depend_on_threads():
    cloud = VoxelCloud(trees.surface(5))
    before, payloads = torch.get_num_threads(), []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            payloads.append(codec(quality=80).encode(cloud))
    finally:
        torch.set_num_threads(before)
    assert payloads[0] == payloads[1]


@pytest.mark.parametrize("metric", ["d1", "d2"])
@pytest.mark.parametrize("quality", [1, 33, 34, 66, 67, 100])
def test_all_qualities_decode(quality, metric):
    cloud = VoxelCloud(trees.surface(5))
    made = codec(quality=quality, metric=metric, block_size=16)
    payload = made.encode(cloud)
    assert len(payload.meta["marks"]) == STAGES - payload.meta["exact"]
    decoded = made.decode(payload)
    again = codec().decode(payload)
    assert len(decoded) and np.array_equal(decoded.voxels, again.voxels)
    if payload.meta["exact"] == STAGES - 1:  # every pair of voxels has one of its voxels kept
        parents = {tuple(cell) for cell in cloud.voxels >> 1}
        assert {tuple(cell) for cell in decoded.voxels >> 1} <= parents


def test_qualities_are_plans_that_rise():
    plans = [plan_for(quality, None) for quality in np.linspace(1, 100, 397)]
    places = [plan.exact + plan.share for plan in plans]
    assert places[0] == 0 and places[-1] == STAGES and (np.diff(places) > 0).all()
    assert {plan.exact for plan in plans} == {0, 1, 2}
    assert plan_for(77, 1) == Plan(exact=1, gain=77, share=0)


def test_every_quality_is_larger_and_nearer_than_those_before():
    """Of 100 levels; sizes and errors may waver by a little from one to the next, not from ten."""
    cloud = VoxelCloud(trees.surface(6))
    sizes, errors = [], []
    for quality in (1, 12, 23, 34, 45, 56, 67, 78, 89, 100):
        payload = codec(quality=quality).encode(cloud)
        sizes.append(sum(len(stream) for stream in payload.streams.values()))
        decoded = codec().decode(payload).voxels.astype(float)
        there, back = Neighbours(decoded), Neighbours(cloud.voxels.astype(float))
        pairs = there.nearest(back.points)[0], back.nearest(there.points)[0]
        errors.append(max((distances**2).mean() for distances in pairs))
    assert (np.diff(sizes) > 0).all()
    assert (np.diff(errors) < 0).all() and errors[-1] == 0


def test_settings_are_checked():
    for wrong, message in [
        ({"quality": 0}, "1 to 100"),
        ({"quality": 101}, "1 to 100"),
        ({"metric": "d3"}, "d1 or d2"),
        ({"exact_levels": 3}, "0 to 2"),
        ({"block_size": 48}, "block-size"),
    ]:
        with pytest.raises(InputError, match=message):
            codec(**wrong)
    with pytest.raises(UnsupportedError, match="gaussian, hyperprior, channel"):
        codec(entropy_model="magic")
    with pytest.raises(ModelError, match="choose another model"):
        DeepCompress(model=tiny_models.OCCUPANCY).encode(VoxelCloud(trees.surface(3)))


def test_gains_between_two_qualities_lie_between():
    table = torch.tensor([[0, -300], [256, 100]])
    assert log_gains_at(table, 1).tolist() == [0, -300]
    assert log_gains_at(table, 100).tolist() == [256, 100]
    low, high = log_gains_at(table, 50).tolist()
    assert 0 < low < 256 and -300 < high < 100
    assert log_gains_at(table[:1], 73).tolist() == [0, -300]
    logs = torch.arange(-2048, 2049)
    wanted = 256 * torch.exp2(logs.double() / 256)
    assert (powers(logs) - wanted).abs().max() <= 1


def test_quantized_latents_come_back_within_half_a_step():
    quantizer = Quantizer.at(torch.tensor([[512], [512]]), 1)  # gain 4
    latents = torch.arange(-900, 900)[:, None]  # units of 1/256
    steps = quantizer.quantized(latents)
    back = (quantizer.activations(steps).double() - 64) / 16
    assert ((back - latents / 256).abs() <= 1 / 8 + 1 / 32).all()


def test_an_evaluation_has_rows_for_each_entropy_model(tmp_path):
    path = tmp_path / "cloud.ply"
    cloud = PointCloud(trees.surface(4).astype(np.float32))
    path.write_bytes(formats.write(".ply", cloud))
    settings = {"model": tiny_models.DEEPCOMPRESS}
    choices = Choices(("deepcompress",), entropy_models=("gaussian", "hybrid"), settings=settings)
    tasks = run.plan([path], choices).tasks
    assert {task.row.codec for task in tasks} == {
        "deepcompress.1:gaussian",
        "deepcompress.1:hybrid",
    }
    assert all("--exact-levels 0" in task.row.config for task in tasks)
    assert codecs.is_ours(tasks[0].row.codec) and not codecs.is_ours("gpcc")
