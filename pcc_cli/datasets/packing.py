"""Packs: training sets for the occupancy codec, one file made from folders of meshes and clouds.

A pack is a safetensors file. Each sample is a uint8 tensor: the occupancy codes of all levels of
its octree, root first, behind zstandard; what the samples are is JSON in the metadata.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import zstandard

from pcc_cli.datasets import recipes
from pcc_cli.datasets.clouds import blocks_of, distinct, placed
from pcc_cli.datasets.sources import Source, find_sources
from pcc_cli.errors import InputError
from pcc_cli.geometry import Array
from pcc_cli.tree import octree
from pcc_cli.tree.morton import depth_of

MIX: Mapping[str, float] = {"mesh": 0.35, "capture": 0.15, "lidar": 0.30, "scan": 0.20}
_LEVEL = 12  # of zstandard: slower ones gain under 1 %


@dataclass(frozen=True)
class Sample:
    """One voxel cloud of a pack.

    domain : "mesh", "capture", "lidar" or "scan"
    points : number of voxels
    source : name of the file it was made from
    step : size of a voxel, in units of that file
    blob : the compressed codes
    """

    domain: str
    depth: int
    points: int
    source: str
    step: float
    blob: bytes

    @property
    def name(self) -> str:
        """How logs call it."""
        return f"{self.source} at {self.step:g}"

    def tree(self) -> octree.Octree:
        """The octree, `depth` levels of codes."""
        plain = zstandard.ZstdDecompressor().decompress(self.blob)
        codes = np.frombuffer(plain, dtype=np.uint8)
        levels = []
        start, nodes = 0, 1
        for _ in range(self.depth):
            levels.append(codes[start : start + nodes])
            start += nodes
            nodes = int(octree.POPCOUNT[levels[-1]].sum())
        return octree.Octree(levels)

    def voxels(self) -> Array:
        """(points, 3) int64, distinct, in Morton order."""
        return octree.voxels_of(self.tree())


def make_sample(domain: str, source: str, voxels: Array, step: float) -> Sample:
    """The sample that holds `voxels`, (n, 3) int64 >= 0, distinct, in Morton order; n > 0."""
    depth = depth_of(voxels)
    tree = octree.build(voxels, depth)
    codes = b"".join(level.tobytes() for level in tree.codes)
    blob = zstandard.ZstdCompressor(level=_LEVEL).compress(codes)
    return Sample(domain, depth, len(voxels), source, step, blob)


def pack(
    dirs: list[Path],
    out: Path,
    *,
    seed: int = 0,
    samples: int = 450,
    mix: Mapping[str, float] = MIX,
    whole: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> int:
    """Write `out` from all meshes and clouds below `dirs`; the number of samples in it.

    The same files, seed and mix give the same pack. `mix` is the share of each domain, of which
    those without files are left out. `whole`: each file as it is, uncropped, at the precisions
    that are reported, for judging instead of training; `samples` and `mix` then mean nothing.
    """
    sources = find_sources(dirs)
    if not sources:
        raise InputError(f"no meshes or clouds below {', '.join(map(str, dirs))}")
    if whole:
        plan = [(index, source) for index, source in enumerate(sources)]
    else:
        plan = _plan(sources, samples, mix, np.random.default_rng(seed))
    made: list[tuple[int, Sample]] = []
    for done, (index, source) in enumerate(plan, 1):
        rng = np.random.default_rng([seed, index])
        made += [(index, sample) for sample in _samples_of(source, sources, whole, rng)]
        if progress:
            progress(done, len(plan))
    made.sort(key=lambda entry: entry[0])
    _save(out, [sample for _, sample in made])
    return len(made)


def pack_blocks(
    dirs: list[Path],
    out: Path,
    resolution: int,
    block_size: int,
    min_points: int,
    *,
    seed: int = 0,
    samples: int = 450,
    progress: Callable[[int, int], None] | None = None,
) -> int:
    """Write `out` from blocks of meshes on a grid, and of clouds on their own; how many there are.

    resolution : voxels along a mesh; block_size : voxels along a block, 0 for whole clouds
    samples : at most so many, drawn from all blocks with `min_points` or more
    """
    made = []
    sources = find_sources(dirs)
    for done, source in enumerate(sources, 1):
        for voxels, step in recipes.grid_clouds(source, resolution, seed):
            for block in blocks_of(voxels, block_size):
                if len(block) >= max(min_points, 1):
                    made.append(make_sample(source.domain, source.path.name, block, step))
        if progress:
            progress(done, len(sources))
    if not made:
        raise InputError(f"no blocks of {min_points} points or more below {dirs[0]}")
    chosen = np.random.default_rng(seed).permutation(len(made))[:samples]
    _save(out, [made[i] for i in sorted(chosen)])
    return len(chosen)


def load_pack(path: Path) -> list[Sample]:
    """The samples of the pack at `path`, compressed in memory."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            entries = json.loads(file.metadata()["samples"])
            return [
                Sample(**entry, blob=file.get_tensor(f"{index:06d}").tobytes())
                for index, entry in enumerate(entries)
            ]
    except (SafetensorError, OSError, TypeError, KeyError, ValueError) as error:
        raise InputError(f"{path}: not a training pack: {error}") from None


def _save(out: Path, samples: list[Sample]) -> None:
    from safetensors.numpy import save_file

    entries = [
        {key: value for key, value in asdict(sample).items() if key != "blob"} for sample in samples
    ]
    tensors = {
        f"{index:06d}": np.frombuffer(sample.blob, dtype=np.uint8)
        for index, sample in enumerate(samples)
    }
    out.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, out, metadata={"samples": json.dumps(entries)})


def _plan(
    sources: list[Source], samples: int, mix: Mapping[str, float], rng: np.random.Generator
) -> list[tuple[int, Source]]:
    """(place in the pack, source) of each sample, file after file so that each is read once."""
    present = {domain: share for domain, share in mix.items()
               if any(source.domain == domain for source in sources)}  # fmt: skip
    chosen: list[Source] = []
    for domain, share in present.items():
        count = round(samples * share / sum(present.values()))
        chosen += _share_out([s for s in sources if s.domain == domain], count, rng)
    places = rng.permutation(len(chosen))
    plan = [(int(place), source) for place, source in zip(places, chosen, strict=True)]
    return sorted(plan, key=lambda entry: (entry[1].path, entry[0]))


def _share_out(sources: list[Source], count: int, rng: np.random.Generator) -> list[Source]:
    """`count` of `sources`: as evenly as can be, by the square root of the size for clouds."""
    order = rng.permutation(len(sources))
    weights = np.array([sources[i].weight for i in order])
    ends = np.cumsum(weights) / weights.sum()
    ticks = (np.arange(count) + rng.random()) / max(count, 1)
    return [sources[order[i]] for i in np.searchsorted(ends[:-1], ticks, side="right")]


def _samples_of(
    source: Source, sources: list[Source], whole: bool, rng: np.random.Generator
) -> Iterator[Sample]:
    """The random sample of `source`, or every whole one."""
    if whole:
        clouds = recipes.whole_clouds(source, rng)
    else:
        clouds = [recipes.random_cloud(source, sources, rng)]
    for voxels, step in clouds:
        if len(voxels):
            voxels = voxels if whole else distinct(placed(voxels, rng))
            yield make_sample(source.domain, source.path.name, voxels, step)
