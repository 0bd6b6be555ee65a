"""TTHRESH (Ballester-Ripoll et al. 2020), a Tucker decomposition, at sizes: the program tthresh.

It knows PSNRs only: the highest is looked for whose file is small enough. The program is looked
for on PATH, or where the variable PCC_TTHRESH says.
"""

from __future__ import annotations

import math
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np

from pcc_cli.codecs.base import Payload, Progress, silent
from pcc_cli.evaluation.case import Case
from pcc_cli.evaluation.choices import Choices
from pcc_cli.evaluation.peers import process
from pcc_cli.evaluation.peers.samples import RATES, STREAM, samples_of, usable
from pcc_cli.evaluation.subject import Peer, Setting
from pcc_cli.geometry import Shape, Volume

LEAST, MOST, FIRST = 5.0, 150.0, 40.0  # dB that are asked for
_TRIES = 12
_CLOSE = 0.99  # part of the size that is near enough
_EDGE = 0.15  # part of what is left at whose ends no guess is believed
_SLOPE = 12.0  # dB for a size that is e times as large, about


def settings(case: Case, choices: Choices) -> list[Setting]:
    if not usable(case, choices):
        return []
    return [Setting("tthresh", f"bpp {rate:g}", Tthresh(rate)) for rate in RATES]


class _Try(NamedTuple):
    """The file at a PSNR, and what it took."""

    psnr: float
    data: bytes
    usage: process.Usage

    @property
    def size(self) -> int:
        return len(self.data)


@dataclass(frozen=True)
class Tthresh(Peer):
    """rate : bits a sample, at most; where the program makes none as small, its smallest file"""

    rate: float

    id: ClassVar[str] = "tthresh"
    accepts: ClassVar[tuple[type, ...]] = (Volume,)
    exact: ClassVar[bool] = True

    def config(self) -> dict[str, Any]:
        return asdict(self)

    def version(self) -> str:
        self._program()
        return "tthresh"

    def command(self) -> str:
        return f"tthresh -p PSNR, the highest for {self.rate:g} bits a sample"

    def encode(self, shape: Shape, progress: Progress = silent) -> Payload:
        values = samples_of(shape)
        most = int(self.rate * values.size / 8)
        with tempfile.TemporaryDirectory(prefix="pcc-") as name:
            (Path(name) / "v.raw").write_bytes(values.astype("<f4").tobytes())
            sizes = [str(n) for n in reversed(values.shape)]
            tried = [self._coded(Path(name), sizes, FIRST)]
            low, high = LEAST, MOST
            while len(tried) < _TRIES and not _CLOSE * most <= tried[-1].size <= most:
                last = tried[-1]
                low, high = (last.psnr, high) if last.size <= most else (low, last.psnr)
                guess = last.psnr + _SLOPE * math.log(most / last.size)
                edge = _EDGE * (high - low)
                psnr = guess if low + edge < guess < high - edge else (low + high) / 2
                tried.append(self._coded(Path(name), sizes, psnr))
        small = [one for one in tried if one.size <= most]
        best = (
            max(small, key=lambda one: one.size) if small else min(tried, key=lambda one: one.size)
        )
        process.charge(best.usage)  # as if the PSNR had been known
        return Payload({"shape": list(values.shape)}, {STREAM: best.data})

    def _coded(self, folder: Path, sizes: list[str], psnr: float) -> _Try:
        packed = folder / "v.tthresh"
        source = ["-i", str(folder / "v.raw"), "-t", "float", "-s", *sizes]
        with process.measured() as usage:
            process.run([self._program(), *source, "-p", f"{psnr:.3f}", "-c", str(packed)])
        return _Try(psnr, packed.read_bytes(), usage)

    def decode(self, payload: Payload) -> Shape:
        with tempfile.TemporaryDirectory(prefix="pcc-") as name:
            raw, packed = Path(name) / "v.raw", Path(name) / "v.tthresh"
            packed.write_bytes(payload.stream(STREAM))
            process.run([self._program(), "-c", str(packed), "-o", str(raw)])
            values = np.frombuffer(raw.read_bytes(), "<f4").reshape(payload.meta["shape"])
        return Volume(values)

    def _program(self) -> str:
        return process.find("tthresh", "PCC_TTHRESH =", "PCC_TTHRESH")
