"""`pcc add` and `pcc remove`: the meshes of a set change, its file in one step."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from pcc_cli import locations
from pcc_cli.cli import files, options, settings
from pcc_cli.cli.console import Console, explain
from pcc_cli.cli.reading import Reading
from pcc_cli.cli.sets import loaded
from pcc_cli.errors import PccError
from pcc_cli.words import plural, size

SetFile = Annotated[str, typer.Argument(metavar="SET", help="File with a set of meshes.")]


def add(
    ctx: typer.Context,
    target: SetFile,
    inputs: options.Inputs,
    device: options.Device = options.DeviceChoice.auto,
    recursive: options.Recursive = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Add meshes to a set that `pcc compress --codec necgs` made.

    The network that all meshes share stays as it is, and only the features of the new meshes are
    fitted to it: in seconds, but less near than if the set were compressed again. What is in the
    set decodes to the same bytes as before. --effort and --time-limit are options, too.

    \b
    Examples:
      pcc add toys.dcz train.obj
    """
    from pcc_cli import api, formats

    console = Console(quiet=quiet, debug=debug, json=json)
    started = time.monotonic()
    _, members = files.gathered(
        inputs, target, suffixes=formats.FOLDER_SUFFIXES, recursive=recursive
    )
    data = locations.read(target)
    notes: list[str] = []
    meshes, bytes_in = loaded(members, Reading((), None, None), notes)
    with _about(target), console.progress(target) as progress:
        changed, errors = api.add(data, meshes, settings.given(ctx), device.value, progress)
    with locations.writing(target, like=target) as stream:
        stream.write(changed)
    seconds = round(time.monotonic() - started, 3)
    grown = len(changed) - len(data)
    record = {"input": list(members.values()), "output": target, "added": errors, "notes": notes}
    console.record({**record, "bytes_out": len(changed), "seconds": seconds})
    told = ", ".join(f"{name} (mean error {error:.3g})" for name, error in errors.items())
    console.say(
        f"{target}: {told} added, {size(bytes_in)} -> {size(grown)}, now {size(len(changed))}, "
        f"{seconds:.1f} s" + "".join(f"; {note}" for note in notes)
    )


def remove(
    target: SetFile,
    names: Annotated[
        list[str], typer.Argument(metavar="NAME", help="Meshes, with or without suffix.")
    ],
    json: options.Json = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Remove meshes from a set.

    All others decode to the same bytes as before.

    \b
    Examples:
      pcc remove toys.dcz train
    """
    from pcc_cli import api

    console = Console(quiet=quiet, debug=debug, json=json)
    with _about(target):
        changed = api.remove(locations.read(target), names)
    with locations.writing(target, like=target) as stream:
        stream.write(changed)
    console.record({"output": target, "removed": names, "bytes_out": len(changed)})
    console.say(f"{target}: {plural(len(names), 'mesh')} removed, now {size(len(changed))}")


@contextmanager
def _about(target: str) -> Iterator[None]:
    """Errors say which file they are about."""
    try:
        yield
    except PccError as error:
        raise type(error)(explain(error, target)) from error
