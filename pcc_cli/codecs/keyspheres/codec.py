"""One mesh as a small network: `keyspheres.1`.

Encoding fits a network to the signed distance of the mesh; decoding evaluates it near its zero
level and makes triangles of that. docs/format-keyspheres.md specifies the stream.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from pcc_cli.codecs.base import Payload, Progress, setting, silent
from pcc_cli.codecs.keyspheres import network, stream
from pcc_cli.codecs.keyspheres.fit import ROUNDED_SHARE, Fit, Samples, quantized, step_codes
from pcc_cli.codecs.keyspheres.plan import MOST, Plan
from pcc_cli.codecs.keyspheres.spheres import find
from pcc_cli.codecs.keyspheres.stream import Quantized
from pcc_cli.errors import InputError
from pcc_cli.geometry import Array, Mesh, Shape
from pcc_cli.levelset.solid import Solid
from pcc_cli.levelset.surface import surface
from pcc_cli.nn.device import DEVICES, choose_device

STREAM = "KEYS"
CONTAINER_BYTES = 330  # of a file beside the stream, where nobody counts them
USUAL_SIZE = 4096  # of a file, where no size is asked for
BITS = 6.6  # of a number of the network, where a size is asked for
SMALLEST, LARGEST = 1024, 1 << 16  # bytes of a file
FINEST = 1024  # cells along an axis
TRIES = 6
TOUCH_UP = 200  # steps after a coarser rounding
Pack = Callable[[list[Quantized]], bytes]


@dataclass(frozen=True)
class Keyspheres:
    """A mesh as the zero level of a network; settings as the paper has them, or from a size."""

    id: ClassVar[str] = "keyspheres.1"
    accepts: ClassVar[tuple[type, ...]] = (Mesh,)
    exact: ClassVar[bool] = False
    lossless: ClassVar[bool] = False
    rates: ClassVar[tuple[dict[str, Any], ...]] = ({"size": 2048}, {"size": 4096}, {"size": 8192})

    size: int | None = setting(None, "of the file in bytes, which sets --width")
    quality: float | None = setting(
        None, "1 (a kilobyte) to 100 (64 kilobytes), in place of a size"
    )
    layers: int = setting(6, "hidden layers of the network (K)")
    width: int | None = setting(None, "units of a layer (Q); by default what the size allows")
    spheres: int | None = setting(None, "key spheres (M); by default one for 256 bytes of the size")
    latent: bool = setting(False, "spheres have 29 fitted features each")
    activation: str = setting("sine", "sine, or leaky as in the paper")
    band: float = setting(
        0.025, "of distances that matter, in a ball of 0.9; 0: all, as in the paper"
    )
    weight_bits: float = setting(BITS, "about so many for each number of the network")
    steps: int = setting(12_000, "of fitting; half of them take half of the time")
    batch: int = setting(1024, "points in a step")
    rate: float = setting(0.02, "at which fitting learns")
    restarts: int = setting(3, "random starts, the best of which goes on")
    seed: int = setting(0, "of all random numbers")
    resolution: int = setting(128, "cells along an axis of the decoded mesh: 32, 64, 128, 256 ...")
    device: str = setting("auto", "where it is computed")

    def __post_init__(self) -> None:
        for name, most in {**MOST, "resolution": FINEST}.items():
            value = getattr(self, name)
            least = 0 if name == "spheres" else 1
            if value is not None and not least <= value <= most:
                raise InputError(f"keyspheres: {name} must be in {least} .. {most}, not {value}")
        for name in ("steps", "batch", "restarts", "rate", "weight_bits"):
            if not getattr(self, name) > 0:
                raise InputError(f"keyspheres: {name} must be above 0, not {getattr(self, name)}")
        if self.activation not in network.ACTIVATIONS:
            raise InputError(f"keyspheres: activation is sine or leaky, not '{self.activation}'")
        if self.size is not None and not SMALLEST <= self.size <= LARGEST:
            raise InputError(
                f"keyspheres: a size is {SMALLEST} to {LARGEST} bytes, not {self.size}"
            )
        if self.quality is not None and not 1 <= self.quality <= 100:
            raise InputError(f"keyspheres: a quality is 1 to 100, not {self.quality:g}")
        if self.quality is not None and self.size is not None:
            raise InputError("choose one of --size and --quality")
        if not 0 <= self.band <= 2 or self.weight_bits > 7.5 or self.device not in DEVICES:
            raise InputError(
                "keyspheres: band is 0 to 2, weight_bits at most 7.5, device auto, cpu or cuda"
            )

    def config(self) -> dict[str, Any]:
        return {"resolution": self.resolution, "device": self.device}

    def encode(self, shape: Shape, progress: Progress = silent) -> Payload:
        return self.encode_within(shape, CONTAINER_BYTES, progress)

    def encode_within(self, shape: Shape, around: int, progress: Progress = silent) -> Payload:
        """The payload of `shape`. InputError for one that encloses nothing."""
        if not isinstance(shape, Mesh):
            raise InputError("keyspheres takes meshes")
        progress(0.0, "distances")
        frame, solid = Solid.of(shape)
        if not (solid.grid < 0).any():
            raise InputError(
                "keyspheres: the mesh encloses no volume that is thicker than a fiftieth of its "
                "length, open or closed; --codec plain keeps it"
            )
        size = self._size()
        keys = find(
            solid.grid, (size or USUAL_SIZE) // 256 if self.spheres is None else self.spheres
        )
        plan = self._plan(len(keys), (size or USUAL_SIZE) - around, shape.points.dtype)
        device = choose_device(self.device)
        field = plan.field(keys, device)
        samples = Samples.of(solid, field, self.steps * self.batch, self.seed, device)
        fit = Fit(samples, field, self.band, self.batch, self.rate, self.seed)
        pack = partial(stream.pack, plan, frame, keys)
        limit = (
            size - around if size else round(plan.numbers * self.weight_bits / 8) + len(pack([]))
        )
        layers = self._fitted(fit, plan, pack, limit, progress)
        final = [torch.from_numpy(layer.matrix()).to(device) for layer in layers]
        quality = {"iou": fit.overlap(final), "error": fit.error(final)}
        return Payload({}, {STREAM: pack(layers)}, quality)

    def integers(self, payload: Payload) -> list[Array]:
        data = payload.stream(STREAM)
        _, _, keys, layers = stream.unpack(data)
        steps = np.array([layer.steps for layer in layers])
        head = np.frombuffer(data[: stream.HEAD_BYTES], np.uint8)
        return [head, keys.cells, keys.radii, steps, *(layer.values for layer in layers)]

    def decode(self, payload: Payload) -> Mesh:
        """The zero level at `resolution`. FormatError for a damaged payload."""
        plan, frame, keys, layers = stream.unpack(payload.stream(STREAM))
        device = choose_device(self.device)
        field = plan.field(keys, device)
        matrices = [torch.from_numpy(layer.matrix()).to(device) for layer in layers]

        def distances(points: Array) -> Array:
            places = torch.from_numpy(points.astype(np.float32)).to(device)
            return plan.distances(field.values(places, matrices).double().cpu().numpy())

        vertices, triangles = surface(distances, self.resolution)
        points = frame.outward(vertices).astype(np.float64 if plan.double else np.float32)
        sizes = np.full(len(triangles), 3, np.int32)
        return Mesh(points, sizes, triangles.ravel())

    def _size(self) -> int | None:
        """Of the file, as wished."""
        if self.quality is None:
            return self.size
        return round(SMALLEST * (LARGEST / SMALLEST) ** ((self.quality - 1) / 99))

    def _plan(self, spheres: int, room: int, dtype: np.dtype[Any]) -> Plan:
        """The network, of a width that fits into `room` bytes unless another is set."""

        def of(width: int) -> Plan:
            latent, double = self.latent and spheres > 0, dtype != np.float32
            return Plan(
                self.layers, width, spheres, latent, self.activation, self.band, double
            )  # fmt: skip

        if self.width is not None:
            return of(self.width)
        bits = 8 * (room - 60 - 4 * self.layers - 2.6 * spheres)
        fitting = [w for w in range(4, MOST["width"]) if of(w).numbers * self.weight_bits <= bits]
        return of(fitting[-1] if fitting else 4)

    def _fitted(
        self, fit: Fit, plan: Plan, pack: Pack, limit: int, progress: Progress
    ) -> list[Quantized]:
        progress(0.02, "first tries")
        matrices = fit.started(plan.shapes(), plan.latent, self.activation, self.restarts)
        last = round(self.steps * ROUNDED_SHARE)
        first = self.steps - last
        turn = 0.05 + 0.9 * first / self.steps
        fit.run(matrices, first, lambda done, text: progress(0.05 + (turn - 0.05) * done, text))
        weights = fit.sensitivities(matrices)
        codes = _codes_within(matrices, weights, limit * 0.99, pack)
        fit.run_rounded(
            matrices, codes, last, lambda done, text: progress(turn + (0.95 - turn) * done, text)
        )
        for attempt in range(TRIES):
            layers = quantized(matrices, codes)
            if len(pack(layers)) <= limit:
                return layers
            codes = _codes_within(matrices, weights, limit * (0.985 - 0.01 * attempt), pack)
            fit.run_rounded(matrices, codes, TOUCH_UP, silent)
        return quantized(matrices, _codes_within(matrices, weights, limit, pack))


def _codes_within(
    matrices: list[Tensor], weights: list[tuple[float, float]], limit: float, pack: Pack
) -> list[tuple[int, int]]:
    """Codes of the finest steps with which `matrices` take at most `limit` bytes."""
    low, high = math.log(1e-5), math.log(1.0)
    for _ in range(14):
        middle = (low + high) / 2
        codes = step_codes(matrices, weights, math.exp(middle))
        if len(pack(quantized(matrices, codes))) <= limit:
            high = middle
        else:
            low = middle
    return step_codes(matrices, weights, math.exp(high))
