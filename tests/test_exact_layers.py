"""Integer layers: the documented formula, and the same integers on every backend."""

from __future__ import annotations

from dataclasses import replace

import networks
import numpy as np
import pytest
import torch
import trees

from pcc_cli.errors import DeviceError, ModelError
from pcc_cli.exact import layers as layers_module
from pcc_cli.exact.layers import (
    BACKENDS,
    IntegerLayers,
    choose_backend,
    largest_sum,
    make_product,
    self_check,
)
from pcc_cli.exact.quantize import IntegerLayer, quantize_layer
from pcc_cli.nn.neighbourhood import Neighbourhood
from pcc_cli.nn.quantizers import ACTIVATION_MAX, WEIGHT_MAX

CPU = torch.device("cpu")
EVERY = pytest.mark.parametrize("backend", BACKENDS)
GENERATOR = torch.Generator().manual_seed(13)
CHANNELS = 8


def operands(rows: int, inputs: int, outputs: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Random ones, with rows and columns at their limits."""
    x = torch.randint(0, ACTIVATION_MAX + 1, (rows, inputs), generator=GENERATOR)
    w = torch.randint(-WEIGHT_MAX, WEIGHT_MAX + 1, (inputs, outputs), generator=GENERATOR)
    x[0], w[:, 0], w[:, -1] = ACTIVATION_MAX, WEIGHT_MAX, -WEIGHT_MAX
    return x.to(torch.uint8), w.to(torch.int8)


@EVERY
@pytest.mark.parametrize("inputs", [1, 7, 8, 32, 91, 216, 432, 1041, 1080, 2000])
@pytest.mark.parametrize(("rows", "outputs"), [(1, 1), (5, 32), (70, 13)])
def test_products_are_exact(backend, inputs, rows, outputs):
    """At 1041 inputs sums may pass 2**24, where float32 has to make way for float64."""
    x, w = operands(rows, inputs, outputs)
    out = make_product(w, backend)(x)
    assert out.dtype == torch.int32
    assert np.array_equal(out.numpy(), x.numpy().astype(np.int64) @ w.numpy().astype(np.int64))


class OnCuda(torch.Tensor):
    """A tensor that claims to be on CUDA, whose rules for `_int_mm` then hold."""

    is_cuda = True


@pytest.mark.parametrize("rows", [1, 16, 17, 40])
@pytest.mark.parametrize(("inputs", "outputs"), [(8, 8), (20, 3), (216, 32)])
def test_the_rules_of_cuda(rows, inputs, outputs, monkeypatch):
    """More than 16 rows, everything else in multiples of 8, int8 on both sides; and as many rows
    come out as went in. Small operands: int8 x int8 saturates on some CPUs."""
    real, seen = torch._int_mm, []

    def spy(x, w):
        seen.append(x)
        plain_x, plain_w = x.as_subclass(torch.Tensor), w.as_subclass(torch.Tensor)
        return real(plain_x, plain_w)

    monkeypatch.setattr(torch, "_int_mm", spy)
    x, w = (t % 12 for t in operands(rows, inputs, outputs))
    out = make_product(w.as_subclass(OnCuda), "int8")(x)
    assert torch.equal(out, (x.long() @ w.long()).to(torch.int32))
    assert len(seen[0]) > 16 and seen[0].shape[1] % 8 == 0 and seen[0].dtype == torch.int8


def saturating(weight: torch.Tensor, backend: str):
    """What oneDNN does with int8 activations on CPUs without VNNI: it adds 128 to them, and sums of
    two products saturate at 16 bits."""

    def product(x):
        shifted, w = x.long() + 128, weight.long()
        if len(w) % 2:
            shifted = torch.nn.functional.pad(shifted, (0, 1))
            w = torch.nn.functional.pad(w, (0, 0, 0, 1))
        terms = shifted[:, :, None] * w
        pairs = (terms[:, ::2] + terms[:, 1::2]).clamp(-(1 << 15), (1 << 15) - 1)
        return (pairs.sum(1) - 128 * w.sum(0)).to(torch.int32)

    return product


def off_by_one_at_the_top(weight: torch.Tensor, backend: str):
    """Right but for the largest sum: a float32 that is one bit too short."""

    def product(x):
        out = (x.long() @ weight.long()).to(torch.int32)
        return out + (out == out.max())

    return product


def short_above(weight: torch.Tensor, backend: str):
    """Right for all but sums near the largest one that there can be."""
    limit = ACTIVATION_MAX * WEIGHT_MAX * len(weight) * 9 // 10
    return lambda x: (x.long() @ weight.long()).clamp(max=limit).to(torch.int32)


def short_below(weight: torch.Tensor, backend: str):
    """Likewise for the most negative one."""
    limit = ACTIVATION_MAX * WEIGHT_MAX * len(weight) * 9 // 10
    return lambda x: (x.long() @ weight.long()).clamp(min=-limit).to(torch.int32)


def unsupported(weight: torch.Tensor, backend: str):
    raise RuntimeError("not implemented on this device")


WRONG = [saturating, off_by_one_at_the_top, short_above, short_below, unsupported]


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("inputs", [2, 8, 33, 432])
def test_self_check_refuses_a_wrong_product(wrong, inputs, monkeypatch):
    assert self_check("int8", inputs, CPU)
    monkeypatch.setattr(layers_module, "make_product", wrong)
    assert not self_check("int8", inputs, CPU)


@pytest.fixture
def ranked(monkeypatch):
    """The backends take as long as their place in BACKENDS says, whatever this machine does."""
    monkeypatch.setattr(
        layers_module, "_seconds", lambda backend, *_: float(BACKENDS.index(backend))
    )


def test_the_fastest_backend_is_taken(monkeypatch):
    twins = networks.twins()
    assert choose_backend(twins, CPU) in BACKENDS
    for fastest in BACKENDS:
        monkeypatch.setattr(
            layers_module, "_seconds", lambda backend, *_, best=fastest: float(backend != best)
        )
        assert IntegerLayers(twins, CPU).backend == fastest


def test_products_are_timed():
    weight = torch.ones(64, 8, dtype=torch.int8)
    assert all(0 < layers_module._seconds(backend, weight, CPU) < 10 for backend in BACKENDS)


@pytest.mark.usefixtures("ranked")
def test_backends_that_fail_their_check_are_left_out(monkeypatch):
    twins = networks.twins()
    for broken, expected in (((), "int8"), (("int8",), "float32"), (BACKENDS[:2], "float64")):
        monkeypatch.setattr(
            layers_module, "self_check", lambda backend, *_, broken=broken: backend not in broken
        )
        assert IntegerLayers(twins, CPU).backend == expected
    monkeypatch.setattr(layers_module, "self_check", lambda *_: False)
    with pytest.raises(DeviceError, match="--device cpu"):
        IntegerLayers(twins, CPU)


@pytest.mark.usefixtures("ranked")
def test_one_width_that_fails_is_enough(monkeypatch):
    real, twins = layers_module.self_check, networks.twins()
    width = max(len(layer.weight) for layer in twins.values())
    monkeypatch.setattr(
        layers_module,
        "self_check",
        lambda backend, inputs, device: (
            (backend, inputs) != ("int8", width) and real(backend, inputs, device)
        ),
    )
    assert choose_backend(twins, CPU) == "float32"


@pytest.mark.usefixtures("ranked")
@pytest.mark.parametrize("when", ["random rows", "the largest row"])
def test_a_backend_that_fails_on_the_weights_themselves_is_left_out(when, monkeypatch):
    """Wrong by one for one weight of one layer, only where the generic check cannot see it."""
    real, twins = layers_module.make_product, networks.twins()
    victim = twins["refresh2"].weight

    def make(weight, backend):
        product = real(weight, backend)
        if backend != "int8" or not torch.equal(weight, victim):
            return product
        if when == "random rows":
            return lambda x: product(x) + 1
        return lambda x: product(x) + (x == ACTIVATION_MAX).all(1, keepdim=True)

    monkeypatch.setattr(layers_module, "make_product", make)
    assert self_check("int8", len(victim), CPU)
    assert choose_backend(twins, CPU) == "float32"


def made(inputs: int, outputs: int, is_logit: bool = False) -> IntegerLayer:
    weight = torch.randn(inputs, outputs, generator=GENERATOR) * 4 / inputs**0.5
    return quantize_layer(weight, torch.randn(outputs, generator=GENERATOR), is_logit)


def rows_of(x: np.ndarray, near: Neighbourhood | None) -> np.ndarray:
    """The inputs of a layer, neighbour by neighbour and bit by bit, as int64."""
    if near is None:
        return x
    table, parts = near.table.numpy(), [x]
    if near.features:
        rows = np.concatenate([x, np.zeros((1, x.shape[1]), np.int64)])
        parts = [rows[table[:, k]] for k in range(27)]
    if near.window is not None:
        parts += [near.window.numpy().astype(np.int64)[table[:, k]] for k in range(27)]
    return np.concatenate(parts, axis=1)


def formula(layer: IntegerLayer, inputs: np.ndarray, skip: np.ndarray | None) -> np.ndarray:
    """The formula of `exact.quantize` in int64, before the clamp."""
    weight, bias, multiplier, shift = (
        getattr(layer, part).numpy().astype(np.int64)
        for part in ("weight", "bias", "multiplier", "shift")
    )
    total = inputs @ weight * multiplier + bias
    assert np.abs(total).max() < 1 << 31
    return total + (0 if skip is None else skip << shift) >> shift


@pytest.fixture(scope="module")
def near_kinds():
    """name -> (inputs, how rows find them), at the finest level of a small surface."""
    *_, (level, _, _) = trees.levels_of(trees.tree_of(trees.surface(4)))
    window = torch.randint(0, 128, (len(level) + 1, 8), dtype=torch.uint8, generator=GENERATOR)
    window[-1] = 0
    return {
        "own row": (CHANNELS, None),
        "features": (27 * CHANNELS, Neighbourhood(level.table, None, True)),
        "window": (CHANNELS + 216, Neighbourhood(level.table, window, False)),
        "features and window": (27 * CHANNELS + 216, Neighbourhood(level.table, window, True)),
        "rows": len(level),
    }


@EVERY
@pytest.mark.parametrize("kind", ["own row", "features", "window", "features and window"])
@pytest.mark.parametrize("has_skip", [False, True])
def test_layers_follow_the_formula(backend, kind, has_skip, near_kinds, monkeypatch):
    monkeypatch.setattr(layers_module, "_CHUNK", 50)  # several chunks, the last one short
    (inputs, near), rows, outputs = near_kinds[kind], near_kinds["rows"], 24
    layer = made(inputs, outputs)
    layers = IntegerLayers({"a": layer}, CPU, backend)
    x = torch.randint(0, 60, (rows, CHANNELS), generator=GENERATOR).to(torch.uint8)
    skip = torch.randint(0, 128, (rows, outputs), generator=GENERATOR).to(torch.uint8)
    skip = skip if has_skip else None
    out = layers.apply_layer("a", x, near, skip)
    wide = rows_of(x.numpy().astype(np.int64), near)
    expected = formula(layer, wide, None if skip is None else skip.numpy().astype(np.int64))
    assert (expected < 0).any() and (expected > ACTIVATION_MAX).any()
    assert out.dtype == torch.uint8
    assert np.array_equal(out.numpy(), np.clip(expected, 0, ACTIVATION_MAX))


@EVERY
def test_logits_follow_the_formula(backend):
    layer = made(40, 1, is_logit=True)
    x = torch.randint(0, 128, (300, 40), generator=GENERATOR).to(torch.uint8)
    logits = IntegerLayers({"a.out": layer}, CPU, backend).logits("a.out", x)
    expected = formula(layer, x.numpy().astype(np.int64), None)[:, 0]
    assert logits.dtype == torch.int32 and (expected < 0).any()
    assert np.array_equal(logits.numpy(), expected)


@pytest.mark.parametrize("cloud", ["surface", "lidar", "one", "full"])
@pytest.mark.parametrize("threads", [1, 2])
def test_backends_agree_on_real_levels(cloud, threads):
    """Every logit of every stage and every state that is handed down, level by level."""
    tree, twins = trees.tree_of(trees.clouds()[cloud]), networks.twins()
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        runs = [networks.steps(IntegerLayers(twins, CPU, b), tree) for b in BACKENDS]
        for level in zip(*runs, strict=True):
            (logits, state), *others = level
            for other_logits, other_state in others:
                assert torch.equal(torch.stack(logits), torch.stack(other_logits))
                assert torch.equal(state, other_state)
    finally:
        torch.set_num_threads(before)


@EVERY
def test_weights_beyond_the_bounds_are_refused_when_loaded(backend):
    twins = networks.twins()
    for name in ("enter", "stage3.out"):
        beyond = replace(twins[name], bias=torch.full_like(twins[name].bias, (1 << 31) - 1))
        with pytest.raises(ModelError, match=f"^{name}: "):
            IntegerLayers(twins | {name: beyond}, CPU, backend)


def test_the_largest_sum_is_over_all_layers():
    layers = {"a": made(10, 4), "b": made(300, 4)}
    expected = max(int(layer.weight.long().abs().sum(0).max()) for layer in layers.values())
    assert largest_sum(layers) == 127 * expected


def test_constants_are_kept_as_they_are():
    values = torch.arange(128)
    layers = IntegerLayers({"a": made(8, 8)}, CPU)
    assert torch.equal(layers.constant(values).long(), values)
