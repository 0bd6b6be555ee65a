"""The occupancy network: what it may look at, and that floats and integers are twins."""

from __future__ import annotations

from dataclasses import dataclass, replace

import networks
import pytest
import torch
import trees

from pcc_cli.codecs.occupancy.network import (
    STAGES,
    STATISTICS,
    LevelStep,
    known_bits,
    statistics,
)
from pcc_cli.exact.layers import IntegerLayers
from pcc_cli.nn.layers import FloatLayers
from pcc_cli.tree import neighbours

CPU = torch.device("cpu")
CLOUDS = trees.clouds()


@pytest.mark.parametrize("cloud", ["surface", "lidar", "noise"])
def test_floats_and_integers_are_twins(cloud):
    """Rounded floats differ from the integers because bfloat16 keeps 8 bits of every weight and
    sum: by less than one step of 1/16 in the mean, over all levels that hand their state down.
    A wrong scale, shift or rounding of any layer costs many steps."""
    tree, layers = trees.tree_of(CLOUDS[cloud]), networks.floats()
    layers.quantized = True
    integers = IntegerLayers(networks.twins(), CPU)
    pairs = zip(networks.steps(layers, tree), networks.steps(integers, tree), strict=True)
    for (logits, state), (exact_logits, exact_state) in pairs:
        difference = (torch.stack(logits) - torch.stack(exact_logits) / 256).abs()
        assert difference.mean() < 1 / 16 and difference.max() < 0.5
        difference = (state.float() * 16 - exact_state).abs()
        assert difference.mean() < 1 and difference.max() <= 8


def test_integers_cost_what_the_floats_promise():
    """Trained for, or not: the cost of the bits is the same within 1 %, and so without rounding."""
    tree = trees.tree_of(trees.surface(5))
    costs = []
    for kind in ("plain", "rounded", "integer"):
        layers = networks.floats()
        layers.quantized = kind == "rounded"
        if kind == "integer":
            layers = IntegerLayers(networks.twins(), CPU)
        total = 0.0
        for codes, (logits, _) in zip(tree.codes, networks.steps(layers, tree), strict=True):
            for stage, odds in enumerate(logits):
                odds = odds / 256 if kind == "integer" else odds
                bits = torch.from_numpy(codes >> stage & 1).float()
                total += float(
                    torch.nn.functional.binary_cross_entropy_with_logits(
                        odds.float(), bits, reduction="sum"
                    )
                )
        costs.append(total)
    assert costs == pytest.approx([costs[0]] * 3, rel=0.01)


@pytest.mark.parametrize("cloud", ["surface", "lidar"])
def test_no_stage_looks_at_bits_that_are_not_known(cloud):
    """A decoder has zeros where the encoder has bits: both have to see the same."""
    integers = IntegerLayers(networks.twins(), CPU)
    tree = trees.tree_of(CLOUDS[cloud])
    state = torch.zeros(1, networks.CONFIG.channels, dtype=torch.uint8)
    for level, codes, parent_codes in trees.levels_of(tree):
        one, other = (
            LevelStep(networks.CONFIG, integers, level, state, parent_codes) for _ in range(2)
        )
        for stage in range(STAGES):
            known = codes & ((1 << stage) - 1)
            assert torch.equal(one.predict(stage, codes), other.predict(stage, known))
        state = one.state(codes)
        assert torch.equal(state, other.state(codes))


def test_every_known_bit_matters():
    """Of a node and of its neighbours: nothing that is known is left unused."""
    integers = IntegerLayers(networks.twins(), CPU)
    tree = trees.tree_of(CLOUDS["full"])
    level, codes, parent_codes = list(trees.levels_of(tree))[-1]
    state = torch.full((1, networks.CONFIG.channels), 30, dtype=torch.uint8)

    def predicted(codes: torch.Tensor, stage: int) -> torch.Tensor:
        step = LevelStep(networks.CONFIG, integers, level, state, parent_codes)
        return [step.predict(s, codes) for s in range(stage + 1)][stage]

    for stage in range(1, STAGES):
        for bit in range(stage):
            changed = codes.clone()
            changed[0] ^= 1 << bit
            difference = predicted(changed, stage) != predicted(codes, stage)
            assert difference.sum() > len(codes) // 2


def test_what_is_inherited_depends_on_the_octant():
    """Eight nodes without neighbours, all with the same parent: only the octant differs."""
    table = torch.full((8, 27), 8, dtype=torch.int32)
    table[:, 13] = torch.arange(8)
    level = neighbours.Level(
        table, torch.zeros(8, dtype=torch.long), torch.arange(8), torch.zeros(8, 3).long()
    )
    integers, codes = IntegerLayers(networks.twins(), CPU), torch.zeros(8, dtype=torch.uint8)
    logits = []
    for value in (0, 50):
        state = torch.full((1, networks.CONFIG.channels), value, dtype=torch.uint8)
        parents = torch.tensor([255], dtype=torch.uint8)
        step = LevelStep(networks.CONFIG, integers, level, state, parents)
        logits.append(step.predict(0, codes))
    assert logits[0].unique().numel() == 1  # nothing inherited: all alike
    assert logits[1].unique().numel() == 8


def test_a_block_adds_to_what_it_is_given():
    """A block whose second layer is zero changes nothing."""
    twins, tree = networks.twins(), trees.tree_of(CLOUDS["noise"])
    second = twins["block0.second"]
    silent = replace(
        second, weight=torch.zeros_like(second.weight), bias=torch.zeros_like(second.bias)
    )
    with_block = networks.steps(IntegerLayers(twins | {"block0.second": silent}, CPU), tree)
    config = replace(networks.CONFIG, blocks=0)
    without = networks.steps(IntegerLayers(twins, CPU), tree, config)
    for (one, state), (other, other_state) in zip(with_block, without, strict=True):
        assert torch.equal(torch.stack(one), torch.stack(other))
        assert torch.equal(state, other_state)


def test_statistics_are_shares_of_127():
    for level, _, parent_codes in trees.levels_of(trees.tree_of(CLOUDS["noise"])):
        stats = statistics(level, parent_codes)
        assert stats.shape == (STATISTICS,) and stats.dtype == torch.int64
        assert stats.min() >= 0 and stats.max() <= 127
        children = [bin(code).count("1") for code in parent_codes.tolist()]
        expected = [127 * children.count(k) // len(children) for k in range(1, 9)]
        assert stats[:8].tolist() == expected
        near = (level.table < len(level)).sum(1).tolist()
        bounds = [(0, 1), (2, 2), (3, 4), (5, 6), (7, 9), (10, 13), (14, 18), (19, 27)]
        counts = [sum(low <= n <= high for n in near) for low, high in bounds]
        assert stats[8:16].tolist() == [127 * count // len(level) for count in counts]
        assert stats[16:].tolist().count(127) == 1 and stats[16:].sum() == 127


@dataclass(frozen=True)
class Large(neighbours.Level):
    """A level that says it has `size` nodes."""

    size: int

    def __len__(self) -> int:
        return self.size


@pytest.mark.parametrize(
    ("size", "place"),
    [(1, 0), (3, 0), (4, 1), (300, 3), (100_000, 5), (2_000_000, 7), (8_000_000, 7)],
)
def test_the_size_of_a_level_is_one_of_eight_classes(size, place):
    root = neighbours.root()
    level = Large(root.table, root.parents, root.octants, root.cells, size)
    stats = statistics(level, torch.tensor([255], dtype=torch.uint8))
    assert stats[16:].nonzero().flatten().tolist() == [place]


@pytest.mark.parametrize("stage", range(STAGES + 1))
def test_the_window_holds_known_bits_and_existence(stage):
    codes = torch.tensor([0, 255, 0b10110101], dtype=torch.uint8)
    mask = (1 << stage) - 1
    exists = 0 if stage == STAGES else 0x80
    bytes_ = [(code & mask) | exists for code in codes.tolist()] + [0]
    expected = [[64 * (byte >> bit & 1) for bit in range(8)] for byte in bytes_]
    integers, floats = IntegerLayers(networks.twins(), CPU), FloatLayers({}, frozenset())
    assert known_bits(integers, codes, stage).tolist() == expected
    assert (known_bits(floats, codes, stage) * 16).tolist() == expected


def test_every_layer_is_used_and_has_its_shape():
    """The names and shapes of a configuration are the very layers that a level step calls."""
    used, integers = set(), IntegerLayers(networks.twins(), CPU)
    apply_layer, logits = integers.apply_layer, integers.logits
    integers.apply_layer = lambda name, *rest: used.add(name) or apply_layer(name, *rest)
    integers.logits = lambda name, x: used.add(name) or logits(name, x)
    list(networks.steps(integers, trees.tree_of(CLOUDS["one"])))
    assert used == set(networks.CONFIG.layers())
