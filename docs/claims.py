"""What the optimisations that DeepCompress claims are worth here, each beside what it replaces.

python docs/claims.py          some minutes on one thread

The table goes to docs/measurements.md. Pairs are measured side by side: CPU time, least of five.
"""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable

import numpy as np
import torch

from pcc_cli.codecs.deepcompress import scales
from pcc_cli.codecs.deepcompress.network import NetworkConfig
from pcc_cli.codecs.deepcompress.priors.base import ONE_BY_ONE
from pcc_cli.datasets import synthetic
from pcc_cli.exact import attention
from pcc_cli.exact.layers import IntegerLayers
from pcc_cli.exact.quantize import quantize_layer
from pcc_cli.nn.layers import FloatLayers
from pcc_cli.nn.neighbourhood import Neighbourhood
from pcc_cli.training.recipes.deepcompress import DeepCompressRecipe, DeepCompressTask, sight
from pcc_cli.tree.morton import morton_order

CPU = torch.device("cpu")
Work = Callable[[], object]


class Cloud:
    """A surface as a training sample."""

    domain = name = "mesh"

    def __init__(self, bits: int) -> None:
        voxels = np.unique(synthetic.surface(bits).points.astype(np.int64), axis=0)
        self._voxels = voxels[morton_order(voxels)]

    def voxels(self) -> np.ndarray:
        return self._voxels


def seconds(work: Work) -> float:
    times = []
    for _ in range(5):
        began = time.process_time()
        work()
        times.append(time.process_time() - began)
    return min(times)


def megabytes(work: Work) -> float:
    """The most memory that numpy held meanwhile."""
    tracemalloc.start()
    work()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / 1e6


def row(name: str, before: str, after: str, one: float, other: float, unit: str) -> None:
    print(f"| {name} | {before}: {one:.3g} {unit} | {after}: {other:.3g} {unit} "
          f"| {one / other:.1f} times |")  # fmt: skip


def scale_lookup() -> None:
    """Nearest of 64 scales for a million values."""
    table = 2.0 ** (np.arange(scales.SCALES) / scales.SCALE_STEPS + scales.LOG_SCALE_MIN)
    values = np.exp2(np.random.default_rng(0).uniform(-4, 5, 1_000_000))
    middles = (table[1:] + table[:-1]) / 2
    logs = np.rint(256 * np.log2(values)).astype(np.int64)

    def broadcast() -> np.ndarray:
        parts = np.array_split(values, 100)
        return np.concatenate([np.abs(part[:, None] - table).argmin(1) for part in parts])

    def searched() -> np.ndarray:
        return np.searchsorted(middles, values)

    def computed() -> np.ndarray:
        return np.clip((logs + 912) // 32, 0, 63)

    row("scale lookup, 1 M values", "all 64 compared", "binary search",
        seconds(broadcast), seconds(searched), "s")  # fmt: skip
    row("", "binary search", "a shift of the logarithm, as pcc does",
        seconds(searched), seconds(computed), "s")  # fmt: skip
    row("memory of it", "all compared at once", "binary search",
        megabytes(lambda: np.abs(values[:, None] - table).argmin(1)),
        megabytes(searched), "MB")  # fmt: skip


def masks_and_windows() -> None:
    """Context of 16 k cells: position by position, in phases; a window or all cells."""
    level = sight(Cloud(10).voxels(), CPU).levels[1]
    count = len(level)
    generator = torch.Generator().manual_seed(0)
    known = torch.randint(0, 128, (count, 16), generator=generator).to(torch.uint8)
    shapes = {"known": (27 * 16, 64)}
    floats = FloatLayers(shapes, frozenset())
    whole = {"known": quantize_layer(*floats.weight_and_bias("known"), is_logit=False)}
    layers = IntegerLayers(whole, CPU)
    near = Neighbourhood(level.table, None, features=True)

    def phases() -> None:
        for _ in ONE_BY_ONE:
            layers.apply_layer("known", known, near)

    some = 200  # cells, one after the other; the time is scaled up
    parts = [Neighbourhood(level.table[i : i + 1], None, features=True) for i in range(some)]

    def one_by_one() -> None:
        for part in parts:
            layers._sums("known", torch.cat([known, known[:1]]), part, slice(0, 1))

    row(f"masked convolution, {count:,} cells", "cell by cell", "eight phases of all cells",
        seconds(one_by_one) * count / some, seconds(phases), "s")  # fmt: skip
    query, key, value = (known[:, :16].repeat(1, n) for n in (2, 2, 4))
    place = torch.zeros(27, 2, dtype=torch.int32)
    seen = torch.ones(count, dtype=torch.bool)
    rows = 4  # queries with all cells as their window; the time is scaled up
    everywhere = torch.arange(count, dtype=torch.int32).expand(rows, count)
    far = torch.zeros(count, 2, dtype=torch.int32)

    def full() -> None:
        attention.attend(query[:rows], key, value, far, everywhere, seen)

    def windowed() -> None:
        for start in range(0, count, 4096):
            part = slice(start, start + 4096)
            attention.attend(query[part], key, value, place, level.table[part], seen)

    row(f"attention, {count:,} cells", "all cells", "27 around each",
        seconds(full) * count / rows, seconds(windowed), "s")  # fmt: skip


def precision() -> None:
    """One training step, float32 and bfloat16, and the integers that code."""
    cloud = Cloud(8)

    def step(mixed: bool) -> Work:
        recipe = DeepCompressRecipe(nodes=16_000, mixed_precision=mixed)
        task = DeepCompressTask(NetworkConfig(), recipe, [cloud], [], CPU)
        return lambda: task.loss(np.random.default_rng(0))[0].backward()

    row("training step", "float32", "bfloat16", seconds(step(False)), seconds(step(True)), "s")
    generator = torch.Generator().manual_seed(0)
    x = torch.randint(0, 128, (65536, 27 * 32), generator=generator).to(torch.uint8)
    layer = {"one": quantize_layer(torch.randn(27 * 32, 32) / 30, torch.zeros(32), False)}
    made = {name: IntegerLayers(layer, CPU, name) for name in ("int8", "float32", "float64")}
    times = {name: seconds(lambda n=name: made[n].apply_layer("one", x)) for name in made}
    row("a layer, 65,536 x 864 x 32", "float64", "int8", times["float64"], times["int8"], "s")
    row("", "float32", "int8", times["float32"], times["int8"], "s")


def main() -> None:
    torch.set_num_threads(1)
    print("| | before | after | |")
    print("|---|---|---|---|")
    scale_lookup()
    masks_and_windows()
    precision()


if __name__ == "__main__":
    main()
