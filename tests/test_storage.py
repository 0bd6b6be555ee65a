"""Integer layers as tensors of a file: there and back, and nothing that does not fit."""

from __future__ import annotations

import networks
import pytest
import torch
from safetensors.torch import load, save

from pcc_cli.errors import ModelError
from pcc_cli.exact.storage import PARTS, from_tensors, to_tensors

SHAPES = networks.CONFIG.layers()


@pytest.fixture
def tensors():
    return to_tensors(networks.twins())


def test_round_trip_through_a_file(tensors):
    assert set(tensors) == {f"{name}/{part}" for name in SHAPES for part in PARTS}
    back = from_tensors(load(save(tensors)), SHAPES)
    for name, layer in networks.twins().items():
        for part in PARTS:
            one, other = getattr(layer, part), getattr(back[name], part)
            assert one.dtype == other.dtype and torch.equal(one, other)


@pytest.mark.parametrize("part", PARTS)
def test_every_part_is_needed(tensors, part):
    del tensors[f"stage2.hidden/{part}"]
    with pytest.raises(ModelError, match=f"stage2.hidden/{part}"):
        from_tensors(tensors, SHAPES)


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("change", ["longer", "shorter", "flat", "scalar"])
def test_parts_of_another_shape_are_refused(tensors, part, change):
    name = f"refresh1/{part}"
    tensor = tensors[name]
    tensors[name] = {
        "longer": torch.cat([tensor, tensor[-1:]]),
        "shorter": tensor[:-1],
        "flat": tensor.reshape(1, -1, 1),
        "scalar": tensor.flatten()[0],
    }[change]
    with pytest.raises(ModelError, match="refresh1"):
        from_tensors(tensors, SHAPES)


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.uint8, torch.int64])
def test_parts_of_another_type_are_refused(tensors, part, dtype):
    tensors[f"enter/{part}"] = tensors[f"enter/{part}"].to(dtype)
    with pytest.raises(ModelError, match="enter"):
        from_tensors(tensors, SHAPES)


def test_tensors_of_nobody_are_ignored(tensors):
    assert set(from_tensors(tensors | {"notes/weight": torch.zeros(3)}, SHAPES)) == set(SHAPES)
