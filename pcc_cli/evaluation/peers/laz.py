"""LAZ: laspy with lazrs; the points in the order of the file, or in that of a decoded .dcz file."""

from __future__ import annotations

import io
import struct
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np

from pcc_cli import extras, formats
from pcc_cli.codecs.base import Payload, Progress, silent
from pcc_cli.errors import InputError, UnsupportedError
from pcc_cli.evaluation.case import Case
from pcc_cli.evaluation.choices import Choices, on_grids
from pcc_cli.evaluation.subject import Peer, Setting
from pcc_cli.formats import lasfile
from pcc_cli.formats.lasfile import Parts
from pcc_cli.geometry import PointCloud, Shape, Volume
from pcc_cli.tree.morton import morton_order

STREAM = "laz"
_SCALES_AT = 131  # bytes into the header: scales, then offsets
_EXTRA_BYTES = ("LASF_Spec", 4)


def settings(case: Case, choices: Choices) -> list[Setting]:
    """LAZ keeps integers; on coarser grids it gets fewer of them, as all lossless codecs do.

    With attributes once more in the order in which pcc gives points back.
    """
    if case.kind != "points":
        return []
    if choices.attributes:
        orders = {"laz": False, "laz-morton": True}
        header, records = _layout(case)
        return [
            Setting(name, "lossless", LazWhole(header, records, morton))
            for name, morton in orders.items()
        ]
    return on_grids("laz", Laz(), choices.ladder(case))


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


def _layout(case: Case) -> tuple[str, str]:
    """The header of a LAS file, on a grid of whole numbers, and its records on extra bytes, as
    hexadecimal digits. UnsupportedError for other files."""
    assert not isinstance(case.source, Volume)
    source = case.source.source
    if source.get("format") != "las":
        raise UnsupportedError("attributes of LAS and LAZ files alone")
    header = bytearray(source["header"])
    struct.pack_into("<6d", header, _SCALES_AT, 1, 1, 1, 0, 0, 0)
    parts = Parts(bytes(header), source.get("vlrs", b""), b"", b"")
    extra = [r.raw for r in lasfile.records_of(parts) if (r.user, r.id) == _EXTRA_BYTES]
    return header.hex(), b"".join(extra).hex()


@dataclass(frozen=True)
class LazWhole(Laz):
    """With every attribute of a LAS file, in its version and point format.

    header, records : of `_layout`
    morton : in Morton order, in which pcc gives points back unless it is to keep theirs
    """

    header: str
    records: str
    morton: bool = False

    keeps_attributes: ClassVar[bool] = True

    def config(self) -> dict[str, Any]:
        return asdict(self)

    def command(self) -> str:
        order = "Morton order" if self.morton else "file order"
        return f"laspy: version and point format of the file, without its records, lazrs, {order}"

    def encode(self, shape: Shape, progress: Progress = silent) -> Payload:
        if not isinstance(shape, PointCloud):
            raise InputError("LAZ takes clouds")
        order = morton_order(shape.points) if self.morton else slice(None)
        attributes = {name: column[order] for name, column in shape.attributes.items()}
        source = {
            "format": "las",
            "header": bytes.fromhex(self.header),
            "vlrs": bytes.fromhex(self.records),
        }
        whole = PointCloud(shape.points[order].astype(np.float64), attributes, source)
        return Payload({}, {STREAM: formats.write(".laz", whole)})

    def decode(self, payload: Payload) -> Shape:
        return formats.read(payload.stream(STREAM), "decoded.laz")
