"""A set of meshes as features and one shared network: `necgs.1`.

Encoding makes each mesh a TSDF-Def tensor and fits one decoder and small features of each mesh to
all tensors; decoding evaluates the network near the surface and makes triangles of that. After Ren
et al. 2025, "NeCGS: Neural Compression for 3D Geometry Sets". docs/format-necgs.md specifies the
streams.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import numpy as np
import torch

from pcc_cli.codecs.base import Payload, Progress, setting, silent
from pcc_cli.codecs.necgs import restore, stream
from pcc_cli.codecs.necgs.clock import Clock
from pcc_cli.codecs.necgs.example import Example
from pcc_cli.codecs.necgs.fit import BATCH, Fit
from pcc_cli.codecs.necgs.model import NecgsModel, load_model
from pcc_cli.codecs.necgs.network import TAPS, Plan
from pcc_cli.codecs.necgs.stream import Network, Place
from pcc_cli.codecs.necgs.subject import Subject, subjects
from pcc_cli.entropy.steps import step_of
from pcc_cli.errors import InputError
from pcc_cli.geometry import Array, Mesh, MeshSet
from pcc_cli.nn.device import DEVICES, choose_device

NETWORK, MESH = "NET", "MESH"  # streams
USUAL_QUALITY = 50.0
NARROW, WIDE = 4, 64  # channels behind the first stage at quality 1 and 100
SHARES = 1.0, 1.0, 0.75, 0.5, 0.375, 0.375  # of these channels behind each stage
LEAST = 4  # channels
EPOCHS = 1000  # at effort 5; half or twice as many for each step of effort
MORE_EPOCHS = 250  # likewise, of a mesh that is added
DEFORM_STEPS = 100  # at effort 5
FINENESS = 8.0  # steps of a weight in the deviation of its matrix
MODEL_FINENESS = 5.0  # likewise, where weights are coded to a model
PULL, MANY = 0.2, 32  # towards the model at the usual quality, of sets of so many meshes or more
SIZED_QUALITY = 60.0  # from which steps are made coarser, where a size is asked for
NONE = "none"  # no model
BITS = 5.6  # of a number of the network, where a size is asked for
MESH_BYTES = 480  # of a mesh, likewise
LEAST_BYTES, LEAST_BITS = 150, 2.0  # where less is asked, nothing would come of it
LEAST_KNOWN_BITS = 0.06  # likewise, of a number that is coded to a model
SETTLED = 0.7  # part of the fit after which the size is made right
TOUCH_UP = 0.03  # of the fit, after coarser steps
PREPARED = 0.1  # of the progress, when tensors are made


@dataclass(frozen=True)
class Necgs:
    """A set of meshes; sizes by quality, ratio, size or the width of the network."""

    id: ClassVar[str] = "necgs.1"
    accepts: ClassVar[tuple[type, ...]] = (MeshSet,)
    exact: ClassVar[bool] = False
    lossless: ClassVar[bool] = False
    shared: ClassVar[tuple[str, ...]] = (NETWORK,)
    rates: ClassVar[tuple[dict[str, Any], ...]] = (
        {"quality": 30.0}, {"quality": 50.0}, {"quality": 70.0},
    )  # fmt: skip

    quality: float | None = setting(None, "1 to 100: how fine the network; 50 if no size is asked")
    ratio: float | None = setting(None, "of the raw numbers of all meshes to the file")
    size: int | None = setting(None, "of the file in bytes")
    grid: int = setting(64, "K, nodes along an axis: 32, 64, 128 or 256, or 16 for a try")
    width: int | None = setting(None, "channels behind the first stage; by default by the size")
    taps: int = setting(8, "of a convolution: 8, or 27 as in the paper")
    model: str = setting("necgs-1", "id of the trained network to start from, none without one")
    effort: int = setting(5, "1 to 9: each step fits twice as long")
    time_limit: float | None = setting(None, "seconds that the fit takes at most")
    shifts: bool = setting(True, "nodes are shifted (Def), not only distances fitted (TSDF)")
    checkpoint: str | None = setting(None, "file to keep the fit in; it goes on if that is there")
    seed: int = setting(0, "of all random numbers")
    device: str = setting("auto", "where it is computed")

    def __post_init__(self) -> None:
        if self.grid not in stream.SIDES:
            raise InputError(f"necgs: grid is 16, 32, 64, 128 or 256, not {self.grid}")
        if self.taps not in TAPS or self.device not in DEVICES:
            raise InputError("necgs: taps is 8 or 27, device auto, cpu or cuda")
        if not 1 <= self.effort <= 9:
            raise InputError(f"necgs: effort is 1 to 9, not {self.effort}")
        if self.width is not None and not 1 <= self.width <= stream.MOST_CHANNELS:
            raise InputError(f"necgs: width is 1 to {stream.MOST_CHANNELS}, not {self.width}")
        if self.quality is not None and not 1 <= self.quality <= 100:
            raise InputError(f"necgs: a quality is 1 to 100, not {self.quality:g}")
        if sum(wish is not None for wish in (self.quality, self.ratio, self.size)) > 1:
            raise InputError("choose one of --quality, --ratio and --size")
        for name in ("ratio", "size", "time_limit"):
            if getattr(self, name) is not None and not getattr(self, name) > 0:
                raise InputError(f"necgs: {name} must be above 0, not {getattr(self, name)}")

    def config(self) -> dict[str, Any]:
        return {"device": self.device}

    def encode_set(
        self, meshes: MeshSet, around: int, progress: Progress = silent
    ) -> list[Payload]:
        """A payload for each mesh, all with the same network.

        around : bytes of the file beside the streams. InputError for a mesh without a surface.
        """
        chosen = subjects(meshes, self.grid)
        limit = self._limit(meshes)
        room = None if limit is None else limit - around
        model = self._start()
        plan = self._plan(len(chosen), room, model)
        tensors = self._tensors(chosen, progress)
        device = choose_device(self.device)
        examples = [
            Example.of(one.field, values, device)
            for one, values in zip(chosen, tensors, strict=True)
        ]
        fineness = FINENESS if model is None else MODEL_FINENESS
        pull = self._pull(len(chosen))
        fit = Fit(plan, examples, fineness, self.seed, device, model=model, pull=pull)
        self._fitted(fit, chosen, room, progress)
        return self._payloads(fit.network(), chosen, fit.rounded_features(), device)

    def encode_more(self, mesh: Mesh, name: str, known: Payload, progress: Progress) -> Payload:
        """The payload of a mesh that joins the set of `known`, whose network stays as it is."""
        network = stream.unpack_network(known.stream(NETWORK))
        plan = network.plan
        there, _ = stream.unpack_mesh(network, known.stream(MESH))
        chosen = subjects(MeshSet({name: mesh}), plan.side, there.frame.radius)
        device = choose_device(self.device)
        tensors = self._tensors(chosen, progress)
        weights = restore.weights_of(network, device)
        fit = Fit(plan, [Example.of(chosen[0].field, tensors[0], device)], FINENESS, self.seed,
                  device, weights)  # fmt: skip
        fit.feature_code = network.feature_code
        watch = Clock(progress, PREPARED, 1.0).watch
        fit.run(0.0, 1.0, self._steps(1, MORE_EPOCHS), self.time_limit, watch)
        return self._payloads(network, chosen, fit.rounded_features(), device)[0]

    def integers(self, payload: Payload) -> list[Array]:
        network = stream.unpack_network(payload.stream(NETWORK))
        data = payload.stream(MESH)
        _, features = stream.unpack_mesh(network, data)
        return [*network.integers(), stream.head_of(data), features]

    def decode(self, payload: Payload) -> Mesh:
        """The mesh of `payload`. FormatError for a damaged payload."""
        network = stream.unpack_network(payload.stream(NETWORK))
        place, features = stream.unpack_mesh(network, payload.stream(MESH))
        return _mesh(network, place, features, choose_device(self.device))

    def _tensors(self, chosen: list[Subject], progress: Progress) -> list[Array]:
        """The TSDF-Def of each mesh."""
        steps = max(round(DEFORM_STEPS * 2 ** ((self.effort - 5) / 2)), 10)
        found = []
        for number, subject in enumerate(chosen):
            progress(PREPARED * number / len(chosen), f"tensor of {subject.name}")
            found.append(subject.tensor(steps, self.shifts, self.seed))
        return found

    def _steps(self, meshes: int, epochs: int = EPOCHS) -> int:
        return max(round(epochs * 2.0 ** (self.effort - 5)) * -(-meshes // BATCH), 200)

    def _fitted(
        self, fit: Fit, chosen: list[Subject], room: int | None, progress: Progress
    ) -> None:
        """Fits until the end, with the steps coarse enough for `room` bytes."""
        clock = Clock(progress, PREPARED, 0.98, fit, self.checkpoint)
        clock.go_on()
        run = partial(fit.run, steps=self._steps(len(chosen)), seconds=self.time_limit)
        run(clock.done, SETTLED, watch=clock.watch)
        while room is not None and _bytes(fit, chosen) > room and fit.coarsen():
            pass
        run(max(clock.done, SETTLED), 1.0, watch=clock.watch)
        while room is not None and _bytes(fit, chosen) > room and fit.coarsen():
            run(1.0 - TOUCH_UP, 1.0, watch=clock.watch)

    def _payloads(
        self, network: Network, chosen: list[Subject], features: Array, device: torch.device
    ) -> list[Payload]:
        found = []
        shared = stream.pack_network(network)
        for subject, rows in zip(chosen, features, strict=True):
            mesh = _mesh(network, subject.place, rows, device)
            error = subject.error(mesh)
            streams = {NETWORK: shared, MESH: stream.pack_mesh(network, subject.place, rows)}
            quality = {"error": error}
            found.append(Payload({"error": float(f"{error:.3g}")}, streams, quality, mesh))
        return found

    @property
    def _sized(self) -> bool:
        return self.ratio is not None or self.size is not None

    def _limit(self, meshes: MeshSet) -> int | None:
        """Of the file, in bytes."""
        if self.ratio is not None:
            return int(meshes.raw_bytes / self.ratio)
        return self.size

    def _start(self) -> NecgsModel | None:
        """The model from which the network starts, if one of its shape is asked for."""
        if self.model == NONE or self.width is not None:
            return None
        model = load_model(self.model, None)
        return model if model.plan.taps == self.taps else None

    def _pull(self, meshes: int) -> float:
        """How strongly the network is held to its model: more where few meshes pay for it."""
        quality = SIZED_QUALITY if self._sized else self.quality or USUAL_QUALITY
        shared = max(MANY / meshes, 1.0) ** 0.5
        return PULL * shared * 2.0 ** ((USUAL_QUALITY - quality) / 25)

    def _plan(self, meshes: int, room: int | None, model: NecgsModel | None) -> Plan:
        """The network: the model's, as wide as set, as fits into `room` bytes, or by quality."""
        if model is not None:
            known, usual = model.plan.channels, self._of_width(model.plan.channels[0]).channels
            plan = Plan(self.grid, (*known[: len(usual)], *usual[len(known) :]), self.taps)
            _require(room, meshes, plan.numbers * LEAST_KNOWN_BITS)
            return plan
        if self.width is not None:
            return self._of_width(self.width)
        if room is None:
            quality = USUAL_QUALITY if self.quality is None else self.quality
            return self._of_width(round(NARROW * (WIDE / NARROW) ** ((quality - 1) / 99)))
        _require(room, meshes, self._of_width(LEAST).numbers * LEAST_BITS)
        bits = 8 * (room - meshes * MESH_BYTES)
        widths = range(LEAST, stream.MOST_CHANNELS + 1)
        fitting = [w for w in widths if self._of_width(w).numbers * BITS <= bits]
        return self._of_width(fitting[-1] if fitting else LEAST)

    def _of_width(self, width: int) -> Plan:
        stages = self.grid.bit_length() - 3
        channels = [max(round(width * share), min(LEAST, width)) for share in SHARES[:stages]]
        return Plan(self.grid, tuple(channels), self.taps)


def _require(room: int | None, meshes: int, bits: float) -> None:
    """InputError where `room` has no place for so many meshes and a network of `bits`."""
    missing = 0 if room is None else meshes * LEAST_BYTES + bits / 8 - room
    if missing > 0:
        raise InputError(
            f"necgs: {meshes} meshes need {math.ceil(missing):,} bytes more than was asked"
        )


def _bytes(fit: Fit, chosen: list[Subject]) -> int:
    """Of the streams, as the fit is now."""
    network = fit.network()
    meshes = zip(chosen, fit.rounded_features(), strict=True)
    sizes = (len(stream.pack_mesh(network, one.place, rows)) for one, rows in meshes)
    return len(stream.pack_network(network)) + sum(sizes)


def _mesh(network: Network, place: Place, features: Array, device: torch.device) -> Mesh:
    rows = torch.from_numpy((features * step_of(network.feature_code)).astype(np.float32))
    found, triangles = restore.restored(
        network.plan, restore.weights_of(network, device), rows.to(device)
    )
    points = restore.outward(place.frame, found, place.double)
    return Mesh(points, np.full(len(triangles), 3, np.int32), triangles.ravel())
