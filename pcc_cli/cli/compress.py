"""`pcc compress`: options, one call, one line."""

from __future__ import annotations

import math
import time
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from pcc_cli import locations, words
from pcc_cli.cli import each, files, options, settings
from pcc_cli.cli.console import Console, passage, rate, remarks, shown_measure, upwards
from pcc_cli.cli.files import Pair
from pcc_cli.cli.reading import Reading
from pcc_cli.cli.sets import SetTask
from pcc_cli.container import SUFFIX
from pcc_cli.progress import Progress

if TYPE_CHECKING:
    from pcc_cli.api import Options
    from pcc_cli.geometry import Whole
    from pcc_cli.spine.report import Report


def compress(
    ctx: typer.Context,
    inputs: options.Inputs,
    output: options.Output = None,
    codec: Annotated[
        str | None, typer.Option(metavar="ID", help="Codec to use; by default the kind's best.")
    ] = None,
    model: Annotated[
        str | None, typer.Option(metavar="ID", help="Trained model of the codec to use.")
    ] = None,
    quality: Annotated[
        float | None, typer.Option(metavar="Q", help="Of a lossy codec, 1 (small) to 100 (near).")
    ] = None,
    ratio: Annotated[
        float | None, typer.Option(metavar="R", help="Of raw numbers to the file, lossy.")
    ] = None,
    size: Annotated[
        str | None, typer.Option(metavar="BYTES", help="Of the file, lossy, such as 4k.")
    ] = None,
    bpp: Annotated[
        float | None,
        typer.Option(metavar="BITS", help="For each sample, or point without attributes; lossy."),
    ] = None,
    psnr: Annotated[
        float | None, typer.Option(metavar="DB", help="At least, of what comes back, lossy.")
    ] = None,
    precision: Annotated[
        float | None,
        typer.Option(
            parser=options.positive, metavar="STEP", help="Grid of floats, in units of the file."
        ),
    ] = None,
    bits: Annotated[
        int | None,
        typer.Option(min=1, max=32, metavar="N", help="Grid of floats, 2^N steps along an axis."),
    ] = None,
    lossless: Annotated[
        bool, typer.Option("--lossless", help="Keep every bit of floats that have no grid.")
    ] = False,
    drop: Annotated[
        list[str] | None,
        typer.Option(metavar="NAMES", help="Attributes to leave out, as in red,green,blue."),
    ] = None,
    only: Annotated[
        list[str] | None, typer.Option(metavar="NAMES", help="Attributes to keep; no others.")
    ] = None,
    attribute_quality: Annotated[
        float | None,
        typer.Option(
            min=1, max=100, metavar="Q", help="Of colours, lossy, 1 (small) to 100 (near)."
        ),
    ] = None,
    allow_extras: Annotated[
        bool,
        typer.Option(
            "--allow-extras",
            help="Of volumes, store what SPERR or zfp make if better: read with an extra.",
        ),
    ] = False,
    keep_order: Annotated[
        bool, typer.Option("--keep-order", help="Keep the order of points, and say what it costs.")
    ] = False,
    keep_invalid: Annotated[
        bool, typer.Option("--keep-invalid", help="Keep points that are not finite, too.")
    ] = False,
    shape: Annotated[
        str | None, typer.Option(metavar="Z,Y,X", help="Shape of a file of raw samples.")
    ] = None,
    dtype: Annotated[
        str | None, typer.Option(metavar="TYPE", help="Type of raw samples, such as uint8 or >i2.")
    ] = None,
    fields: Annotated[
        str | None,
        typer.Option(
            metavar="NAMES", help="Columns of .bin, .npy and text files, as in x,y,z,ring."
        ),
    ] = None,
    format: options.Format = None,
    device: options.Device = options.DeviceChoice.auto,
    recursive: options.Recursive = False,
    skip_existing: options.SkipExisting = False,
    jobs: options.Jobs = 1,
    force: options.Force = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    debug: options.Debug = False,
) -> None:
    """Compress point clouds, meshes and volumes into .dcz files.

    scan.ply becomes scan.ply.dcz beside it, unless -o says otherwise; the source stays. A folder
    stands for the 3D files in it (a .txt or .csv has to be named), '-' for a pipe.

    Coordinates that lie on a grid are kept exactly. Floats without one are rounded to a grid that
    is finer than the spacing of the points, and the largest error is printed; --precision, --bits
    or --lossless choose otherwise. All attributes are kept exactly unless --attribute-quality lets
    colours lose something; the order of points is not kept.
    Points with NaN or infinite coordinates are left out, and counted.

    Every setting of a codec is an option too, such as --level of plain; `pcc info --codec ID`
    lists them. A lossy codec is never taken unless it is asked for.

    \b
    Examples:
      pcc compress scan.ply -o scan.dcz
      pcc compress scans/ -o packed/ --jobs 4 --skip-existing
      cat scan.ply | pcc compress - > scan.dcz
    """
    if (precision is not None) + (bits is not None) + lossless > 1:
        raise typer.BadParameter("choose one of --precision, --bits and --lossless")
    if drop and only:
        raise typer.BadParameter("choose one of --drop and --only")
    from pcc_cli import api, codecs, formats

    wanted = {
        "model": model,
        "quality": quality,
        "ratio": ratio,
        "size": None if size is None else options.byte_count(size),
        "bpp": bpp,
        "psnr": psnr,
    }
    choices = api.Options(
        codec=codecs.resolve(codec) if codec and codec != settings.AUTO else None,
        settings={**settings.given(ctx), **{k: v for k, v in wanted.items() if v is not None}},
        step=precision,
        bits=bits,
        lossless=lossless,
        drop=_names(drop),
        only=_names(only) if only else None,
        attribute_quality=attribute_quality,
        keep_order=keep_order,
        keep_invalid=keep_invalid,
        device=device.value,
        allow_extras=allow_extras,
    )
    console = Console(quiet=quiet, verbose=verbose, debug=debug, json=json)
    reading = Reading(
        _names([fields] if fields else None), options.suffix(format), options.samples(shape, dtype)
    )
    if choices.codec and codecs.takes_sets(choices.codec):
        pair, members = files.gathered(
            inputs, output, suffixes=formats.FOLDER_SUFFIXES, recursive=recursive
        )
        one = SetTask(choices, reading, force, members, " ".join(inputs))
        each.run(console, [pair], one, partial(_tell, console), 1, skip_existing)
        return
    pairs = files.plan(
        inputs, output, name=_packed_name, suffixes=formats.FOLDER_SUFFIXES, recursive=recursive
    )
    task = _Task(choices, reading, force)
    each.run(console, pairs, task, partial(_tell, console), jobs, skip_existing)


def _names(lists: list[str] | None) -> tuple[str, ...]:
    """The names in options that may each hold several, separated by commas."""
    return tuple(name for text in lists or [] for name in text.split(",") if name)


def _packed_name(name: str) -> str:
    return locations.base_name(name) + SUFFIX


@dataclass(frozen=True)
class _Task:
    """Compresses one file."""

    choices: Options
    reading: Reading
    force: bool

    def __call__(self, pair: Pair, progress: Progress) -> each.Record:
        from pcc_cli import api

        started = time.monotonic()
        files.refuse(pair, force=self.force)
        notes: list[str] = []
        shape, bytes_in = self.reading.load(pair.source, notes)
        with files.writing(pair, force=self.force) as stream:
            report = api.compress_to(stream, shape, self.choices, progress)
        return {
            "input": pair.source,
            "output": pair.target,
            "bytes_in": bytes_in,
            **asdict(report),
            "codecs": sorted(set(report.codecs)),
            "notes": [
                *notes,
                *report.notes,
                *self._cost_of_order(report),
                *_better_elsewhere(shape, report, self.choices),
            ],
            "bits_per_point": report.bits_per_point,
            "seconds": round(time.monotonic() - started, 3),
        }

    def _cost_of_order(self, report: Report) -> list[str]:
        cost = report.attribute_bytes.get("order")
        return [f"the order takes {words.size(cost)}"] if self.choices.keep_order and cost else []


def _better_elsewhere(shape: Whole, report: Report, choices: Options) -> list[str]:
    """What an installed classical coder does better for a volume that lost something."""
    lossy = math.isfinite(report.quality.get("psnr_db", math.inf))
    if report.kind != "volume" or not lossy or choices.allow_extras:
        return []
    from pcc_cli.evaluation.peers import rival

    bound = choices.settings.get("max_error")
    return rival.better(shape, report, None if bound is None else float(bound))


def _tell(console: Console, record: each.Record) -> None:
    """The one line of a file, and with --verbose where its bytes are."""
    error = f", max error {upwards(record['max_error'])}" if record["max_error"] else ""
    error += "".join(f", {shown_measure(*measure)}" for measure in record["quality"].items())
    console.say(
        f"{passage(record)}, {rate(record['kind'], record['bits_per_point'])}, "
        f"{record['grid']}{error}, {record['seconds']:.1f} s on {record['device']}"
        + remarks(record)
    )
    console.detail(f"  codec {', '.join(record['codecs'])}")
    sizes = {"geometry": record["geometry_bytes"], **record["attribute_bytes"]}
    for name, count in sizes.items():
        console.detail(f"  {name} {count:,} bytes")
