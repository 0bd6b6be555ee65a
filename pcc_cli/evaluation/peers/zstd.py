"""Zstandard over the plain coordinates: what a general compressor makes of a cloud or a mesh."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np
import zstandard

from pcc_cli import formats
from pcc_cli.codecs.base import Payload, Progress, silent
from pcc_cli.errors import InputError
from pcc_cli.evaluation.case import Case
from pcc_cli.evaluation.choices import Choices, on_grids
from pcc_cli.evaluation.subject import Peer, Setting
from pcc_cli.geometry import Mesh, PointCloud, Shape

STREAM = "ply"


def settings(case: Case, choices: Choices) -> list[Setting]:
    if case.kind == "volume":
        return []
    return on_grids("zstd", Zstd(), choices.ladder(case))


@dataclass(frozen=True)
class Zstd(Peer):
    """level : 1 to 22; as `zstd --ultra` of a binary PLY file with the smallest integers."""

    level: int = 19

    id: ClassVar[str] = "zstd"
    accepts: ClassVar[tuple[type, ...]] = (PointCloud, Mesh)
    exact: ClassVar[bool] = True
    keeps_attributes: ClassVar[bool] = True

    def config(self) -> dict[str, Any]:
        return asdict(self)

    def version(self) -> str:
        return "zstd " + ".".join(map(str, zstandard.ZSTD_VERSION))

    def command(self) -> str:
        return f"zstd -{self.level} of a binary PLY file"

    def encode(self, shape: Shape, progress: Progress = silent) -> Payload:
        if isinstance(shape, PointCloud):
            largest = int(shape.points.max(initial=0))
            dtype = np.uint16 if largest < 1 << 16 else np.uint32
            shape = PointCloud(shape.points.astype(dtype), shape.attributes)
        elif not isinstance(shape, Mesh):
            raise InputError("a PLY file holds a cloud or a mesh")
        packed = zstandard.ZstdCompressor(self.level).compress(formats.write(".ply", shape))
        return Payload({}, {STREAM: packed})

    def decode(self, payload: Payload) -> Shape:
        data = zstandard.ZstdDecompressor().decompress(payload.stream(STREAM))
        return formats.read(data, "decoded.ply")
