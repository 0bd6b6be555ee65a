"""`pcc decompress`: options, one call, one line."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial

from pcc_cli import locations
from pcc_cli.cli import each, files, options
from pcc_cli.cli.console import Console, Progress, passage, remarks
from pcc_cli.cli.files import Pair
from pcc_cli.errors import PccError

SUFFIX = ".dcz"


def decompress(
    inputs: options.Inputs,
    output: options.Output = None,
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
    """Restore what was compressed into .dcz files.

    scan.ply.dcz becomes scan.ply beside it; scan.dcz too, by the format that its source had. The
    suffix of -o, or --format, chooses another one; what that cannot hold is said. The result is
    checked against the digest in the file: a wrong one is never written.

    \b
    Examples:
      pcc decompress scan.dcz
      pcc decompress packed/ -o scans/ --jobs 4
      pcc decompress scan.las.dcz -o scan.ply
      pcc decompress - --format ply < scan.dcz > scan.ply
    """
    console = Console(quiet=quiet, verbose=verbose, debug=debug, json=json)
    wanted = options.suffix(format)
    name = partial(_unpacked_name, wanted=wanted)
    pairs = files.plan(inputs, output, name=name, suffixes={SUFFIX}, recursive=recursive)
    task = _Task(wanted, device.value, force)
    each.run(console, pairs, task, partial(_tell, console), jobs, skip_existing)


def _unpacked_name(path: str, wanted: str | None) -> str:
    """The name without .dcz, and with the suffix of the format of the result."""
    from pcc_cli import api, formats

    name = locations.base_name(path)
    name = name[: -len(SUFFIX)] if name.lower().endswith(SUFFIX) else name
    suffix = formats.suffix_of(name)
    known = suffix in formats.SUFFIXES
    if known and wanted in (None, suffix):
        return name
    if wanted is not None:
        return (name[: -len(suffix)] if known else name) + wanted
    try:
        return name + formats.suffix_for(api.inspect(files.read(path))["source"])
    except PccError:
        return name  # the error comes again, and is reported, when the file is decompressed


@dataclass(frozen=True)
class _Task:
    """Decompresses one file."""

    wanted: str | None
    device: str
    force: bool

    def __call__(self, pair: Pair, progress: Progress) -> each.Record:
        from pcc_cli import api, formats

        started = time.monotonic()
        data = files.read(pair.source)
        record = api.inspect(data)
        files.refuse(pair, force=self.force)
        shape = api.decompress(data, self.device, progress)
        suffix = self.wanted or formats.suffix_of(pair.target)
        notes: list[str] = []
        result = formats.write(suffix or formats.suffix_for(shape.source), shape, notes.append)
        with files.writing(pair, force=self.force) as stream:
            stream.write(result)
        return {
            "input": pair.source,
            "output": pair.target,
            "kind": record["kind"],
            "points": record["count"],
            "faces": record["faces"],
            "grid": record["grid_text"],
            "codecs": sorted({tile["codec"] for tile in record["tiles"]}),
            "bytes_in": len(data),
            "bytes_out": len(result),
            "bits_per_point": record["bits_per_point"],
            "notes": notes,
            "seconds": round(time.monotonic() - started, 3),
        }


def _tell(console: Console, record: each.Record) -> None:
    console.say(f"{passage(record)}, {record['seconds']:.1f} s{remarks(record)}")
    console.detail(f"  {record['grid']}, codec {', '.join(record['codecs'])}")
