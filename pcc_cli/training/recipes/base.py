"""What is needed to train the network of one codec."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from pcc_cli.geometry import Array
from pcc_cli.training.loop import Task


class Sample(Protocol):
    """One cloud to train or score with; `datasets.packing` has them."""

    @property
    def domain(self) -> str: ...

    @property
    def name(self) -> str: ...

    def voxels(self) -> Array: ...


@dataclass(frozen=True)
class Recipe:
    """settings, network : frozen dataclasses, the sections [recipe] and [network] of a file
    task : of a network and settings, training samples, samples to score, a device
    """

    settings: type
    network: type
    task: Callable[..., Task]
