"""Integer twins of float layers: the documented formula, and bounds that nothing gets past."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from pcc_cli.errors import ModelError
from pcc_cli.exact.quantize import (
    INT32_LIMIT,
    IntegerLayer,
    accumulator_bound,
    check_bounds,
    quantize_layer,
)
from pcc_cli.nn.quantizers import ACTIVATION_MAX, SHIFT_MAX


def floats(inputs: int = 60, outputs: int = 16) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(11)
    weight = torch.randn(inputs, outputs, generator=generator) * torch.logspace(-3, 0, outputs)
    return weight, torch.randn(outputs, generator=generator)


def layer(weight=1, bias=0, multiplier=1, shift=1, inputs=1) -> IntegerLayer:
    """One output; every weight the same."""
    return IntegerLayer(
        torch.full((inputs, 1), weight, dtype=torch.int8),
        torch.tensor([bias], dtype=torch.int32),
        torch.tensor([multiplier], dtype=torch.int32),
        torch.tensor([shift], dtype=torch.int32),
    )


@pytest.mark.parametrize("is_logit", [False, True])
def test_integers_stand_for_the_floats(is_logit):
    """Weights within half a step, biases within half a unit; for halves to be rounded up, 2**(S-1)
    lies on top of each bias."""
    weight, bias = floats()
    twin = quantize_layer(weight, bias, is_logit)
    unit = 256 if is_logit else 16
    scale = torch.exp2(twin.shift.double())
    # One unit of input is 1/16; what leaves is in units of 1/unit.
    step = twin.multiplier.double() / scale / unit * 16
    assert (step >= weight.double().abs().amax(0) / 127).all()
    assert (step <= weight.double().abs().amax(0) / 127 * (1 + 1 / 64)).all()
    assert ((twin.weight * step - weight).abs() <= step / 2 * (1 + 1e-9)).all()
    exact = bias.double() * unit * scale + scale / 2
    assert ((twin.bias - exact).abs() <= 0.5).all()
    assert twin.weight.dtype == torch.int8
    assert twin.bias.dtype == twin.multiplier.dtype == twin.shift.dtype == torch.int32


def test_the_same_floats_give_the_same_integers():
    one, other = (quantize_layer(*floats(), is_logit=False) for _ in range(2))
    for name in ("weight", "bias", "multiplier", "shift"):
        assert torch.equal(getattr(one, name), getattr(other, name))


@pytest.mark.parametrize("is_logit", [False, True])
@pytest.mark.parametrize("value", [1e3, -1e4, 1e6, -1e12, 1e30, float("inf"), float("nan")])
def test_biases_beyond_the_bounds_are_refused(value, is_logit):
    """Also where the conversion to int32 would wrap round to something harmless."""
    weight, bias = floats()
    bias[3] = value
    with pytest.raises(ModelError, match="int32"):
        quantize_layer(weight * 0.001, bias, is_logit)


def test_biases_that_would_wrap_round_are_refused():
    """2**32 and the like: as int32 they would be 0."""
    weight = torch.full((4, 1), 0.001)
    _, shift = 0, int(quantize_layer(weight, torch.zeros(1), False).shift)
    for power in range(31, 63):
        bias = torch.tensor([2.0 ** (power - shift - 4)])
        with pytest.raises(ModelError):
            quantize_layer(weight, bias, is_logit=False)


@pytest.mark.parametrize("value", [1e8, -1e9, 1e38, float("inf"), float("nan")])
def test_weights_beyond_the_bounds_are_refused(value):
    weight, bias = floats()
    weight[2, 5] = value
    with pytest.raises(ModelError):
        quantize_layer(weight, bias, is_logit=False)


def test_too_many_inputs_are_refused():
    """127 * 127 * 127 * 128 inputs reach 2**31 at 1023 of them in the worst case."""
    weight = torch.full((4000, 1), 0.5)
    with pytest.raises(ModelError, match="beyond int32"):
        quantize_layer(weight, torch.zeros(1), is_logit=False)


def worst(twin: IntegerLayer) -> int:
    """The largest intermediate value that any input gives, in Python integers."""
    weights, multiplier = twin.weight[:, 0].tolist(), int(twin.multiplier)
    sums = (sum(w for w in weights if w > 0), sum(w for w in weights if w < 0))
    skip = ACTIVATION_MAX << int(twin.shift)
    reached = [ACTIVATION_MAX * s * multiplier + int(twin.bias) for s in sums]
    return max(abs(value + extra) for value in reached for extra in (0, skip))


@pytest.mark.parametrize(
    "parts",
    [
        {"weight": 127, "multiplier": 128, "inputs": 1000},
        {"weight": -127, "multiplier": 128, "inputs": 1000},
        {"weight": 127, "bias": 1 << 29, "multiplier": 100, "inputs": 900},
        {"weight": -127, "bias": -(1 << 29), "multiplier": 100, "inputs": 900},
        {"weight": 1, "multiplier": 1, "shift": SHIFT_MAX},
    ],
)
def test_bounds_are_met_exactly(parts):
    """One more unit of bias than fits is refused; with what fits no input overflows."""
    twin = layer(**parts)
    sign = -1 if parts["weight"] < 0 else 1
    skip = ACTIVATION_MAX << int(twin.shift)
    room = (
        INT32_LIMIT
        - skip
        - ACTIVATION_MAX * parts["multiplier"] * int(twin.weight.long().abs().sum())
    )
    fits = replace(twin, bias=torch.tensor([sign * room], dtype=torch.int32))
    check_bounds("a", fits)
    assert worst(fits) <= INT32_LIMIT
    beyond = replace(twin, bias=torch.tensor([sign * (room + 1)], dtype=torch.int32))
    with pytest.raises(ModelError, match=r"^a: .*int32"):
        check_bounds("a", beyond)


@pytest.mark.parametrize(
    "parts",
    [
        {"shift": 0},
        {"shift": -3},
        {"shift": SHIFT_MAX + 1},
        {"shift": 40},
        {"multiplier": 0},
        {"multiplier": -5},
        {"weight": -128},
        {"bias": -(1 << 31)},
        {"multiplier": (1 << 31) - 1, "weight": 127, "inputs": 100},
    ],
)
def test_values_outside_their_ranges_are_refused(parts):
    with pytest.raises(ModelError, match="a: "):
        check_bounds("a", layer(**parts))


def test_the_accumulator_bound_is_the_largest_sum():
    twin = replace(layer(), weight=torch.tensor([[3, -7], [-4, 0], [5, 6]], dtype=torch.int8))
    assert accumulator_bound(twin) == 127 * 13
