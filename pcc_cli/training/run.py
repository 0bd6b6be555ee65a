"""A training run: a folder with its settings, its training set, its state and its log.

settings.json             everything that defines the run; --resume reads it again
train.pack                the training set, made once
checkpoint.safetensors, log.csv       of `training.loop`
model/                    what `models/` takes in the end: see `training.export`
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from importlib import import_module
from pathlib import Path
from typing import Any

import torch

from pcc_cli.errors import InputError, OutputError, UnsupportedError
from pcc_cli.nn.device import choose_device
from pcc_cli.parallel.distributed import join
from pcc_cli.training import loop
from pcc_cli.training.export import MODEL, card, export_model
from pcc_cli.training.recipes.base import Recipe

SETTINGS = "settings.json"
PACK, DEV_PACK = "train.pack", "dev.pack"
# codec id -> "module:RECIPE", imported when it is asked for.
RECIPES = {
    "occupancy.1": "pcc_cli.training.recipes.occupancy:RECIPE",
    "deepcompress.1": "pcc_cli.training.recipes.deepcompress:RECIPE",
    "necgs.1": "pcc_cli.training.recipes.necgs:RECIPE",
}
_AT_LEAST_ONE = {"samples", "nodes", "steps", "batch"}  # of the settings; others may be 0

Packed = Callable[[int, int], None]  # training samples that are made, and how many there will be
Stepped = Callable[[loop.Progress, dict[str, float]], None]


@dataclass(frozen=True)
class DataConfig:
    """The training set: random clouds of all kinds, or with a resolution, meshes on one grid."""

    samples: int = 450
    seed: int = 0
    resolution: int = 0  # voxels along a mesh, 0: random ones; clouds keep their grid
    block_size: int = 0  # with a resolution: voxels along the blocks that are cut; 0: none are
    min_points: int = 0  # with a resolution: blocks with fewer are left out


def recipe_of(codec: str) -> Recipe:
    """How the codec with the id `codec` is trained; UnsupportedError when it is not."""
    if codec not in RECIPES:
        raise UnsupportedError(f"codec '{codec}' is not trained; choose {', '.join(RECIPES)}")
    module, _, name = RECIPES[codec].partition(":")
    found: Recipe = getattr(import_module(module), name)
    return found


@dataclass(frozen=True)
class Settings:
    """What defines a run; the sections of a configuration file have the names of its members.

    recipe, network : of the types that the codec's recipe names; None: their defaults
    """

    codec: str = "occupancy.1"
    data: DataConfig = field(default_factory=DataConfig)
    recipe: Any = None
    network: Any = None
    train: loop.TrainConfig = field(default_factory=loop.TrainConfig)

    def __post_init__(self) -> None:
        recipe = recipe_of(self.codec)
        object.__setattr__(self, "recipe", self.recipe or recipe.settings())
        object.__setattr__(self, "network", self.network or recipe.network())

    def updated(self, sections: Mapping[str, Any], where: str) -> Settings:
        """These settings with the values of `sections`; InputError, naming `where`, for others.

        With another codec, recipe and network begin with the defaults of that one.
        """
        codec = sections.get("codec", self.codec)
        base = self if codec == self.codec else Settings(codec, self.data, train=self.train)
        known = {part.name: getattr(base, part.name) for part in fields(base)}
        changed = {}
        for name, values in sections.items():
            if name not in known:
                raise InputError(f"{where}: unknown section [{name}]; known: {', '.join(known)}")
            if name != "codec":
                changed[name] = _merged(known[name], values, where)
        return replace(base, **changed)


def _merged(section: Any, values: Any, where: str) -> Any:
    defaults = {part.name: getattr(section, part.name) for part in fields(section)}
    if not isinstance(values, Mapping) or set(values) - set(defaults):
        raise InputError(f"{where}: a section of these settings may hold {', '.join(defaults)}")
    chosen = {name: _checked(name, value, defaults[name], where) for name, value in values.items()}
    return replace(section, **chosen)


def _checked(name: str, value: Any, like: Any, where: str) -> Any:
    """`value` as the setting `name`, which has been `like` so far."""
    if isinstance(like, tuple):
        if not isinstance(value, list | tuple) or not value:
            raise InputError(f"{where}: '{name}' must be a list")
        return tuple(_checked(name, entry, like[0], where) for entry in value)
    wanted = (int, float) if type(like) is float else type(like)
    if not isinstance(value, wanted) or (isinstance(value, bool) and type(like) is not bool):
        raise InputError(f"{where}: '{name}' must be of type {type(like).__name__}")
    least = 1 if name in _AT_LEAST_ONE else 0
    if type(like) in (int, float) and not value >= least:  # refuses NaN, too
        raise InputError(f"{where}: '{name}' must be at least {least}, not {value}")
    # A whole number stays a float: the type of the value decides what may replace it later.
    return type(like)(value)


def load_settings(out: Path) -> Settings:
    """The settings of the run in `out`. Raises InputError."""
    path = out / SETTINGS
    if not path.is_file():
        raise InputError(f"{out}: there is no run to resume; start one without --resume")
    try:
        sections = json.loads(path.read_text())
    except ValueError as error:
        raise InputError(f"{path}: is not JSON: {error}") from error
    if not isinstance(sections, dict):
        raise InputError(f"{path}: holds no settings")
    return Settings().updated(sections, str(path))


def start(
    settings: Settings,
    data: Sequence[Path],
    out: Path,
    *,
    dev: Sequence[Path] = (),
    resume: bool = False,
    device: str = "auto",
    packed: Packed | None = None,
    stepped: Stepped = lambda progress, values: None,
) -> loop.Progress:
    """Trains in the folder `out` until the budget of `settings` is spent.

    data : folders with meshes and clouds; not needed when `out` holds a training set
    dev : folders with clouds that are scored now and then, as they are, and never trained on

    InputError without data, OutputError when `out` holds a run that is not to be resumed.
    """
    if (out / SETTINGS).exists() and not resume:
        raise OutputError(f"{out}: holds a run already; --resume goes on with it")
    where, recipe = choose_device(device), recipe_of(settings.codec)
    workers = join()
    if workers.is_first:
        out.mkdir(parents=True, exist_ok=True)
        _training_set(settings, data, out / PACK, packed)
        if dev:
            _require(dev)
            recipe.pack(list(dev), out / DEV_PACK, settings, None, True)
        (out / SETTINGS).write_text(json.dumps(asdict(settings), indent=2) + "\n")
    workers.wait()
    samples = recipe.load(out / PACK)
    scored = recipe.load(out / DEV_PACK) if (out / DEV_PACK).exists() else []
    torch.manual_seed(settings.train.seed)
    task = recipe.task(settings.network, settings.recipe, samples, scored, where)
    progress = loop.train(task, settings.train, out, resume=resume, workers=workers, report=stepped)
    if workers.is_first:
        config, tensors = task.export()
        about = card(asdict(settings), progress, samples, tensors)
        export_model(out / MODEL, config, tensors, about)
    workers.leave()
    return progress


def _training_set(
    settings: Settings, data: Sequence[Path], pack: Path, packed: Packed | None
) -> None:
    """Makes the training set `pack` unless it is there."""
    if not pack.exists():
        if not data:
            raise InputError("no training data; name folders with --data DIR")
        _require(data)
        recipe_of(settings.codec).pack(list(data), pack, settings, packed, False)


def _require(folders: Sequence[Path]) -> None:
    """InputError unless all `folders` are there."""
    missing = [str(folder) for folder in folders if not folder.is_dir()]
    if missing:
        raise InputError(f"{missing[0]}: no such folder; training needs one with 3D files")
