"""Devices by name."""

from __future__ import annotations

import pytest
import torch

from pcc_cli.errors import DeviceError
from pcc_cli.nn.device import DEVICES, choose_device, compute


@pytest.mark.parametrize(
    ("name", "available", "kind"),
    [("auto", False, "cpu"), ("auto", True, "cuda"), ("cpu", True, "cpu"), ("cuda", True, "cuda")],
)
def test_names(name, available, kind, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: available)
    assert choose_device(name).type == kind


def test_a_device_that_is_not_there_is_an_error(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(DeviceError, match="--device cpu"):
        choose_device("cuda")


@pytest.mark.parametrize("name", ["", "tpu", "cuda:7", "CPU"])
def test_unknown_names_list_the_known_ones(name):
    with pytest.raises(DeviceError, match=", ".join(DEVICES)):
        choose_device(name)


def test_a_gpu_without_enough_memory_gives_way_to_the_cpu(monkeypatch, caplog):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)

    def work(device):
        if device.type == "cuda":
            raise torch.cuda.OutOfMemoryError
        return device.type

    assert compute("auto", work) == "cpu"
    assert "memory of the GPU ran out" in caplog.text
