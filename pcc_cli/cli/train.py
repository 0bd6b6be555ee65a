"""`pcc train`: options, one call, a line now and then."""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from enum import Enum
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pcc_cli.cli import options
from pcc_cli.cli.console import Console
from pcc_cli.errors import InputError, UnsupportedError
from pcc_cli.locations import reason
from pcc_cli.progress import Progress
from pcc_cli.words import plural, size

if TYPE_CHECKING:
    from pcc_cli.training.original import Original
    from pcc_cli.training.run import Settings, Stepped

LINE_SECONDS = 60.0  # between lines where there is no progress bar


class LogChoice(str, Enum):
    """Where the curves of a run go."""

    csv = "csv"
    tensorboard = "tensorboard"


def train(
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="DIR", help="Folder of the run; made if missing."),
    ] = None,
    data: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="DIR", help="Folder with meshes and clouds, once for each; not for --resume."
        ),
    ] = None,
    dev: Annotated[
        list[Path] | None,
        typer.Option(metavar="DIR", help="Folder with clouds to score, never to train on."),
    ] = None,
    codec: Annotated[
        str | None, typer.Option(metavar="ID", help="Codec to train.  [default: occupancy]")
    ] = None,
    config: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Settings: TOML, or YAML of DeepCompress.")
    ] = None,
    steps: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Most steps to train.")
    ] = None,
    minutes: Annotated[
        float | None, typer.Option(min=0, metavar="N", help="Most minutes to train.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in --out.")] = False,
    tune: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Try N settings, tell the best ones.")
    ] = None,
    device: options.Device = options.DeviceChoice.auto,
    threads: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Threads on a CPU.")
    ] = None,
    log: Annotated[
        LogChoice, typer.Option(help="log.csv is written always, TensorBoard events on request.")
    ] = LogChoice.csv,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Train the networks of a codec.

    The run lives in --out: its settings, its training set, its checkpoint, its log and, when it
    is done, the model. Stop it at any time, and go on with --resume, also with a larger --steps
    or --minutes. With PCC_MODELS set to the folder of the run, 'pcc compress --model model' uses
    what was trained.

    \b
    Examples:
      pcc train --data meshes/ --data clouds/ --out runs/first --minutes 60
      pcc train --codec deepcompress --data data/train --dev data/dev --out runs/deep --minutes 60
    """
    import torch

    from pcc_cli.training import run

    console = Console(quiet=quiet, debug=debug)
    if threads:
        torch.set_num_threads(threads)
    given = _given(config, codec)
    out = out or given.out
    if out is None:
        raise typer.BadParameter("name the folder of the run", param_hint="--out")
    settings = run.load_settings(out) if resume else run.Settings()
    settings = _chosen(settings, config, codec, given.settings, steps, minutes)
    with console.progress("pcc train") as progress:
        start = partial(
            run.start,
            data=data or given.data,
            dev=dev or given.dev,
            resume=resume,
            device=device.value,
            packed=lambda done, total: progress(done / total, f"sample {done} of {total}"),
        )
        if tune is not None:
            _tune(console, progress, tune, settings, out, start)
            return
        stepped = _reporter(console, progress, settings, _events(out, log))
        final = start(settings, out=out, stepped=stepped)
    work = f"{plural(final.step, 'step')}, {final.seconds / 60:.1f} minutes"
    console.say(f"{out / 'model'}: trained for {work}, {_memory()}")


def _tune(
    console: Console, progress: Progress, trials: int, settings: Settings, out: Path, start: Any
) -> None:
    """Tries settings, and says which were best."""
    from pcc_cli.training import tuning

    def tried(number: int, score: float, values: dict[str, Any]) -> None:
        progress(number / trials, f"trial {number} of {trials}")
        console.say(f"trial {number}: score {score:.4f}, {values}")

    best = tuning.tune(settings, out, trials, start, tried)
    console.say(f"{best}: the best settings; pcc train --config {best} trains with them")


def _given(config: Path | None, codec: str | None) -> Original:
    """What the configuration file says."""
    from pcc_cli.training import original

    if config is None:
        return original.Original({})
    if config.suffix.lower() in (".yml", ".yaml"):
        found = original.load(config)
        return replace(found, settings={**found.settings, "codec": original.CODEC})
    return original.Original(_read_toml(config))


def _chosen(
    settings: Settings,
    config: Path | None,
    codec: str | None,
    sections: dict[str, Any],
    steps: int | None,
    minutes: float | None,
) -> Settings:
    """`settings` changed by the configuration file, then by the options."""
    from pcc_cli import codecs

    if codec is not None:
        settings = settings.updated({"codec": codecs.resolve(codec)}, "options")
    named = codecs.resolve(str(sections.get("codec", settings.codec)))
    if codec is not None and named != settings.codec:
        raise InputError(f"{config}: is for the codec '{named}', not '{codec}'")
    settings = settings.updated({**sections, "codec": named}, str(config))
    budget = {"steps": steps, "minutes": minutes}
    chosen = {name: value for name, value in budget.items() if value is not None}
    return settings.updated({"train": chosen}, "options")


def _read_toml(path: Path) -> dict[str, Any]:
    toml = import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")
    try:
        values: dict[str, Any] = toml.loads(path.read_text())
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {reason(error)}") from error
    except ValueError as error:
        raise InputError(f"{path}: is not TOML: {error}") from error
    return values


def _events(out: Path, log: LogChoice) -> Any:
    """A writer of TensorBoard events, or None."""
    if log is LogChoice.csv:
        return None
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise UnsupportedError("--log tensorboard needs it: pip install tensorboard") from error
    return SummaryWriter(str(out))


def _memory() -> str:
    """The most memory that was used so far: of the GPU where one is used, else of the process."""
    import torch

    if torch.cuda.is_initialized():
        return f"{size(torch.cuda.max_memory_allocated())} of GPU memory"
    import resource

    return size(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10)


def _reporter(console: Console, progress: Progress, settings: Settings, events: Any) -> Stepped:
    """What is said and written after a step."""
    said = time.monotonic()

    def report(state: Any, values: dict[str, float]) -> None:
        nonlocal said
        pace = f"{state.seconds / max(state.step, 1):.2f} s a step"
        label = f"step {state.step:,}, loss {values['loss']:.4f}, {pace}, {_memory()}"
        progress(state.fraction(settings.train), label)
        if time.monotonic() - said > LINE_SECONDS and not console.has_bars:
            said = time.monotonic()
            console.say(label)
        if events is not None:
            for name, value in values.items():
                events.add_scalar(name, value, state.step)

    return report
