"""`pcc eval`: options, one run, a table."""

from __future__ import annotations

import os
import shlex
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Annotated

import typer

from pcc_cli.cli import files, options, settings
from pcc_cli.cli.console import Console, explain
from pcc_cli.cli.signals import stop_cleanly
from pcc_cli.words import plural, size

if TYPE_CHECKING:
    from pcc_cli.evaluation.choices import Choices
    from pcc_cli.evaluation.rows import Row

NEIGHBOURS = "neighbours"


def _factors(text: str | None) -> tuple[Fraction, ...]:
    """Numbers of at least 1, separated by commas; () for None."""
    if text is None:
        return ()
    try:
        factors = tuple(Fraction(part) for part in text.split(","))
    except (ValueError, ZeroDivisionError):
        factors = ()
    if not factors or min(factors) < 1:
        raise typer.BadParameter(
            f"'{text}' is not a list of factors like 1,4/3,2", param_hint="--rates"
        )
    return factors


def _qualities(text: str | None) -> tuple[float, ...]:
    """Numbers from 1 to 100, separated by commas; () for None."""
    if text is None:
        return ()
    try:
        found = tuple(float(part) for part in text.split(","))
    except ValueError:
        found = ()
    if not found or not all(1 <= quality <= 100 for quality in found):
        raise typer.BadParameter(
            f"'{text}' is not a list of qualities like 20,40,60", param_hint="--attribute-quality"
        )
    return found


def _peak(text: str) -> float:
    return 0.0 if text == NEIGHBOURS else options.positive(text)


def evaluate(
    ctx: typer.Context,
    inputs: Annotated[
        list[str] | None,
        typer.Argument(metavar="FILE", help="Files, folders, 'patterns*'; else an example."),
    ] = None,
    codec: Annotated[
        list[str] | None,
        typer.Option(metavar="ID", help="Codec of pcc; by default the kind's best; repeatable."),
    ] = None,
    against: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PEER", help="gpcc, draco, laz, zstd, sperr, sz3, zfp, tthresh; repeatable."
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="DIR", help="Keep the run there, or resume it."),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="As -o, and write a page about the run: DIR/index.html."),
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Draw the curves: a .png, .pdf or .svg, for papers."),
    ] = None,
    lossless: Annotated[
        bool, typer.Option("--lossless", help="Measure lossless rows only.")
    ] = False,
    attributes: Annotated[
        bool, typer.Option("--attributes", help="Code colours and the like, too; lossless rows.")
    ] = False,
    attribute_quality: Annotated[
        str | None, typer.Option(metavar="LIST", help="Lossy colours, such as 20,40,60,80.")
    ] = None,
    rates: Annotated[
        str | None, typer.Option(metavar="LIST", help="Grids by coarseness, such as 1,4/3,2,4,8.")
    ] = None,
    step: Annotated[
        float | None,
        typer.Option(parser=options.positive, metavar="STEP", help="Grid of floats, file units."),
    ] = None,
    peak: Annotated[
        float | None,
        typer.Option(parser=_peak, metavar="VALUE", help=f"Peak for PSNR, or '{NEIGHBOURS}'."),
    ] = None,
    model: Annotated[
        str | None, typer.Option(metavar="ID", help="Trained model of the codec to use.")
    ] = None,
    entropy_models: Annotated[
        str | None, typer.Option(metavar="LIST", help="Of deepcompress, to compare; or 'all'.")
    ] = None,
    device: options.Device = options.DeviceChoice.auto,
    gpcc_bin: Annotated[
        str | None, typer.Option(metavar="PATH", help="The program tmc3 of G-PCC.")
    ] = None,
    baseline: Annotated[
        Path | None, typer.Option(metavar="DIR", help="An earlier run; fail if this is worse.")
    ] = None,
    threshold: Annotated[
        float, typer.Option(min=0, metavar="PERCENT", help="Growth of size or error to accept.")
    ] = 1.0,
    time_threshold: Annotated[
        float | None,
        typer.Option(min=0, metavar="PERCENT", help="Growth of time or memory to accept."),
    ] = None,
    recursive: options.Recursive = False,
    jobs: options.Jobs = 1,
    json: options.Json = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Compare codecs on your files: size, distortion, time and memory, beside other programs.

    Each row is coded in one fresh process and decoded in another, and what comes out is compared
    with the input. Every codec gets the same integers: the geometry on the grid of the file, or on
    coarser ones where points that meet are merged. docs/metrics.md defines the numbers.

    \b
    Examples:
      pcc eval --against gpcc
      pcc eval scans/ --against gpcc --against draco --report run/ --jobs 2
      pcc eval body.ply --codec deepcompress --entropy-models all
      pcc eval scans/ --lossless -o today/ --baseline yesterday/
    """
    from pcc_cli.evaluation.choices import Choices

    if gpcc_bin:
        os.environ["PCC_TMC3"] = gpcc_bin  # the processes that code see it, too
    choices = Choices(
        codecs=tuple(codec or ()),
        against=tuple(dict.fromkeys(against or ())),
        rates=_factors(rates),
        lossless=lossless,
        attributes=attributes or attribute_quality is not None,
        attribute_qualities=_qualities(attribute_quality),
        entropy_models=_entropy_models(entropy_models),
        settings={**settings.given(ctx), **({"model": model} if model else {})},
        device=device.value,
        step=step,
        peak=peak,
    )
    console = Console(quiet=quiet, debug=debug, json=json)
    earlier = _earlier(baseline)
    output = _one_folder(output, report)
    if plot and lossless:
        raise typer.BadParameter("curves need lossy rows", param_hint="--plot")
    if plot:
        _plots().check(plot)
    with _folder(output) as folder:
        rows, failed = _run(console, _paths(inputs or [], recursive), choices, folder, output, jobs)
    if not (json or quiet):
        from pcc_cli.cli import tables

        tables.show(rows)
    _show(console, rows, report, plot)
    worse = _worse(console, rows, earlier, threshold, time_threshold)
    if failed or worse or all(row.skipped for row in rows):
        raise typer.Exit(1)


def _entropy_models(text: str | None) -> tuple[str, ...]:
    """The names in a list, each checked; () for None."""
    if text is None:
        return ()
    from pcc_cli.codecs.deepcompress.priors import PRIORS, get

    names = tuple(PRIORS) if text == "all" else tuple(text.split(","))
    for name in names:
        get(name)
    return names


def _paths(inputs: list[str], recursive: bool) -> list[Path]:
    from pcc_cli import formats
    from pcc_cli.evaluation import example

    if not inputs:
        return [example.path()]
    return files.sources(inputs, suffixes=formats.FOLDER_SUFFIXES, recursive=recursive)


def _one_folder(output: Path | None, report: Path | None) -> Path | None:
    """Where the run is kept: a page needs its shapes, so both are in one place."""
    if output and report and output != report:
        raise typer.BadParameter(
            "the page lies in the folder of the run; give one of -o and --report",
            param_hint="--report",
        )
    return output or report


def _show(console: Console, rows: list[Row], report: Path | None, plot: Path | None) -> None:
    """Writes what was asked for beside the table."""
    if report:
        from pcc_cli.evaluation.report.html import write_report

        page = write_report(rows, report, shlex.join(["pcc", *sys.argv[1:]]))
        console.say(f"{page}: {size(page.stat().st_size)}")
    if plot:
        _plots().plot(rows, plot)
        console.say(f"{plot}: {size(plot.stat().st_size)}")


def _plots() -> ModuleType:
    from pcc_cli.evaluation.report import plots

    return plots


@contextmanager
def _folder(output: Path | None) -> Iterator[Path]:
    """The folder of the run: a lasting one, or one for the time of the run."""
    if output is None:
        with tempfile.TemporaryDirectory(prefix="pcc-eval-") as name:
            yield Path(name)
    else:
        output.mkdir(parents=True, exist_ok=True)
        yield output


def _run(
    console: Console,
    paths: list[Path],
    choices: Choices,
    folder: Path,
    keep: Path | None,
    jobs: int,
) -> tuple[list[Row], bool]:
    """The rows of the run in the order of the plan, and whether any row failed."""
    from pcc_cli.evaluation import rows, run

    work = run.plan(paths, choices, keep)
    for row in work.skipped:
        console.say(f"{row.file}: {row.codec} skipped: {row.skipped}")
        console.record(row.to_json())
    found = list(work.skipped)
    failures = []
    with console.progress("rows") as progress:
        outcomes = run.execute(work, folder, 1 if console.debug else jobs, stop_cleanly)
        for done, (row, outcome) in enumerate(outcomes, 1):
            title = f"{row.file}: {row.codec}, {row.setting}"
            progress(done / len(work.tasks), title)
            if isinstance(outcome, Exception):
                failures.append((f"{title}: {explain(outcome)}", outcome))
            else:
                console.record(outcome.to_json())
                found.append(outcome)
    place = {task.row.key: number for number, task in enumerate(work.tasks)}
    found.sort(key=lambda row: place.get(row.key, -1))
    if keep:
        rows.write_csv(folder, rows.read_rows(folder))
        console.say(f"{plural(len(found), 'row')} in {folder / rows.JSON_NAME}")
    for message, error in failures:
        console.fail(message, error)
    return found, bool(failures)


def _earlier(baseline: Path | None) -> list[Row]:
    """The rows of the run to compare with, read before hours are spent."""
    from pcc_cli.errors import InputError
    from pcc_cli.evaluation.rows import read_rows

    found = read_rows(baseline) if baseline else []
    if baseline and not found:
        raise InputError(f"{baseline}: has no rows of an evaluation to compare with")
    return found


def _worse(
    console: Console,
    rows: list[Row],
    earlier: list[Row],
    threshold: float,
    time_threshold: float | None,
) -> bool:
    """Says what is worse than in the earlier run."""
    if not earlier:
        return False
    from pcc_cli.evaluation.baseline import regressions

    lines = regressions(rows, earlier, threshold, time_threshold)
    for line in lines:
        console.say(f"worse: {line}")
    if not lines:
        console.say("nothing is worse than in the baseline")
    return bool(lines)
