"""`pcc decompress`: options, one call, one line."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from pcc_cli import locations
from pcc_cli.cli import each, files, options, sets
from pcc_cli.cli.console import Console, passage, remarks
from pcc_cli.cli.files import Pair
from pcc_cli.container import SUFFIX
from pcc_cli.errors import InputError, PccError
from pcc_cli.progress import Progress
from pcc_cli.words import plural

if TYPE_CHECKING:
    from pcc_cli.geometry import PointCloud, Volume, Whole


def _box(text: str) -> tuple[float, ...]:
    """Six numbers, the corners of a box."""
    with suppress(ValueError):
        numbers = tuple(float(part) for part in text.split(","))
        if len(numbers) == 6 and all(a <= b for a, b in zip(numbers[:3], numbers[3:], strict=True)):
            return numbers
    message = f"'{text}' is not a least and a greatest corner, x,y,z,x,y,z"
    raise typer.BadParameter(message, param_hint="--region")


def decompress(
    inputs: options.Inputs,
    output: options.Output = None,
    format: options.Format = None,
    region: Annotated[
        str | None,
        typer.Option(
            metavar="X,Y,Z,X,Y,Z",
            help="Only the points of a box: its least and its greatest corner.",
        ),
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Of a set this mesh alone, with or without suffix."),
    ] = None,
    level: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="A coarse look at a cloud, in 2^N cells an axis."),
    ] = None,
    resolution: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Of a mesh by keyspheres, cells along an axis."),
    ] = None,
    scale: Annotated[
        int, typer.Option(metavar="N", help="Of a volume every N-th sample: 1, 2, 4, 8 or 16.")
    ] = 1,
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
    checked against the digest in the file: a wrong one is never written. With --region only those
    tiles of a large file are read and decoded that meet the box. With --level only the first levels
    of the octree are decoded, without attributes: a quick look, whose digest is not checked.
    A set of meshes becomes a folder, or with --only one file, without reading the others.

    \b
    Examples:
      pcc decompress scan.dcz
      pcc decompress packed/ -o scans/ --jobs 4
      pcc decompress scan.las.dcz -o scan.ply
      pcc decompress - --format ply < scan.dcz > scan.ply
      pcc decompress scan.dcz --region=-5,-5,0,5,5,2 -o part.ply
      pcc decompress toys.dcz --only car -o car.obj
    """
    console = Console(quiet=quiet, verbose=verbose, debug=debug, json=json)
    wanted = options.suffix(format)
    name = partial(_unpacked_name, wanted=wanted, only=only or [])
    pairs = files.plan(inputs, output, name=name, suffixes={SUFFIX}, recursive=recursive)
    if len(pairs) == 1 and pairs[0].make_folder and output and not only:
        # The folder that is named is that of the meshes, not one for a folder of them.
        one = pairs[0]
        pairs = [replace(one, target=output) if sets.is_set(one.source) else one]
    if (region is not None or scale != 1) and level is not None:
        raise typer.BadParameter("choose one of --region or --scale and --level")
    box = _box(region) if region else None
    task = _Task(wanted, box, level, resolution, scale, tuple(only or ()), device.value, force)
    each.run(console, pairs, task, partial(_tell, console), jobs, skip_existing)


def _unpacked_name(path: str, wanted: str | None, only: list[str]) -> str:
    """The name without .dcz, and with the suffix of the format of the result.

    Of a set that of the one mesh that is wanted, or of a folder.
    """
    from pcc_cli import formats, scripting

    name = locations.base_name(path)
    name = name[: -len(SUFFIX)] if name.lower().endswith(SUFFIX) else name
    if sets.is_set(path):
        return locations.base_name(sets.member(path, only[0], wanted)) if len(only) == 1 else name
    suffix = formats.suffix_of(name)
    known = suffix in formats.SUFFIXES
    if known and wanted in (None, suffix):
        return name
    if wanted is not None:
        return (name[: -len(suffix)] if known else name) + wanted
    try:
        with scripting.open(path) as file:
            return name + formats.suffix_for(file.source)
    except PccError:
        return name  # the error comes again, and is reported, when the file is decompressed


@dataclass(frozen=True)
class _Task:
    """Decompresses one file, or a region of it."""

    wanted: str | None
    region: tuple[float, ...] | None
    level: int | None
    resolution: int | None
    scale: int
    only: tuple[str, ...]
    device: str
    force: bool

    def __call__(self, pair: Pair, progress: Progress) -> each.Record:
        from pcc_cli import formats

        started = time.monotonic()
        if self.only or sets.is_set(pair.source):
            record = self._set(pair, progress)
            return {**record, "seconds": round(time.monotonic() - started, 3)}
        partly = self.region or self.scale != 1
        if partly and self.resolution:
            raise InputError("choose one of --region or --scale and --resolution")
        shape, about = self._part(pair) if partly else self._whole(pair, progress)
        suffix = self.wanted or formats.suffix_of(locations.shown(pair.target))
        notes: list[str] = []
        result = formats.write(suffix or formats.suffix_for(shape.source), shape, notes.append)
        with files.writing(pair, force=self.force) as stream:
            stream.write(result)
        return {
            "input": pair.source,
            "output": pair.target,
            "points": len(shape),
            **about,
            "bytes_out": len(result),
            "notes": notes,
            "seconds": round(time.monotonic() - started, 3),
        }

    def _whole(self, pair: Pair, progress: Progress) -> tuple[Whole, each.Record]:
        from pcc_cli import api
        from pcc_cli.geometry import MeshSet

        data = files.read(pair.source)
        record = api.inspect(data)
        files.refuse(pair, force=self.force)
        shape = api.decompress(data, self.device, progress, self.level, self.resolution)
        if isinstance(shape, MeshSet):
            raise InputError("holds a set of meshes: name the file, or one mesh with --only")
        return shape, {
            "kind": record["kind"],
            "faces": len(getattr(shape, "face_sizes", ())),
            "grid": record["grid_text"],
            "codecs": sorted({tile["codec"] for tile in record["tiles"]}),
            "bytes_in": len(data),
            "bits_per_point": record["bits_per_point"],
        }

    def _part(self, pair: Pair) -> tuple[PointCloud | Volume, each.Record]:
        from pcc_cli import scripting

        files.refuse(pair, force=self.force)
        source = files.read(pair.source) if pair.source == files.PIPE else pair.source
        with scripting.open(source, device=self.device) as file:
            low, high = (self.region[:3], self.region[3:]) if self.region else (None, None)
            shape: PointCloud | Volume
            if file.kind == "volume" or low is None or high is None:
                shape = file.volume(low, high, self.scale)
            else:
                shape = file.crop(low, high)
            return shape, {
                "kind": file.kind,
                "faces": 0,
                "grid": file.grid_text,
                "codecs": file.codecs,
                "bytes_in": file.size_bytes,
                "bits_per_point": 8 * file.size_bytes / max(file.count, 1),
            }

    def _set(self, pair: Pair, progress: Progress) -> each.Record:
        """A set, or some meshes of it, into a folder; one that is named alone into a file."""
        from pcc_cli import scripting

        if self.region or self.scale != 1 or self.level or self.resolution:
            raise InputError("a set of meshes has no region, level, scale or other resolution")
        notes: list[str] = []
        with scripting.open(sets.source_of(pair.source), device=self.device) as file:
            meshes = sets.chosen(file, self.only, progress)
            if len(self.only) == 1:
                suffix = sets.suffix_of(locations.shown(pair.target))
                wanted = self.wanted or suffix
                size = sets.write_one(pair, next(iter(meshes.values())), wanted, notes, self.force)
            else:
                size = sets.write_all(pair.target, meshes, self.wanted, notes, self.force)
            return {
                "input": pair.source,
                "output": pair.target,
                "kind": file.kind,
                "meshes": len(meshes),
                "points": sum(len(mesh) for mesh in meshes.values()),
                "faces": sum(len(mesh.face_sizes) for mesh in meshes.values()),
                "grid": plural(len(meshes), "mesh"),
                "codecs": file.codecs,
                "bytes_in": file.size_bytes,
                "bits_per_point": 8 * file.size_bytes / max(file.count, 1),
                "bytes_out": size,
                "notes": notes,
            }


def _tell(console: Console, record: each.Record) -> None:
    console.say(f"{passage(record)}, {record['seconds']:.1f} s{remarks(record)}")
    console.detail(f"  {record['grid']}, codec {', '.join(record['codecs'])}")
