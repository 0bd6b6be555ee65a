"""Attention and normalization in integers: against plain Python, and against their float twins."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction

import pytest
import torch
import trees

from pcc_cli.exact import attention, normalization
from pcc_cli.nn import attention as float_attention
from pcc_cli.nn import normalization as float_normalization
from pcc_cli.nn.attention import WindowAttention
from pcc_cli.nn.quantizers import ACTIVATION_STEP

HEADS = 2


def inputs():
    """Activations of the cells of a level, each a query, and which cells are known."""
    *_, (level, _, _) = trees.levels_of(trees.tree_of(trees.surface(4)))
    generator = torch.Generator().manual_seed(3)
    count = len(level)
    query, key, value = (
        torch.randint(0, 128, (count, HEADS * width), generator=generator).to(torch.uint8)
        for width in (4, 4, 3)
    )
    bias = torch.randint(-300, 300, (27, HEADS), generator=generator).to(torch.int32)
    known = torch.rand(count, generator=generator) < 0.4
    return WindowAttention(query // 4, key // 4, value, bias, level.table, known)


def test_attention_is_what_the_format_says():
    cells = inputs()
    result = attention.attend(cells)
    query, key, value, known = cells.query, cells.key, cells.value, cells.known
    bias, table = cells.position_bias, cells.table
    for i in range(0, len(query), 37):
        near = [(k, j) for k, j in enumerate(table[i].tolist()) if j < len(query) and known[j]]
        for head in range(HEADS):
            q, v = slice(4 * head, 4 * head + 4), slice(3 * head, 3 * head + 3)
            scores = {
                (k, j): int((query[i, q].long() * key[j, q].long()).sum()) + 4 * int(bias[k, head])
                for k, j in near
            }
            best = max(scores.values(), default=0)
            weights = {
                pair: round(4096 * math.exp(-min((best - score) >> 4, 639) / 64))
                for pair, score in scores.items()
            }
            total = sum(weights.values())
            for channel, got in zip(range(v.start, v.stop), result[i, v].tolist(), strict=True):
                mean = sum(w * int(value[j, channel]) for (_, j), w in weights.items())
                assert got == ((mean + total // 2) // total if total else 0)


def test_attention_sees_only_what_is_known():
    cells = inputs()
    first = attention.attend(cells)
    changed = torch.where(cells.known[:, None], cells.value, 127 - cells.value)
    assert torch.equal(first, attention.attend(replace(cells, value=changed)))
    none = torch.zeros_like(cells.known)
    assert not attention.attend(replace(cells, known=none)).any()


def test_attention_is_near_its_float_twin():
    cells = inputs()
    result = attention.attend(cells)
    floats = {n: getattr(cells, n).float() * ACTIVATION_STEP for n in ("query", "key", "value")}
    twin = replace(cells, **floats, position_bias=cells.position_bias / 256)
    wanted = float_attention.attend(twin, rounded=True) / ACTIVATION_STEP
    difference = (result.float() - wanted).abs()
    assert difference.max() <= 2 and difference.mean() < 0.2


@pytest.mark.parametrize("kind", float_normalization.KINDS)
@pytest.mark.parametrize("inverse", [False, True])
def test_normalization_is_near_its_float_twin(kind, inverse):
    generator = torch.Generator().manual_seed(5)
    x = torch.randint(0, 128, (500, 8), generator=generator).to(torch.uint8)
    gamma = torch.rand(8, 8, generator=generator) * 0.2 - 0.05
    beta = torch.rand(8, generator=generator) * 3
    layer = normalization.quantize_normalization(gamma, beta, kind)
    result = normalization.normalize(x, layer, kind, inverse)
    wanted = float_normalization.normalize(
        x * ACTIVATION_STEP, gamma, beta, kind, inverse, rounded=True
    )
    assert result.dtype == torch.uint8 and int(result.max()) <= 127
    assert (result.float() - wanted / ACTIVATION_STEP).abs().max() <= 1


def test_cenic_gdn_is_what_the_format_says():
    generator = torch.Generator().manual_seed(6)
    x = torch.randint(0, 128, (50, 4), generator=generator).to(torch.uint8)
    layer = normalization.quantize_normalization(
        torch.rand(4, 4, generator=generator), torch.ones(4), "cenic_gdn"
    )
    result = normalization.normalize(x, layer, "cenic_gdn", inverse=True)
    weight, bias, multiplier, shift = (
        part.tolist() for part in (layer.weight, layer.bias, layer.multiplier, layer.shift)
    )
    for row, got in zip(x.tolist(), result.tolist(), strict=True):
        for j, value in enumerate(got):
            total = sum(a * weight[i][j] for i, a in enumerate(row)) * multiplier[j] + bias[j]
            exact = Fraction(row[j] * total, 1 << (shift[j] + 4)) + Fraction(1, 2)
            assert value == min(math.floor(exact), 127)
