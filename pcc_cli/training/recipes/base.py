"""What is needed to train the network of one codec."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from pcc_cli.datasets import packing
from pcc_cli.geometry import Array
from pcc_cli.training.loop import Task


class Sample(Protocol):
    """One cloud or mesh to train or score with; `datasets` has them."""

    @property
    def domain(self) -> str: ...

    @property
    def name(self) -> str: ...


class Cloud(Sample, Protocol):
    """One cloud."""

    def voxels(self) -> Array: ...


def pack_clouds(dirs: list[Path], out: Path, settings: Any, progress: Any, whole: bool) -> None:
    """A training set of random clouds of all kinds, or with a resolution, of meshes on one grid."""
    chosen = settings.data
    if whole:
        packing.pack(dirs, out, seed=chosen.seed, whole=True)
    elif chosen.resolution:
        packing.pack_blocks(
            dirs, out, chosen.resolution, chosen.block_size, chosen.min_points,
            seed=chosen.seed, samples=chosen.samples, progress=progress,
        )  # fmt: skip
    else:
        packing.pack(dirs, out, seed=chosen.seed, samples=chosen.samples, progress=progress)


@dataclass(frozen=True)
class Recipe:
    """settings, network : frozen dataclasses, the sections [recipe] and [network] of a file
    task : of a network and settings, training samples, samples to score, a device
    pack : makes a training set: of folders, a file, the settings of a run, a report of progress,
        and whether everything is taken as it is; load : the samples of such a file
    """

    settings: type
    network: type
    task: Callable[..., Task]
    pack: Callable[[list[Path], Path, Any, Any, bool], None] = pack_clouds
    load: Callable[[Path], Sequence[Sample]] = packing.load_pack
