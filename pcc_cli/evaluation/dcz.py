"""The codecs of pcc, as they are used: the payload is a .dcz file."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import Any, ClassVar, cast

from pcc_cli import __version__, api, codecs
from pcc_cli.codecs.base import Codec, Payload, Progress, silent
from pcc_cli.codecs.settings import of, parsed
from pcc_cli.errors import InputError
from pcc_cli.evaluation.case import Case
from pcc_cli.evaluation.choices import Choices, on_grids
from pcc_cli.evaluation.subject import Setting
from pcc_cli.geometry import Content, Mesh, MeshSet, PointCloud, Shape, Volume

FILE = "DCZ"
LEAST_FILE = 500  # bytes of a lossy volume; smaller rates are left out
MODEL_SETTING, EXACT_SETTING = "entropy_model", "exact_levels"


def settings(name: str, case: Case, choices: Choices) -> list[Setting]:
    """The codec called `name`: at its own rates if it has any, else lossless on every grid.

    With entropy models all of that for each of them, as "codec:model", and where latents carry all
    that they can. UnsupportedError when the codec takes no such file.
    """
    if not choices.entropy_models or MODEL_SETTING not in of(codecs.get(codecs.resolve(name))):
        return _settings(name, case, choices)
    found = []
    for model in choices.entropy_models:
        given = {EXACT_SETTING: 0, **choices.settings, MODEL_SETTING: model}
        chosen = replace(choices, settings=given)
        found += [
            replace(setting, codec=f"{setting.codec}:{model}")
            for setting in _settings(name, case, chosen)
        ]
    return found


def _settings(name: str, case: Case, choices: Choices) -> list[Setting]:
    codec = codecs.resolve(name)
    codecs.check_takes(codec, case.kind)
    found = codecs.get(codec)
    known = of(found)
    chosen = {k: v for k, v in parsed(found, choices.settings).items() if k in known}
    whole = Dcz(codec, chosen, choices.device)
    if choices.attribute_qualities:
        return [
            Setting(codec, f"colours {quality:g}", Dcz(codec, chosen, choices.device, quality))
            for quality in choices.attribute_qualities
        ]
    asked = {k: v for k, v in chosen.items() if k in set().union(*found.rates)}
    if asked and not whole.lossless:
        return [] if choices.lossless else [Setting(codec, _label(asked), whole)]
    if not found.rates or choices.rates or set().union(*found.rates) & set(chosen):
        return on_grids(codec, whole, choices.ladder(case))
    lossless = [Setting(codec, "lossless", whole)] if whole.lossless else []
    if choices.lossless or choices.attributes:
        return lossless
    return lossless + [
        Setting(codec, _label(rate), Dcz(codec, {**chosen, **rate}, choices.device))
        for rate in found.rates
        if case.kind != "volume" or len(case.shape) * rate.get("bpp", 8) / 8 >= LEAST_FILE
    ]


def _label(rate: dict[str, Any]) -> str:
    """A rate as rows call it: "quality 40"."""
    return ", ".join(f"{name} {value:g}" for name, value in rate.items())


@dataclass(frozen=True)
class Dcz:
    """What `pcc compress --codec CODEC` does.

    codec : id; settings : of the codec, where they are not its defaults
    where : "auto", "cpu" or "cuda"
    attribute_quality : of colours; None: nothing of them is lost
    """

    codec: str
    settings: dict[str, Any] = field(default_factory=dict)
    where: str = "auto"
    attribute_quality: float | None = None

    id: ClassVar[str] = "dcz"
    accepts: ClassVar[tuple[type, ...]] = (PointCloud, Mesh, Volume, MeshSet)
    exact: ClassVar[bool] = True
    rates: ClassVar[tuple[dict[str, Any], ...]] = ()
    keeps_attributes: ClassVar[bool] = True

    def config(self) -> dict[str, Any]:
        return asdict(self)

    def version(self) -> str:
        model = getattr(self._codec(), "model", None)
        if model is None:
            return __version__
        # Imported here: it imports torch, which the codec with a model has done before.
        from pcc_cli import weights

        return f"{__version__}, {model} {weights.load(model).sha256[:12]}"

    def command(self) -> str:
        known = of(codecs.get(self.codec))
        chosen = [f" {known[name].option} {value}" for name, value in self.settings.items()]
        if self.attribute_quality is not None:
            chosen.append(f" --attribute-quality {self.attribute_quality:g}")
        return f"pcc compress --codec {self.codec}{''.join(chosen)}"

    @property
    def lossless(self) -> bool:
        return self._codec().lossless and self.attribute_quality is None

    def device(self) -> str:
        return codecs.device_of(self._codec())

    def sections(self, payload: Payload) -> dict[str, int]:
        about = api.inspect(payload.stream(FILE))
        parts = {"geometry": about["geometry_bytes"], **about["attribute_bytes"]}
        return {**parts, "container": about["bytes"] - sum(parts.values())}

    def encode(self, shape: Shape, progress: Progress = silent) -> Payload:
        if not isinstance(shape, Content):
            raise InputError("a .dcz file holds a point cloud, a mesh or a volume")
        choices = api.Options(
            codec=self.codec,
            settings=self.settings,
            device=self.where,
            attribute_quality=self.attribute_quality,
        )
        return Payload({}, {FILE: api.compress(shape, choices)})

    def decode(self, payload: Payload) -> Shape:
        return cast("Shape", api.decompress(payload.stream(FILE), self.where))

    def _codec(self) -> Codec:
        return codecs.create(codecs.resolve(self.codec), self.settings, self.where)
