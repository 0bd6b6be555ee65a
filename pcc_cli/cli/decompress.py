"""`pcc decompress`: options, one call, one line."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial

from pcc_cli import locations
from pcc_cli.cli import each, files, options
from pcc_cli.cli.console import Console, Progress, passage
from pcc_cli.cli.files import Pair
from pcc_cli.errors import PccError

SUFFIX = ".dcz"
FALLBACK = ".ply"  # holds everything that pcc reads


def decompress(
    inputs: options.Inputs,
    output: options.Output = None,
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

    scan.ply.dcz becomes scan.ply beside it; scan.dcz too, by the format that its source had, or
    PLY where pcc cannot write that. With -o the suffix of the output chooses the format. The
    result is checked against the digest in the file: a wrong one is never written.

    \b
    Examples:
      pcc decompress scan.dcz
      pcc decompress packed/ -o scans/ --jobs 4
      pcc decompress - < scan.dcz > scan.ply
    """
    console = Console(quiet=quiet, verbose=verbose, debug=debug, json=json)
    pairs = files.plan(inputs, output, name=_unpacked_name, suffixes={SUFFIX}, recursive=recursive)
    task = _Task(device.value, force)
    each.run(console, pairs, task, partial(_tell, console), jobs, skip_existing)


def _unpacked_name(path: str) -> str:
    """The name without .dcz, and with the suffix of a format that pcc writes."""
    from pcc_cli import api, formats

    name = locations.base_name(path)
    name = name[: -len(SUFFIX)] if name.lower().endswith(SUFFIX) else name
    suffix = formats.suffix_of(name)
    if suffix in formats.READERS:
        return name if suffix in formats.WRITERS else name + FALLBACK
    try:
        return name + _stored_suffix(api.inspect(files.read(path)))
    except PccError:
        return name  # the error comes again, and is reported, when the file is decompressed


def _stored_suffix(record: each.Record) -> str:
    """The suffix of the format that the source had, if pcc writes it."""
    from pcc_cli import formats

    name = record["source"].get("format")
    return next((suffix for suffix, known in formats.WRITERS.items() if known == name), FALLBACK)


@dataclass(frozen=True)
class _Task:
    """Decompresses one file."""

    device: str
    force: bool

    def __call__(self, pair: Pair, progress: Progress) -> each.Record:
        from pcc_cli import api, formats

        started = time.monotonic()
        data = files.read(pair.source)
        record = api.inspect(data)
        files.refuse(pair, force=self.force)
        shape = api.decompress(data, self.device, progress)
        suffix = formats.suffix_of(pair.target) or _stored_suffix(record)
        result = formats.write(suffix, shape)
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
            "seconds": round(time.monotonic() - started, 3),
        }


def _tell(console: Console, record: each.Record) -> None:
    console.say(f"{passage(record)}, {record['seconds']:.1f} s")
    console.detail(f"  {record['grid']}, codec {', '.join(record['codecs'])}")
