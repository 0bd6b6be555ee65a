"""Where tensors are computed."""

from __future__ import annotations

import torch

from pcc_cli.errors import DeviceError

DEVICES = ("auto", "cpu", "cuda")


def choose_device(name: str) -> torch.device:
    """The device of a name in DEVICES; "auto" is CUDA when there is one. Raises DeviceError."""
    if name not in DEVICES:
        raise DeviceError(f"unknown device '{name}'; choose one of {', '.join(DEVICES)}")
    available = torch.cuda.is_available()
    if name == "cuda" and not available:
        raise DeviceError("no CUDA device is available; use --device cpu")
    return torch.device("cuda" if available and name != "cpu" else "cpu")
