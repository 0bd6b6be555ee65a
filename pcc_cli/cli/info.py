"""`pcc info`: what a .dcz file says about itself, and whether it decodes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest
from typing import Annotated, Any

import typer

from pcc_cli.cli import each, files, options
from pcc_cli.cli.console import Console, content, rate
from pcc_cli.cli.files import Pair
from pcc_cli.container import SUFFIX
from pcc_cli.progress import Progress
from pcc_cli.words import size


def info(
    inputs: Annotated[
        list[str] | None,
        typer.Argument(metavar="FILE", help="Files, folders, 'patterns*', or - alone."),
    ] = None,
    codec: Annotated[
        str | None, typer.Option(metavar="ID", help="List the settings of a codec instead.")
    ] = None,
    test: Annotated[
        bool, typer.Option("--test", "-t", help="Decode the whole file and check its digests, too.")
    ] = False,
    device: options.Device = options.DeviceChoice.auto,
    recursive: options.Recursive = False,
    jobs: options.Jobs = 1,
    json: options.Json = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Print what .dcz files hold.

    Checksums are verified in any case. With --test, exit code 0 means that the file decodes to
    exactly what was compressed.
    """
    if (codec is None) == (not inputs):
        raise typer.BadParameter("name files, or a codec with --codec ID")
    if codec is not None:
        _list_settings(codec, json)
        return
    console = Console(quiet=quiet, debug=debug, json=json)
    pairs = [Pair(name, "") for name in files.listed(inputs or [], {SUFFIX}, recursive)]
    each.run(console, pairs, _Task(test, device.value), _printer(quiet or json), jobs)


def _list_settings(codec: str, json: bool) -> None:
    """A line for each setting: the option, its kind, its default, what it does."""
    from pcc_cli import codecs
    from pcc_cli.codecs import settings

    id = codecs.resolve(codec)
    found = settings.of(codecs.get(id)).values()
    if json:
        about = [
            {"name": s.name, "type": s.kind.__name__, "default": s.default, "help": s.help}
            for s in found
        ]
        Console(json=True).record({"codec": id, "settings": about})
        return
    print(f"{id}: its settings, with their defaults")
    for s in found:
        default = "" if s.default is None else f" [{s.default}]"
        print(f"  {s.option} {s.kind.__name__}{default}: {s.help}")


def _printer(silent: bool) -> each.Say:
    """Prints a record for people, on standard output since it is the result."""
    return lambda record: None if silent else print("\n".join(_lines(record)), flush=True)


@dataclass(frozen=True)
class _Task:
    test: bool
    device: str

    def __call__(self, pair: Pair, progress: Progress) -> each.Record:
        from pcc_cli import api

        data = files.read(pair.source)
        record = {"input": pair.source, **api.inspect(data)}
        if self.test:
            started = time.monotonic()
            api.decompress(data, self.device, progress)
            record["test"] = {"passed": True, "seconds": round(time.monotonic() - started, 3)}
        return record


def _lines(record: each.Record) -> Iterator[str]:
    """The text for one file: a headline, then a table."""
    yield (
        f"{files.shown(record['input'], 'stdin')}: "
        f"{content(record['kind'], record['count'], record['faces'])}, "
        f"{size(record['bytes'])}, {rate(record['kind'], record['bits_per_point'])}"
    )
    rows = list(_rows(record))
    width = max(len(title) for title, _ in rows)
    yield from (f"  {title:{width}}  {text}" for title, text in rows)


def _rows(record: each.Record) -> Iterator[tuple[str, str]]:
    yield "format", f"{record['format']}, by {record['writer']}"
    source = record["source"]
    kept = f", {record['source_bytes']:,} bytes of its header" if record["source_bytes"] else ""
    yield "source", f"{source.get('format', 'unknown')}{kept}"
    if "crs" in source:
        yield "crs", _crs_name(str(source["crs"]))
    yield "grid", record["grid_text"]
    if "needs" in record:
        yield "needs", f"pip install 'pcc-cli[{record['needs']}]'"
    yield from _codecs(record["tiles"])
    yield "tiles", f"{len(record['tiles']):,}"
    levels = _levels(record["tiles"])
    if levels:
        yield "levels", f"{len(levels)}, of {' '.join(map(str, levels))} bytes"
    yield "geometry", _share(record["geometry_bytes"], record)
    for mesh in record.get("meshes", []):
        yield "mesh", _mesh(mesh)
    for column, count in record["attribute_bytes"].items():
        yield column, _share(count, record)
    yield "digest", record["digest"]
    if "test" in record:
        yield "test", f"passed in {record['test']['seconds']:.1f} s"


def _mesh(mesh: dict[str, Any]) -> str:
    """A mesh of a set: what it takes, how near it is, its name."""
    error = mesh["error"]
    near = f", mean error {error:.3g}" if isinstance(error, float) else ""
    return f"{mesh['bytes']:>13,} bytes{near}, {mesh['name']}"


def _crs_name(text: str) -> str:
    """A coordinate reference system as people call it: the first name in WKT, or all of it."""
    parts = text.split('"')
    return parts[1] if len(parts) > 2 else text


def _codecs(tiles: list[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    """One row for each codec that occurs, with its model."""
    used = dict.fromkeys((tile["codec"], *_model(tile["meta"])) for tile in tiles)
    for codec, *model in used:
        yield "codec", codec + (f", model {model[0]} (sha256 {model[1][:12]}...)" if model else "")


def _levels(tiles: list[dict[str, Any]]) -> list[int]:
    """Bytes of each level of the octree, coarse ones first, all tiles together; [] if not known."""
    sizes = [list(reversed(tile["meta"].get("levels", []))) for tile in tiles]
    return [sum(level) for level in zip_longest(*sizes, fillvalue=0)][::-1]


def _model(meta: dict[str, Any]) -> tuple[str, ...]:
    model = meta.get("model")
    return (str(model.get("id")), str(model.get("sha256"))) if isinstance(model, dict) else ()


def _share(count: int, record: each.Record) -> str:
    """A part of the file in bytes, and by its points."""
    points = record["count"]
    return f"{count:>13,} bytes" + (
        f", {rate(record['kind'], 8 * count / points)}" if points else ""
    )
