"""The codecs of pcc, as they are used: the payload is a .dcz file."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from pcc_cli import __version__, api, codecs
from pcc_cli.codecs.base import Codec, Payload
from pcc_cli.errors import InputError
from pcc_cli.evaluation.case import Case
from pcc_cli.evaluation.choices import Choices, on_grids
from pcc_cli.evaluation.subject import Setting
from pcc_cli.geometry import Mesh, PointCloud, Shape

FILE = "DCZ"


def settings(name: str, case: Case, choices: Choices) -> list[Setting]:
    """The codec called `name` on every grid. UnsupportedError when it takes no such file."""
    codec = codecs.resolve(name)
    codecs.check_takes(codec, case.kind)
    return on_grids(codec, Dcz(codec, choices.model, choices.device), choices.ladder(case))


@dataclass(frozen=True)
class Dcz:
    """What `pcc compress --codec CODEC` does.

    codec : id; model : trained model, None for the codec's default
    where : "auto", "cpu" or "cuda"
    """

    codec: str
    model: str | None = None
    where: str = "auto"

    id: ClassVar[str] = "dcz"
    accepts: ClassVar[tuple[type, ...]] = (PointCloud, Mesh)
    exact: ClassVar[bool] = True
    keeps_attributes: ClassVar[bool] = True

    def config(self) -> dict[str, Any]:
        return asdict(self)

    def version(self) -> str:
        model = self._codec().config().get("model")
        if model is None:
            return __version__
        # Imported here: it imports torch, which the codec with a model has done before.
        from pcc_cli import weights

        return f"{__version__}, {model} {weights.load(model).sha256[:12]}"

    def command(self) -> str:
        model = f" --model {self.model}" if self.model else ""
        return f"pcc compress --codec {self.codec}{model}"

    def device(self) -> str:
        return codecs.device_of(self._codec())

    def sections(self, payload: Payload) -> dict[str, int]:
        about = api.inspect(payload.stream(FILE))
        parts = {"geometry": about["geometry_bytes"], **about["attribute_bytes"]}
        return {**parts, "container": about["bytes"] - sum(parts.values())}

    def encode(self, shape: Shape) -> Payload:
        if not isinstance(shape, PointCloud | Mesh):
            raise InputError("a .dcz file holds a point cloud or a mesh")
        choices = api.Options(codec=self.codec, model=self.model, device=self.where)
        return Payload({}, {FILE: api.compress(shape, choices)})

    def decode(self, payload: Payload) -> Shape:
        return api.decompress(payload.stream(FILE), self.where)

    def _codec(self) -> Codec:
        config = {} if self.model is None else {"model": self.model}
        return codecs.create(codecs.resolve(self.codec), config, self.where)
