"""G-PCC: MPEG's reference software TMC13, the program `tmc3`; geometry only.

Options are those of MPEG's common test conditions, with what was found better for lossless coding
(docs/metrics.md, "Peers"). Version 14 is 27 % weaker than version 23 on dense clouds, so that a
comparison means little without the version, which every row names.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, ClassVar

from pcc_cli import formats
from pcc_cli.codecs.base import Payload, Progress, silent
from pcc_cli.errors import InputError, PccError, UnsupportedError
from pcc_cli.evaluation.case import Case
from pcc_cli.evaluation.choices import Choices, on_grids
from pcc_cli.evaluation.peers import lasers, process
from pcc_cli.evaluation.subject import Peer, Setting
from pcc_cli.geometry import Array, PointCloud, Shape, Volume

OCTREE = {
    "trisoupNodeSizeLog2": "0",
    "neighbourAvailBoundaryLog2": "8",
    "intra_pred_max_node_size_log2": "6",
    "maxNumQtBtBeforeOt": "4",
    "minQtbtSizeLog2": "0",
    "planarModeIdcmUse": "0",
    "mergeDuplicatedPoints": "0",
    "positionQuantizationScale": "1",
    "inferredDirectCodingMode": "1",
    "planarEnabled": "0",
}
PLANAR = {**OCTREE, "planarEnabled": "1"}
PREDICTIVE = {"geomTreeType": "1", "mergeDuplicatedPoints": "0", "positionQuantizationScale": "1"}
# Rate label -> positionQuantizationScale, for clouds of 10 bits.
OCTREE_RATES = {
    "r06": "15/16",
    "r05": "7/8",
    "r04": "3/4",
    "r03": "1/2",
    "r02": "1/4",
    "r01": "1/8",
}
TRISOUP_RATES = {"r04": 2, "r03": 3, "r02": 4, "r01": 5}  # rate label -> trisoupNodeSizeLog2
# MPEG's conditions for frames of a spinning scanner.
CAT3_OCTREE = {
    "inferredDirectCodingMode": "3",
    "partitionMethod": "0",
    "maxNumQtBtBeforeOt": "6",
    "planarModeIdcmUse": "32",
}
ANGULAR_PREDICTIVE = {
    "predGeomAzimuthSortPrecision": "1024",
    "positionAzimuthScaleLog2": "12",
    "resRContextQphiThresholdPresentFlag": "1",
    "resRContextQphiThreshold": "0",
}
OCTREE_MODES = {"octree": OCTREE, "octree planar": PLANAR}
SCAN_MODES = {
    **OCTREE_MODES,
    **{f"predgeom sort {n}": {**PREDICTIVE, "predGeomSort": str(n)} for n in range(3)},
}


def settings(case: Case, choices: Choices) -> list[Setting]:
    """Octree and trisoup for dense clouds; octree, and the best of all modes, for scans."""
    if case.kind != "points":
        return []
    if not case.dense:
        ladder = choices.ladder(case)
        return on_grids("gpcc-octree", Gpcc(OCTREE_MODES), ladder) + _of_a_scan(case, ladder)
    found = [Setting("gpcc-octree", "lossless", Gpcc({"octree": OCTREE}))]
    if choices.lossless:
        return found
    found += [Setting("gpcc-octree", *rate) for rate in _octree_rates(choices.rates)]
    return found + [
        Setting("gpcc-trisoup", label, Gpcc({"trisoup": _trisoup(size)}))
        for label, size in TRISOUP_RATES.items()
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


def _trisoup(size: int) -> dict[str, str]:
    refined = "0" if size == 2 else "1"
    return {
        **OCTREE,
        "mergeDuplicatedPoints": "1",
        "inferredDirectCodingMode": "0",
        "trisoupNodeSizeLog2": str(size),
        "trisoupQuantizationBits": "2",
        "trisoupCentroidResidualEnabled": refined,
        "trisoupFaceVertexEnabled": refined,
        "sliceMaxPointsTrisoup": "1100000",
    }


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
        return f"tmc3 --mode=0 --disableAttributeCoding=1, {smallest}" + "; ".join(modes)

    def encode(self, shape: Shape, progress: Progress = silent) -> Payload:
        """One stream, named by the mode that made it smallest; the time is that of this mode."""
        if not isinstance(shape, PointCloud):
            raise InputError("G-PCC takes point clouds")
        best: tuple[str, bytes, process.Usage] | None = None
        failure: PccError = InputError("G-PCC needs a mode")
        with tempfile.TemporaryDirectory(prefix="pcc-") as name:
            folder = Path(name)
            (folder / "in.ply").write_bytes(_ply(shape.points))
            for mode, options in self.modes.items():
                try:
                    stream, usage = _encoded(folder, options)
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
                ]
            )
            return formats.read(decoded.read_bytes(), decoded.name)


def _ply(points: Array) -> bytes:
    """tmc3 does not know the type "double", and takes four bytes for a float of any type."""
    axes = "".join(f"property float64 {axis}\n" for axis in "xyz")
    start = (
        f"ply\nformat binary_little_endian 1.0\nelement vertex {len(points)}\n{axes}end_header\n"
    )
    return start.encode() + points.astype("<f8").tobytes()


def _encoded(folder: Path, options: dict[str, str]) -> tuple[bytes, process.Usage]:
    coded = folder / "coded.bin"
    with process.measured() as usage:
        process.run(
            [
                _program(),
                "--mode=0",
                "--disableAttributeCoding=1",
                *_options(options),
                f"--uncompressedDataPath={folder / 'in.ply'}",
                f"--compressedStreamPath={coded}",
            ]
        )
    return coded.read_bytes(), usage


def _options(options: dict[str, str]) -> Sequence[str]:
    return [f"--{name}={value}" for name, value in options.items()]


def _program() -> str:
    return process.find("tmc3", "--gpcc-bin", "PCC_TMC3")
