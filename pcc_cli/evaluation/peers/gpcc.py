"""G-PCC: MPEG's reference software TMC13, the program `tmc3`.

docs/metrics.md, "Peers", says which modes and options it has. Version 14 is 27 % weaker than
version 23 on dense clouds, so that a comparison means little without the version, which every row
names.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from pcc_cli import formats
from pcc_cli.codecs.base import Payload, Progress, silent
from pcc_cli.errors import InputError, PccError, UnsupportedError
from pcc_cli.evaluation.case import COLOURS, Case
from pcc_cli.evaluation.choices import Choices, on_grids
from pcc_cli.evaluation.peers import lasers, process
from pcc_cli.evaluation.peers.gpccoptions import (
    ANGULAR_PREDICTIVE,
    CAT3_OCTREE,
    COLOUR_MODES,
    OCTREE,
    OCTREE_MODES,
    OCTREE_RATES,
    PLANAR,
    PREDICTIVE,
    RAHT_QUANTIZERS,
    SCAN_MODES,
    TRISOUP_RATES,
    raht,
    trisoup,
)
from pcc_cli.evaluation.subject import Peer, Setting
from pcc_cli.geometry import PointCloud, Shape, Volume


def settings(case: Case, choices: Choices) -> list[Setting]:
    """Octree and trisoup for dense clouds; octree, and the best of all modes, for scans."""
    if case.kind != "points":
        return []
    if choices.attributes:
        return _with_colours(case, choices)
    if not case.dense:
        ladder = choices.ladder(case)
        return on_grids("gpcc-octree", Gpcc(OCTREE_MODES), ladder) + _of_a_scan(case, ladder)
    found = [Setting("gpcc-octree", "lossless", Gpcc({"octree": OCTREE}))]
    if choices.lossless:
        return found
    found += [Setting("gpcc-octree", *rate) for rate in _octree_rates(choices.rates)]
    return found + [
        Setting("gpcc-trisoup", label, Gpcc({"trisoup": trisoup(size)}))
        for label, size in TRISOUP_RATES.items()
    ]


def _with_colours(case: Case, choices: Choices) -> list[Setting]:
    """Lossless, or lossy colours at the quantizers of MPEG's conditions.

    UnsupportedError for clouds with other attributes than colours of 8 bits.
    """
    assert isinstance(case.shape, PointCloud)
    types = {name: column.dtype for name, column in case.shape.attributes.items()}
    if types != dict.fromkeys(COLOURS, np.dtype(np.uint8)):
        raise UnsupportedError("beside geometry it gets colours of 8 bits alone")
    if not choices.attribute_qualities:
        return [Setting("gpcc", "lossless", GpccColours(COLOUR_MODES))]
    return [
        Setting("gpcc-raht", f"qp {qp}", GpccColours({"octree, RAHT": raht(qp)}))
        for qp in RAHT_QUANTIZERS
    ]


def _of_a_scan(case: Case, ladder: tuple[Fraction, ...]) -> list[Setting]:
    """With the angular modes where the file shows which lasers made it."""
    assert not isinstance(case.source, Volume)
    scanner = lasers.find(case.source.points, case.steps[0])
    if len(set(case.steps)) > 1 or scanner is None:
        return on_grids("gpcc", Gpcc(SCAN_MODES), ladder)
    return [
        setting
        for factor in ladder
        for setting in on_grids(
            "gpcc", Gpcc({**SCAN_MODES, **_angular(scanner, case, factor)}), (factor,)
        )
    ]


def _angular(scanner: lasers.Lasers, case: Case, factor: Fraction) -> dict[str, dict[str, str]]:
    """Modes that predict points from the lasers; lengths in steps of the grid."""
    count = len(scanner.tangents)
    step = case.steps[0] * float(factor)
    table = {
        "angularEnabled": "1",
        "planarBufferDisabled": "1",
        "numLasers": str(count),
        "lasersTheta": ",".join(f"{tangent:.6f}" for tangent in scanner.tangents),
        "lasersZ": ",".join(f"{-height / step:.3f}" for height in scanner.heights),
        "lasersNumPhiPerTurn": ",".join([str(scanner.steps)] * count),
        "lidarHeadPosition": ",".join(str(round(-axis / factor)) for axis in case.corner),
    }
    octree = {**PLANAR, **table, **CAT3_OCTREE}
    speed = {"positionAzimuthSpeed": str(round((1 << 24) / scanner.steps))}
    predictive = {**PREDICTIVE, **table, **ANGULAR_PREDICTIVE, **speed}
    sorts = {f"predgeom angular sort {n}": {**predictive, "predGeomSort": n} for n in ("0", "2")}
    return {"octree angular": octree, **sorts}


def _octree_rates(factors: tuple[Fraction, ...]) -> list[tuple[str, Gpcc]]:
    scales = {f"x{factor}": 1 / factor for factor in factors if factor != 1}
    scales = scales or {label: Fraction(scale) for label, scale in OCTREE_RATES.items()}
    lossy = {**OCTREE, "mergeDuplicatedPoints": "1"}
    return [
        (label, Gpcc({"octree": {**lossy, "positionQuantizationScale": f"{float(scale):.12g}"}}))
        for label, scale in scales.items()
    ]


@dataclass(frozen=True)
class Gpcc(Peer):
    """modes : name -> option -> value; the smallest file of all modes counts."""

    modes: dict[str, dict[str, str]]

    id: ClassVar[str] = "gpcc"
    accepts: ClassVar[tuple[type, ...]] = (PointCloud,)
    exact: ClassVar[bool] = True

    def config(self) -> dict[str, Any]:
        return asdict(self)

    def version(self) -> str:
        told = process.run([_program(), "--help"], codes=(0, 1))  # 1 is what it ends with
        found = re.search(r"release-\S+", told)
        if found is None:
            raise UnsupportedError(f"{_program()} does not name its version: it is no tmc3")
        return f"TMC13 {found[0]}"

    def command(self) -> str:
        modes = [f"{name}: {' '.join(_options(mode))}" for name, mode in self.modes.items()]
        smallest = "the smallest of " if len(modes) > 1 else ""
        bare = "" if self.keeps_attributes else " --disableAttributeCoding=1"
        return f"tmc3 --mode=0{bare}, {smallest}" + "; ".join(modes)

    def encode(self, shape: Shape, progress: Progress = silent) -> Payload:
        """One stream, named by the mode that made it smallest; the time is that of this mode."""
        if not isinstance(shape, PointCloud):
            raise InputError("G-PCC takes point clouds")
        best: tuple[str, bytes, process.Usage] | None = None
        failure: PccError = InputError("G-PCC needs a mode")
        with tempfile.TemporaryDirectory(prefix="pcc-") as name:
            folder = Path(name)
            (folder / "in.ply").write_bytes(self._ply(shape))
            for mode, options in self.modes.items():
                try:
                    stream, usage = self._encoded(folder, options)
                except PccError as error:  # an angular mode does not take every scan
                    failure = error
                    continue
                if best is None or len(stream) < len(best[1]):
                    best = mode, stream, usage
        if best is None:
            raise failure
        process.charge(best[2])
        return Payload({}, {best[0]: best[1]})

    def decode(self, payload: Payload) -> Shape:
        (stream,) = payload.streams.values()
        with tempfile.TemporaryDirectory(prefix="pcc-") as name:
            coded, decoded = Path(name) / "coded.bin", Path(name) / "out.ply"
            coded.write_bytes(stream)
            process.run(
                [
                    _program(),
                    "--mode=1",
                    f"--compressedStreamPath={coded}",
                    f"--reconstructedDataPath={decoded}",
                    "--outputBinaryPly=1",
                    *(["--convertPlyColourspace=1"] if self.keeps_attributes else []),
                ]
            )
            return formats.read(decoded.read_bytes(), decoded.name)

    def _ply(self, shape: PointCloud) -> bytes:
        """tmc3 does not know the type "double", and takes four bytes for a float of any type."""
        colours = [shape.attributes[name] for name in COLOURS] if self.keeps_attributes else []
        axes = [f"property float64 {axis}" for axis in "xyz"]
        start = [
            "ply",
            "format binary_little_endian 1.0",
            f"element vertex {len(shape)}",
            *axes,
            *(f"property uchar {name}" for name in COLOURS[: len(colours)]),
            "end_header\n",
        ]
        parts = [np.ascontiguousarray(shape.points, "<f8").view(np.uint8).reshape(len(shape), 24)]
        parts += [column[:, None] for column in colours]
        return "\n".join(start).encode() + np.concatenate(parts, axis=1).tobytes()

    def _encoded(self, folder: Path, options: dict[str, str]) -> tuple[bytes, process.Usage]:
        coded = folder / "coded.bin"
        with process.measured() as usage:
            process.run(
                [
                    _program(),
                    "--mode=0",
                    *([] if self.keeps_attributes else ["--disableAttributeCoding=1"]),
                    *_options(options),
                    f"--uncompressedDataPath={folder / 'in.ply'}",
                    f"--compressedStreamPath={coded}",
                ]
            )
        return coded.read_bytes(), usage


@dataclass(frozen=True)
class GpccColours(Gpcc):
    """With red, green and blue of 8 bits."""

    keeps_attributes: ClassVar[bool] = True


def _options(options: dict[str, str]) -> Sequence[str]:
    return [f"--{name}={value}" for name, value in options.items()]


def _program() -> str:
    return process.find("tmc3", "--gpcc-bin", "PCC_TMC3")
