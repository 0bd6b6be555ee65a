"""Integer layers for coding: the same integers on every device, thread count and backend.

The operations are those of `nn.layers.FloatLayers`; activations are uint8 0 .. 127 in units of
1/16, logits int32 in units of 1/256. A product of integers has one right answer, so any backend
that computes it exactly will do:

    int8     torch._int_mm, int32 sums; activations as uint8 on a CPU, because oneDNN saturates
             int8 x int8 on CPUs without VNNI; as int8 on CUDA
    float32  while 127 sum|w| stays below 2**24 (checked), else float64
    float64  always exact here

`choose_backend` takes the fastest one that passes `self_check` on this machine.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

import torch
from torch import Tensor

from pcc_cli.errors import DeviceError
from pcc_cli.exact.attention import attend
from pcc_cli.exact.normalization import normalize
from pcc_cli.exact.quantize import IntegerLayer, accumulator_bound, check_bounds
from pcc_cli.nn.attention import WindowAttention
from pcc_cli.nn.neighbourhood import Neighbourhood, gathered, padded
from pcc_cli.nn.quantizers import ACTIVATION_MAX, WEIGHT_MAX

BACKENDS = ("int8", "float32", "float64")
_CHUNK = 4096
_CHUNK_CUDA = 1 << 17
_TRIAL_ROWS = 1024

Product = Callable[[Tensor], Tensor]


def _pad_to(x: Tensor, rows: int, columns: int) -> Tensor:
    return torch.nn.functional.pad(x, (0, columns - x.shape[1], 0, rows - x.shape[0]))


def _int8_product(weight: Tensor) -> Product:
    """`_int_mm` wants inputs and outputs in multiples of 8, and on CUDA more than 16 rows."""
    inputs, outputs = weight.shape
    wide = _pad_to(weight, -(-inputs // 8) * 8, -(-outputs // 8) * 8).contiguous()
    operand = torch.int8 if weight.is_cuda else torch.uint8

    def product(x: Tensor) -> Tensor:
        count = len(x)
        rows = max(count, 17) if weight.is_cuda else count
        if (rows, len(wide)) != x.shape:
            x = _pad_to(x, rows, len(wide))
        # Rows that share memory, as `expand` makes them, are multiplied wrongly.
        return torch._int_mm(x.contiguous().view(operand), wide)[:count, :outputs]

    return product


def _float_product(weight: Tensor, dtype: torch.dtype) -> Product:
    wide = weight.to(dtype)
    return lambda x: (x.to(dtype) @ wide).to(torch.int32)


def make_product(weight: Tensor, backend: str) -> Product:
    """x -> x @ weight as exact int32, for x uint8 0 .. 127 and an int8 `weight`."""
    if backend == "int8":
        return _int8_product(weight)
    bound = ACTIVATION_MAX * int(weight.long().abs().sum(0).max())
    exact_in_float32 = backend == "float32" and bound < 1 << 24
    return _float_product(weight, torch.float32 if exact_in_float32 else torch.float64)


def self_check(backend: str, inputs: int, device: torch.device) -> bool:
    """Whether `backend` multiplies exactly here: extremes and random operands, against int64."""
    generator = torch.Generator().manual_seed(inputs)
    x = torch.randint(0, ACTIVATION_MAX + 1, (64, inputs), generator=generator).to(torch.uint8)
    w = torch.randint(-WEIGHT_MAX, WEIGHT_MAX + 1, (inputs, 16), generator=generator)
    x[:2] = ACTIVATION_MAX
    w[:, 0], w[:, 1] = WEIGHT_MAX, -WEIGHT_MAX
    expected = x.double() @ w.double()
    try:
        product = make_product(w.to(torch.int8).to(device), backend)
        return torch.equal(product(x.to(device)).cpu().double(), expected)
    except RuntimeError:
        return False


def _is_exact(backend: str, weight: Tensor, device: torch.device) -> bool:
    """Whether `backend` multiplies this very weight exactly: by the limits, and by random rows."""
    generator = torch.Generator().manual_seed(len(weight))
    shape = (_TRIAL_ROWS // 16, len(weight))
    x = torch.randint(0, ACTIVATION_MAX + 1, shape, generator=generator).to(torch.uint8)
    x[0] = ACTIVATION_MAX
    try:
        product = make_product(weight.to(device), backend)(x.to(device))
    except RuntimeError:
        return False
    return torch.equal(product.cpu().double(), x.double() @ weight.double())


def _seconds(backend: str, weight: Tensor, device: torch.device) -> float:
    """The time of one product of _TRIAL_ROWS rows; infinite where there is no such product."""
    x = torch.ones(_TRIAL_ROWS, len(weight), dtype=torch.uint8, device=device)
    times = []
    try:
        product = make_product(weight.to(device), backend)
        for _ in range(3):
            began = time.perf_counter()
            product(x).sum().item()  # .item() waits for a GPU
            times.append(time.perf_counter() - began)
    except RuntimeError:
        return math.inf
    return min(times)


def choose_backend(layers: dict[str, IntegerLayer], device: torch.device) -> str:
    """The fastest backend on `device` that is exact for extreme operands and for `layers`.

    Fastest by trial: without VNNI `_int_mm` is a plain loop, ten times slower than float32.
    """
    widths = sorted({len(layer.weight) for layer in layers.values()})
    largest = max((layer.weight for layer in layers.values()), key=Tensor.numel)
    for backend in sorted(BACKENDS, key=lambda backend: _seconds(backend, largest, device)):
        if all(self_check(backend, width, device) for width in widths) and all(
            _is_exact(backend, layer.weight.cpu(), device) for layer in layers.values()
        ):
            return backend
    raise DeviceError(f"no exact integer product works on {device}; use --device cpu")


@lru_cache(maxsize=1)
def _pool(threads: int) -> ThreadPoolExecutor:
    """Threads whose torch operations use no further ones."""
    return ThreadPoolExecutor(threads, "pcc", torch.set_num_threads, (1,))


class IntegerLayers:
    """See the module; `backend` None means the fastest that passes its self-check.

    Raises ModelError when a bound of `check_bounds` does not hold.
    """

    def __init__(
        self,
        layers: dict[str, IntegerLayer],
        device: torch.device,
        backend: str | None = None,
    ) -> None:
        for name, layer in layers.items():
            check_bounds(name, layer)
        torch.backends.cuda.matmul.allow_tf32 = False
        self.device = device
        self.backend = backend or choose_backend(layers, device)
        self._layers = {
            name: IntegerLayer(
                layer.weight.to(device),
                layer.bias.to(device),
                layer.multiplier.to(device),
                layer.shift.to(device),
            )
            for name, layer in layers.items()
        }
        self._products: dict[tuple[str, int, int], Product] = {}

    def _product(self, name: str, start: int, stop: int) -> Product:
        """The product with rows start .. stop of a weight."""
        key = (name, start, stop)
        if key not in self._products:
            part = self._layers[name].weight[start:stop].contiguous()
            self._products[key] = make_product(part, self.backend)
        return self._products[key]

    def _sums(self, name: str, source: Tensor, near: Neighbourhood | None, rows: slice) -> Tensor:
        """(rows, outputs) int32: inputs of `rows` times weight."""
        height = len(self._layers[name].weight)
        if near is None:
            return self._product(name, 0, height)(source[rows])
        table = near.table[rows]
        features = gathered(source, table) if near.features else source[rows]
        width = features.shape[1]
        sums = self._product(name, 0, width)(features)
        if near.window is not None:
            sums = sums + self._product(name, width, height)(gathered(near.window, table))
        return sums

    def constant(self, values: Tensor) -> Tensor:
        return values.to(torch.uint8)

    def apply_layer(
        self,
        name: str,
        x: Tensor,
        near: Neighbourhood | None = None,
        skip: Tensor | None = None,
    ) -> Tensor:
        layer = self._layers[name]
        source = padded(x) if near and near.features else x
        out = torch.empty(len(x), layer.weight.shape[1], dtype=torch.uint8, device=self.device)

        def fill(rows: slice) -> None:
            y = self._sums(name, source, near, rows)
            y = torch.addcmul(layer.bias, y, layer.multiplier)
            if skip is not None:
                y += skip[rows].to(torch.int32) << layer.shift
            out[rows] = (y >> layer.shift).clamp_(0, ACTIVATION_MAX)

        self._for_chunks(fill, len(x))
        return out

    def logits(self, name: str, x: Tensor) -> Tensor:
        layer = self._layers[name]
        out = torch.empty(len(x), layer.weight.shape[1], dtype=torch.int32, device=self.device)

        def fill(rows: slice) -> None:
            y = self._sums(name, x, None, rows) * layer.multiplier + layer.bias
            out[rows] = y >> layer.shift

        self._for_chunks(fill, len(x))
        return out.squeeze(1)

    def normalize(self, name: str, x: Tensor, kind: str, inverse: bool) -> Tensor:
        out = torch.empty_like(x)

        def fill(rows: slice) -> None:
            out[rows] = normalize(x[rows], self._layers[name], kind, inverse)

        self._for_chunks(fill, len(x))
        return out

    def attend(self, inputs: WindowAttention) -> Tensor:
        width = inputs.value.shape[1]
        out = torch.empty(len(inputs.query), width, dtype=torch.uint8, device=self.device)

        def fill(rows: slice) -> None:
            out[rows] = attend(inputs.of(rows))

        self._for_chunks(fill, len(inputs.query))
        return out

    def _for_chunks(self, fill: Callable[[slice], None], rows: int) -> None:
        """Calls `fill` for all chunks of `rows`: on a CPU as many at once as torch has threads.

        torch itself would share out every operation of a chunk, and wait for its threads each
        time: slower than one thread on a busy machine.
        """
        chunks, threads = list(self.chunks(rows)), torch.get_num_threads()

        def fill_share(first: int) -> None:
            for chunk in chunks[first::threads]:
                fill(chunk)

        if self.device.type == "cpu" and threads > 1 and len(chunks) > 1:
            list(_pool(threads).map(fill_share, range(threads)))
        else:
            for chunk in chunks:
                fill(chunk)

    def chunks(self, rows: int) -> Iterator[slice]:
        size = _CHUNK_CUDA if self.device.type == "cuda" else _CHUNK
        for start in range(0, rows, size):
            yield slice(start, start + size)


def largest_sum(layers: dict[str, IntegerLayer]) -> int:
    """The largest accumulator any input can give, over all layers; model cards state it."""
    return max(accumulator_bound(layer) for layer in layers.values())
