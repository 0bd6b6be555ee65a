"""LAZ: laspy with lazrs, the points in the order of the file, coordinates alone."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from pcc_cli import extras
from pcc_cli.codecs.base import Payload, Progress, silent
from pcc_cli.errors import InputError
from pcc_cli.evaluation.case import Case
from pcc_cli.evaluation.choices import Choices, on_grids
from pcc_cli.evaluation.subject import Peer, Setting
from pcc_cli.geometry import PointCloud, Shape

STREAM = "laz"


def settings(case: Case, choices: Choices) -> list[Setting]:
    """LAZ keeps integers; on coarser grids it gets fewer of them, as all lossless codecs do."""
    return on_grids("laz", Laz(), choices.ladder(case)) if case.kind == "points" else []


@dataclass(frozen=True)
class Laz(Peer):
    """Point format 0 of LAS 1.2, the smallest; its other fields are zero and cost little."""

    id: ClassVar[str] = "laz"
    accepts: ClassVar[tuple[type, ...]] = (PointCloud,)
    exact: ClassVar[bool] = True

    def config(self) -> dict[str, Any]:
        return {}

    def version(self) -> str:
        extras.load("lazrs", "lazrs")
        return ", ".join(extras.version_of(name, name) for name in ("laspy", "lazrs"))

    def command(self) -> str:
        return "laspy: LAS 1.2, point format 0, lazrs, file order"

    def encode(self, shape: Shape, progress: Progress = silent) -> Payload:
        laspy = extras.load("laspy", "laspy")
        if not isinstance(shape, PointCloud) or shape.points.max(initial=0) >= 1 << 31:
            raise InputError("LAZ takes clouds with coordinates below 2**31 steps")
        las = laspy.create(point_format=0, file_version="1.2")
        las.X, las.Y, las.Z = shape.points.astype(np.int32).T
        stream = io.BytesIO()
        las.write(stream, do_compress=True, laz_backend=laspy.LazBackend.Lazrs)
        return Payload({}, {STREAM: stream.getvalue()})

    def decode(self, payload: Payload) -> Shape:
        laspy = extras.load("laspy", "laspy")
        las = laspy.read(io.BytesIO(payload.stream(STREAM)), laz_backend=laspy.LazBackend.Lazrs)
        return PointCloud(np.stack([np.asarray(axis) for axis in (las.X, las.Y, las.Z)], axis=1))
