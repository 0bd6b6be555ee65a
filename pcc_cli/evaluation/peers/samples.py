"""Coders of volumes as subjects: their rates, and volumes of three axes of finite samples."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np

from pcc_cli.codecs.base import Payload, Progress, silent
from pcc_cli.codecs.neurcomp.foreign import ArrayCodec, Hdf5Filter, Zfp
from pcc_cli.errors import InputError, UnsupportedError
from pcc_cli.evaluation.case import Case
from pcc_cli.evaluation.choices import Choices
from pcc_cli.evaluation.subject import Peer, Setting
from pcc_cli.geometry import Shape, Volume

STREAM = "volume"
RATES = (0.032, 0.064, 0.16, 0.32, 0.64)  # bits a sample
ERRORS = (0.2, 0.1, 0.05, 0.02, 0.01, 0.005)  # parts of the range of the samples


@dataclass(frozen=True)
class Samples(Peer):
    """A classical coder of volumes.

    name : "zfp", "SZ3" or "Sperr"
    option, value : its setting, as of `volumes.Hdf5Filter`; of zfp the tolerance
    """

    name: str
    option: str
    value: float

    id: ClassVar[str] = "samples"
    accepts: ClassVar[tuple[type, ...]] = (Volume,)
    exact: ClassVar[bool] = True

    def config(self) -> dict[str, Any]:
        return asdict(self)

    def version(self) -> str:
        return self._coder().version()

    def command(self) -> str:
        return self._coder().command()

    def encode(self, shape: Shape, progress: Progress = silent) -> Payload:
        return Payload({}, {STREAM: self._coder().encode(samples_of(shape))})

    def decode(self, payload: Payload) -> Shape:
        return Volume(np.ascontiguousarray(self._coder().decode(payload.stream(STREAM))))

    def _coder(self) -> ArrayCodec:
        if self.name == "zfp":
            return Zfp(self.value)
        return Hdf5Filter(self.name, self.option, self.value)


def samples_of(shape: Shape) -> np.ndarray[Any, Any]:
    """(z, y, x) samples; InputError for another shape."""
    if not isinstance(shape, Volume) or shape.axes != "zyx":
        raise InputError("it codes volumes of one time step and one component")
    return shape.values


def usable(case: Case, choices: Choices) -> bool:
    """Whether a coder of samples has rows for a file; UnsupportedError where it cannot have any."""
    if not isinstance(case.shape, Volume) or choices.lossless:
        return False
    if case.shape.axes != "zyx" or not np.isfinite(case.shape.values).all():
        raise UnsupportedError("it codes volumes of one component, one step, and finite samples")
    return case.peak > 0


def by_error(name: str, codec: str, case: Case, choices: Choices) -> list[Setting]:
    """Rows at bounds of the error that are parts of the range."""
    if not usable(case, choices):
        return []
    found = [(part, Samples(codec, "absolute", part * case.peak)) for part in ERRORS]
    return [Setting(name, f"error {part:g}", subject) for part, subject in found]


def by_rate(name: str, codec: str, case: Case, choices: Choices) -> list[Setting]:
    """Rows at bits a sample."""
    if not usable(case, choices):
        return []
    return [Setting(name, f"bpp {rate:g}", Samples(codec, "rate", rate)) for rate in RATES]
