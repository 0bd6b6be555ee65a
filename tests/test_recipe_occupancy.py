"""How the occupancy network is trained: what is drawn, and what the loss is."""

from __future__ import annotations

from dataclasses import dataclass, field

import networks
import numpy as np
import pytest
import torch
import trees

from pcc_cli.codecs.occupancy.network import NetworkConfig
from pcc_cli.training.loop import TrainConfig, train
from pcc_cli.training.recipes import occupancy as recipe_module
from pcc_cli.training.recipes.augment import augmented
from pcc_cli.training.recipes.occupancy import (
    SHARES,
    OccupancyRecipe,
    OccupancyTask,
    make_layers,
    residual_layers,
    tree_bits,
)

CPU = torch.device("cpu")
TINY = NetworkConfig(channels=8, hidden=16, blocks=1)
WHOLE = OccupancyRecipe(nodes=10**9, shift_bits=0)


@dataclass
class Cloud:
    """A sample for the task."""

    rows: np.ndarray
    domain: str = "mesh"
    name: str = "cloud"
    drawn: int = field(default=0)

    def voxels(self) -> np.ndarray:
        self.drawn += 1
        return self.rows


def rng(seed: int = 40) -> np.random.Generator:
    return np.random.default_rng(seed)


def pairs(voxels: np.ndarray) -> list[int]:
    """The sorted squared distances between all voxels."""
    steps = voxels[:, None] - voxels
    return sorted((steps * steps).sum(-1).ravel().tolist())


def is_sorted_and_distinct(voxels: np.ndarray) -> bool:
    return np.array_equal(trees.distinct(voxels), voxels)


def test_augmented_clouds_are_the_same_shape_turned_and_moved():
    cloud = trees.distinct(rng().integers(0, 90, (40, 3)) // (1, 2, 5))
    generator, seen = rng(), set()
    for _ in range(400):
        turned = augmented(cloud, 10**9, 0, generator)
        assert turned.min(0).tolist() == [0, 0, 0] and is_sorted_and_distinct(turned)
        seen.add(turned.tobytes())
    assert len(seen) == 48
    assert pairs(turned) == pairs(cloud)
    assert np.array_equal(cloud, trees.distinct(cloud))


def test_clouds_are_moved_by_a_few_voxels():
    cloud, generator = trees.surface(3), rng()
    lows = np.array([augmented(cloud, 10**9, 2, generator).min(0) for _ in range(200)])
    assert all(set(lows[:, axis]) == {0, 1, 2, 3} for axis in range(3))


@pytest.mark.parametrize("nodes", [300, 1000])
def test_large_clouds_are_cropped_to_about_as_many_nodes(nodes):
    cloud, generator = trees.surface(6), rng()
    for _ in range(10):
        part = augmented(cloud, nodes, 0, generator)
        assert is_sorted_and_distinct(part)
        total = sum(len(codes) for codes in trees.tree_of(part).codes)
        assert 0.4 * nodes < total < 2 * nodes


def test_small_clouds_in_deep_trees_are_left_whole():
    """Few voxels far apart have many nodes each; there is nothing to crop."""
    cloud = trees.distinct(rng().integers(0, 1 << 30, (20, 3)))
    part = augmented(cloud, 30, 0, rng())
    assert pairs(part) == pairs(cloud)


@pytest.mark.parametrize("rows", [[[3, 4, 5]], [[0, 0, 0]], [[9, 9, 9], [9, 9, 10]]])
def test_the_smallest_clouds(rows):
    part = augmented(np.array(rows), 1, 4, rng())
    assert len(part) == len(rows)
    task = OccupancyTask(TINY, OccupancyRecipe(), [Cloud(np.array(rows))], [], CPU)
    loss, _ = task.loss(rng())
    assert torch.isfinite(loss)


def test_the_loss_is_the_cost_of_the_bits_that_are_coded():
    """Against a sum over all nodes and bits, without the one that is known: where a node's other
    children are missing, the last one is there."""
    layers, tree = networks.floats(), trees.tree_of(trees.surface(4))
    with torch.no_grad():
        found = tree_bits(networks.CONFIG, layers, tree, CPU)
    for level, (logits, _) in enumerate(networks.steps(layers, tree)):
        total = 0.0
        for node, code in enumerate(tree.codes[level].tolist()):
            for stage in range(8):
                if stage == 7 and code & 127 == 0:
                    continue
                odds = float(logits[stage][node]) * (1 if code >> stage & 1 else -1)
                total += np.log2(1 + np.exp(-odds))
        bits, nodes = found[level]
        assert nodes == len(tree.codes[level])
        assert float(bits) == pytest.approx(total, rel=1e-4)


def test_the_task_reports_bits_per_node_and_per_voxel():
    cloud = Cloud(trees.surface(4))
    task = OccupancyTask(TINY, WHOLE, [cloud], [cloud], CPU)
    loss, values = task.loss(rng())
    assert loss.requires_grad
    voxels = len(cloud.rows)
    assert values["bpp"] == pytest.approx(float(loss.detach()) * values["nodes"] / voxels, rel=1e-5)
    assert 0.5 < task.evaluate()["cloud"] / values["bpp"] < 2
    assert OccupancyTask(TINY, WHOLE, [cloud], [], CPU).evaluate() == {}


def test_every_parameter_learns():
    task = OccupancyTask(TINY, OccupancyRecipe(), [Cloud(trees.surface(4))], [], CPU)
    loss, _ = task.loss(rng())
    loss.backward()
    for name, parameter in task.layers.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name


def test_domains_are_drawn_by_their_shares():
    """However many clouds each has; those of unknown domains now and then."""
    clouds = [Cloud(trees.surface(2), domain) for domain in ["mesh"] * 9 + ["lidar"] * 2 + ["new"]]
    task = OccupancyTask(TINY, WHOLE, clouds, [], CPU)
    assert task.chances.sum() == pytest.approx(1)
    shares = {
        domain: sum(task.chances[k] for k, cloud in enumerate(clouds) if cloud.domain == domain)
        for domain in ("mesh", "lidar", "new")
    }
    assert shares["mesh"] / shares["lidar"] == pytest.approx(SHARES["mesh"] / SHARES["lidar"])
    assert 0 < shares["new"] < shares["lidar"]
    assert len(set(task.chances[:9])) == 1


def test_the_draw_follows_the_chances(monkeypatch):
    clouds = [Cloud(trees.surface(2), "mesh"), Cloud(trees.surface(2), "scan")]
    task = OccupancyTask(TINY, WHOLE, clouds, [], CPU)
    bits = [(torch.ones((), requires_grad=True), 1)]
    monkeypatch.setattr(recipe_module, "tree_bits", lambda *_: bits)
    generator = rng()
    for _ in range(600):
        task.loss(generator)
    assert clouds[0].drawn / 600 == pytest.approx(task.chances[0], abs=0.07)


def test_a_few_steps_lower_the_loss(tmp_path):
    """On one cloud, so that draws differ only by turning and moving."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(41)
        clouds = [Cloud(trees.surface(4))]
        task = OccupancyTask(TINY, OccupancyRecipe(nodes=400), clouds, [], CPU)
    losses: list[float] = []
    config = TrainConfig(steps=25, rate=5e-3, warmup=3, quantize_from=0.8)
    train(task, config, tmp_path, report=lambda _, values: losses.append(values["loss"]))
    assert np.mean(losses[-5:]) < 0.85 * np.mean(losses[:3])
    about, tensors = task.export()
    assert about["network"]["channels"] == 8 and "enter/weight" in tensors


def test_a_resumed_run_continues_with_the_same_numbers(tmp_path):
    def run(folder: str, steps_at_once: list[int]) -> list[float]:
        losses: list[float] = []
        for number, stop in enumerate(steps_at_once):
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(42)
                clouds = [Cloud(trees.surface(3)), Cloud(trees.lidar()[:60], "lidar")]
                task = OccupancyTask(TINY, OccupancyRecipe(nodes=300), clouds, [], CPU)

            def report(progress, values, stop=stop):
                losses.append(values["loss"])
                if progress.step == stop:
                    raise KeyboardInterrupt

            config = TrainConfig(steps=8, warmup=2, quantize_from=0.7)
            try:
                train(task, config, tmp_path / folder, resume=number > 0, report=report)
            except KeyboardInterrupt:
                continue
        return losses

    assert run("parts", [3, 6, 8]) == run("whole", [8])


def test_layers_that_add_to_their_input_start_small():
    assert residual_layers(TINY) == {"block0.second", *(f"refresh{k}" for k in range(1, 5))}
    assert set(make_layers(TINY).weights) == {name.replace(".", "_") for name in TINY.layers()}
