"""The grids of weights: steps that hold the largest weight, rounding that gradients pass."""

from __future__ import annotations

import torch

from pcc_cli.nn.quantizers import SHIFT_MAX, WEIGHT_MAX, rounded_weight, weight_steps


def weights() -> torch.Tensor:
    """(50, 40), columns of very different size."""
    generator = torch.Generator().manual_seed(8)
    return torch.randn(50, 40, generator=generator) * torch.logspace(-4, 1.5, 40)


def test_steps_are_the_smallest_that_hold_the_largest_weight():
    weight = weights()
    multiplier, shift = weight_steps(weight)
    step = multiplier.double() / torch.exp2(shift.double())
    wanted = weight.double().abs().amax(0) / WEIGHT_MAX
    assert (step >= wanted * (1 - 1e-12)).all()
    assert ((multiplier - 1) / torch.exp2(shift.double()) < wanted).all()
    assert multiplier.dtype == shift.dtype == torch.int64
    full = (shift > 1) & (shift < SHIFT_MAX)
    assert full.sum() > 30
    assert ((multiplier >= 64) & (multiplier <= 128))[full].all()


def test_columns_of_zeros_and_tiny_weights_have_a_step():
    weight = torch.zeros(5, 2)
    weight[0, 1] = 1e-30
    multiplier, shift = weight_steps(weight)
    assert (multiplier >= 1).all() and (shift == SHIFT_MAX).all()
    assert not rounded_weight(weight).any()


def test_rounded_weights_are_whole_steps_at_most_half_a_step_away():
    weight = weights()
    multiplier, shift = weight_steps(weight)
    step = (multiplier.double() / torch.exp2(shift.double())).float()
    rounded = rounded_weight(weight)
    whole = rounded / step
    assert torch.allclose(whole, whole.round(), atol=1e-4)
    assert whole.abs().max() <= WEIGHT_MAX + 1e-4
    assert ((rounded - weight).abs() <= 0.5001 * step).all()
    assert (whole.round().unique().numel()) > 200


def test_gradients_pass_straight_through():
    weight = weights().requires_grad_()
    toward = torch.randn(50, 40, generator=torch.Generator().manual_seed(9))
    (gradient,) = torch.autograd.grad((rounded_weight(weight) * toward).sum(), weight)
    assert torch.allclose(gradient, toward)
