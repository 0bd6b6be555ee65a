"""TTHRESH (Ballester-Ripoll et al. 2020), a Tucker decomposition, at PSNRs: the program tthresh.

It is looked for on PATH, or where the variable PCC_TTHRESH says.
"""

from __future__ import annotations

import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from pcc_cli.codecs.base import Payload, Progress, silent
from pcc_cli.evaluation.case import Case
from pcc_cli.evaluation.choices import Choices
from pcc_cli.evaluation.peers import process
from pcc_cli.evaluation.peers.samples import STREAM, samples_of, usable
from pcc_cli.evaluation.subject import Peer, Setting
from pcc_cli.geometry import Shape, Volume

PSNRS = (25.0, 30.0, 35.0, 40.0, 45.0)


def settings(case: Case, choices: Choices) -> list[Setting]:
    if not usable(case, choices):
        return []
    return [Setting("tthresh", f"psnr {psnr:g}", Tthresh(psnr)) for psnr in PSNRS]


@dataclass(frozen=True)
class Tthresh(Peer):
    """psnr : dB over the range of the samples, which become float32"""

    psnr: float

    id: ClassVar[str] = "tthresh"
    accepts: ClassVar[tuple[type, ...]] = (Volume,)
    exact: ClassVar[bool] = True

    def config(self) -> dict[str, Any]:
        return asdict(self)

    def version(self) -> str:
        self._program()
        return "tthresh"

    def command(self) -> str:
        return f"tthresh -p {self.psnr:g}"

    def encode(self, shape: Shape, progress: Progress = silent) -> Payload:
        values = samples_of(shape)
        with tempfile.TemporaryDirectory(prefix="pcc-") as name:
            raw, packed = Path(name) / "v.raw", Path(name) / "v.tthresh"
            raw.write_bytes(values.astype("<f4").tobytes())
            sizes = [str(n) for n in reversed(values.shape)]
            source = ["-i", str(raw), "-t", "float", "-s", *sizes]
            process.run([self._program(), *source, "-p", f"{self.psnr:g}", "-c", str(packed)])
            return Payload({"shape": list(values.shape)}, {STREAM: packed.read_bytes()})

    def decode(self, payload: Payload) -> Shape:
        with tempfile.TemporaryDirectory(prefix="pcc-") as name:
            raw, packed = Path(name) / "v.raw", Path(name) / "v.tthresh"
            packed.write_bytes(payload.stream(STREAM))
            process.run([self._program(), "-c", str(packed), "-o", str(raw)])
            values = np.frombuffer(raw.read_bytes(), "<f4").reshape(payload.meta["shape"])
        return Volume(values)

    def _program(self) -> str:
        return process.find("tthresh", "PCC_TTHRESH =", "PCC_TTHRESH")
