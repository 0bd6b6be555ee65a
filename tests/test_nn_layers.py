"""Float layers: values and gradients against a dense implementation in float64."""

from __future__ import annotations

import pytest
import torch
import trees

from pcc_cli.nn import layers as layers_module
from pcc_cli.nn.layers import BIT_VALUE, FloatLayers
from pcc_cli.nn.neighbourhood import Neighbourhood, gathered, padded
from pcc_cli.nn.quantizers import ACTIVATION_MAX, ACTIVATION_STEP

CHANNELS, OUTPUTS = 8, 12
TOP = ACTIVATION_MAX * ACTIVATION_STEP
KINDS = {
    "own row": (False, False),
    "features": (True, False),
    "window": (False, True),
    "features and window": (True, True),
}
EVERY = pytest.mark.parametrize("kind", KINDS)


@pytest.fixture(scope="module")
def level():
    """The finest level of a small surface."""
    *_, (last, _, _) = trees.levels_of(trees.tree_of(trees.surface(4)))
    return last


def window_of(count: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(2)
    window = torch.randint(0, 2, (count + 1, 8), generator=generator) * BIT_VALUE * ACTIVATION_STEP
    window[-1] = 0
    return window.to(torch.bfloat16)


def near_of(level, kind: str) -> Neighbourhood | None:
    features, window = KINDS[kind]
    if kind == "own row":
        return None
    return Neighbourhood(level.table, window_of(len(level)) if window else None, features)


def dense_inputs(x: torch.Tensor, near: Neighbourhood | None) -> torch.Tensor:
    """The rows that a weight is multiplied with, neighbour by neighbour."""
    if near is None:
        return x
    parts = [x]
    if near.features:
        rows = torch.cat([x, x.new_zeros(1, x.shape[1])])
        parts = [rows[near.table[:, k].long()] for k in range(27)]
    if near.window is not None:
        parts += [near.window[near.table[:, k].long()].to(x.dtype) for k in range(27)]
    return torch.cat(parts, 1)


def made(level, kind: str, spread: float = 4.0):
    """(layers, x, skip, near): one layer "a" and inputs on the activation grid."""
    near = near_of(level, kind)
    generator = torch.Generator().manual_seed(3)
    x = torch.randint(0, 40, (len(level), CHANNELS), generator=generator) * ACTIVATION_STEP
    skip = torch.randint(0, 40, (len(level), OUTPUTS), generator=generator) * ACTIVATION_STEP
    inputs = dense_inputs(x, near).shape[1]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(4)
        layers = FloatLayers({"a": (inputs, OUTPUTS)}, frozenset())
    with torch.no_grad():
        layers.weights["a"].mul_(spread)
        layers.biases["a"].uniform_(-1, 1, generator=generator)
    return layers, x.to(torch.bfloat16), skip.to(torch.bfloat16), near


def dense(layers, x, skip, near, seed: int):
    """(output, gradients of sum(output * weighting), weighting) in float64.

    Outputs so near to a limit that rounding may carry them over it have the weight 0.
    """
    leaves = [
        t.detach().double().requires_grad_()
        for t in (x, layers.weights["a"], layers.biases["a"], skip)
    ]
    x, weight, bias, skip = leaves
    y = dense_inputs(x, near) @ weight + bias + skip
    clear = (y.abs() > 0.2) & ((y - TOP).abs() > 0.2)
    generator = torch.Generator().manual_seed(seed)
    weighting = torch.randn(y.shape, generator=generator) * clear
    out = y.clamp(0, TOP)
    return out.detach(), torch.autograd.grad((out * weighting).sum(), leaves), weighting


def found(layers, x, skip, near, weighting):
    x, skip = x.clone().requires_grad_(), skip.clone().requires_grad_()
    out = layers.apply_layer("a", x, near, skip)
    leaves = [x, layers.weights["a"], layers.biases["a"], skip]
    return out.detach(), torch.autograd.grad((out.float() * weighting).sum(), leaves)


def distance(one: torch.Tensor, other: torch.Tensor) -> float:
    return float((one.double() - other.double()).norm() / other.double().norm())


@EVERY
def test_values_and_gradients_are_those_of_a_dense_layer(level, kind):
    """bfloat16 keeps 8 bits, so every operand and sum is off by up to 2**-9 of itself."""
    layers, x, skip, near = made(level, kind)
    expected, dense_gradients, weighting = dense(layers, x, skip, near, 5)
    out, gradients = found(layers, x, skip, near, weighting)
    assert out.dtype == torch.bfloat16
    for limit in (0, TOP):
        assert 0.02 < (expected == limit).double().mean() < 0.7
    assert distance(out, expected) < 0.005
    for one, other in zip(gradients, dense_gradients, strict=True):
        assert one.shape == other.shape
        assert distance(one, other) < 0.005


@EVERY
def test_chunks_do_not_matter(level, kind, monkeypatch):
    layers, x, skip, near = made(level, kind)
    _, _, weighting = dense(layers, x, skip, near, 6)
    out, gradients = found(layers, x, skip, near, weighting)
    monkeypatch.setattr(layers_module, "_CHUNK", 29)
    parts, parts_gradients = found(layers, x, skip, near, weighting)
    assert distance(parts, out) < 0.005
    for one, other in zip(parts_gradients, gradients, strict=True):
        assert distance(one, other) < 0.005


def test_a_layer_without_skip(level):
    layers, x, _, near = made(level, "features and window")
    without = layers.apply_layer("a", x, near)
    zeros = torch.zeros(len(level), OUTPUTS, dtype=torch.bfloat16)
    assert torch.equal(without, layers.apply_layer("a", x, near, zeros))


@EVERY
def test_rounding_stays_on_the_grid_and_lets_gradients_through(level, kind):
    layers, x, skip, near = made(level, kind, spread=1.0)
    _, _, weighting = dense(layers, x, skip, near, 7)
    plain, gradients = found(layers, x, skip, near, weighting)
    layers.quantized = True
    out, rounded_gradients = found(layers, x, skip, near, weighting)
    steps = out.float() / ACTIVATION_STEP
    assert torch.equal(steps, steps.round()) and steps.min() >= 0 and steps.max() <= ACTIVATION_MAX
    # Half a step of rounding, and weights that are off by up to 1/254 of the largest.
    assert (out.float() - plain.float()).abs().mean() < ACTIVATION_STEP
    for one, other in zip(rounded_gradients, gradients, strict=True):
        assert distance(one, other) < 0.1


def test_rows_are_gathered_with_zeros_for_missing_neighbours(level):
    _, x, _, _ = made(level, "features")
    expected = dense_inputs(x, Neighbourhood(level.table, None, features=True))
    assert torch.equal(gathered(padded(x), level.table), expected)
    small = (x.float() * 16).to(torch.uint8)
    expected = dense_inputs(small, Neighbourhood(level.table, None, features=True))
    assert torch.equal(gathered(padded(small), level.table), expected)


def test_logits_are_float_sums():
    layers = FloatLayers({"out.put": (8, 1)}, frozenset())
    x = (torch.arange(24).view(3, 8) * ACTIVATION_STEP).to(torch.bfloat16)
    weight, bias = layers.weight_and_bias("out.put")
    with torch.no_grad():
        bias.fill_(-3.5)
    logits = layers.logits("out.put", x)
    assert logits.shape == (3,) and logits.dtype == torch.float32
    assert torch.allclose(logits, (x.float() @ weight).squeeze(1) + bias, atol=0.05)


def test_residual_layers_start_smaller():
    shapes = {"plain": (400, 300), "added": (400, 300)}
    layers = FloatLayers(shapes, frozenset(["added"]))
    deviation = {name: float(layers.weight_and_bias(name)[0].detach().std()) for name in shapes}
    assert deviation["plain"] == pytest.approx((2 / 400) ** 0.5, rel=0.05)
    assert deviation["added"] == pytest.approx(0.3 * (2 / 400) ** 0.5, rel=0.05)
    assert not layers.weight_and_bias("plain")[1].any()


def test_constants_are_whole_steps():
    values = torch.arange(ACTIVATION_MAX + 1)
    layers = FloatLayers({}, frozenset())
    assert torch.equal(layers.constant(values).float() / ACTIVATION_STEP, values.float())


def test_chunks_cover_all_rows_once():
    layers = FloatLayers({}, frozenset())
    for count in (0, 1, 8192, 8193, 20_000):
        rows = torch.arange(count)
        parts = [rows[part] for part in layers.chunks(count)]
        assert torch.equal(torch.cat([rows[:0], *parts]), rows)


def test_quantized_weights_are_those_of_the_integer_twin():
    """Beside a weight of 12.7 the step is 0.1: a weight of 0.04 vanishes, one of 0.06 grows."""
    layers = FloatLayers({"a": (3, 1)}, frozenset())
    with torch.no_grad():
        layers.weights["a"].copy_(torch.tensor([[12.7], [0.04], [0.06]]))
    rows = torch.tensor([[0.0, 4.0, 0.0], [0.0, 0.0, 5.0]], dtype=torch.bfloat16)
    assert layers.apply_layer("a", rows).flatten().tolist() == pytest.approx([0.16, 0.3], rel=0.01)
    layers.quantized = True
    assert layers.apply_layer("a", rows).flatten().tolist() == [0.0, 0.5]
