"""Where tensors are computed."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar

import torch

from pcc_cli.errors import DeviceError

DEVICES = ("auto", "cpu", "cuda")
T = TypeVar("T")
_log = logging.getLogger(__name__)


def choose_device(name: str) -> torch.device:
    """The device of a name in DEVICES; "auto" is CUDA when there is one. Raises DeviceError."""
    if name not in DEVICES:
        raise DeviceError(f"unknown device '{name}'; choose one of {', '.join(DEVICES)}")
    available = torch.cuda.is_available()
    if name == "cuda" and not available:
        raise DeviceError("no CUDA device is available; use --device cpu")
    return torch.device("cuda" if available and name != "cpu" else "cpu")


def compute(name: str, work: Callable[[torch.device], T]) -> T:
    """`work` on the device `name`; again on the CPU, with a warning, when a GPU is too small."""
    device = choose_device(name)
    try:
        return work(device)
    except torch.cuda.OutOfMemoryError:
        if device.type == "cpu":
            raise
    _log.warning("pcc: the memory of the GPU ran out; going on on the CPU")
    torch.cuda.empty_cache()
    return work(torch.device("cpu"))
