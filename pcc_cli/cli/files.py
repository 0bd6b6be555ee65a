"""Which files a verb reads and writes: inputs found, outputs named, refused early, written whole.

The rules are those of zstd: sources stay, nothing is overwritten without --force, a result appears
under its name only when it is complete, "-" is a pipe, and binary never goes to a terminal.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO

import typer

from pcc_cli import locations
from pcc_cli.container import SUFFIX
from pcc_cli.errors import InputError, OutputError

PIPE = "-"


class ExistsError(OutputError):
    """The target is there already, and is kept."""


@dataclass(frozen=True)
class Pair:
    """A source and the target of its result; either may be "-"."""

    source: str
    target: str
    make_folder: bool = False  # the target's folder is created when it is missing


@dataclass(frozen=True)
class _Found:
    """A source and its place below the folder it was found in."""

    name: str
    below: PurePosixPath


def plan(
    inputs: list[str],
    output: str | None,
    *,
    name: Callable[[str], str],
    suffixes: Collection[str],
    recursive: bool = False,
) -> list[Pair]:
    """Every source that `inputs` mean with its target: files, folders, patterns, or "-" alone.

    `name` gives the file name of a source's result. `suffixes` are those taken from a folder.
    Raises typer.BadParameter for what cannot be meant.
    """
    if PIPE in inputs:
        return [_piped(inputs, output)]
    found = _find(inputs, suffixes, recursive)
    single = len(found) == 1 and found[0].name == _plain(inputs[0])
    if output is None:
        pairs = [Pair(f.name, locations.beside(f.name, name(f.name))) for f in found]
    elif output == PIPE or (single and not _means_folder(output)):
        if not single:
            raise typer.BadParameter("several inputs cannot share one pipe", param_hint="-o")
        pairs = [Pair(found[0].name, output)]
    else:
        pairs = _into_folder(found, output, name, suffixes)
    _refuse_collisions(pairs)
    return pairs


def gathered(
    inputs: list[str],
    output: str | None,
    *,
    suffixes: Collection[str],
    recursive: bool = False,
) -> tuple[Pair, dict[str, str]]:
    """The one target of all files that `inputs` mean, and these: their place in a folder -> source.

    Without `output` it lies beside the one folder or file that is named.
    """
    if PIPE in inputs:
        raise typer.BadParameter("a set is made of files; name them", param_hint="FILE")
    found = _find(inputs, suffixes, recursive)
    members: dict[str, str] = {}
    for one in found:
        other = members.setdefault(str(one.below), one.name)
        if other != one.name:
            message = f"'{other}' and '{one.name}' would both be '{one.below}' in the set"
            raise typer.BadParameter(message, param_hint="FILE")
    if output is None:
        if len(inputs) > 1:
            raise typer.BadParameter("a set of several files needs a name", param_hint="-o")
        plain = _plain(inputs[0])
        output = locations.beside(plain, locations.base_name(plain) + SUFFIX)
    elif output != PIPE and _means_folder(output):
        raise typer.BadParameter("a set is one file; give it a name", param_hint="-o")
    return Pair(found[0].name, output), members


def listed(inputs: list[str], suffixes: Collection[str], recursive: bool) -> list[str]:
    """Every file that `inputs` mean, each once, in the same words as for `plan`."""
    if PIPE in inputs:
        return [_piped(inputs, None).source]
    return [found.name for found in _find(inputs, suffixes, recursive)]


def sources(inputs: list[str], *, suffixes: Collection[str], recursive: bool = False) -> list[Path]:
    """The local files that `inputs` mean. Raises InputError for one that is not there."""
    if PIPE in inputs or any(locations.is_url(text) for text in inputs):
        raise typer.BadParameter("files are read more than once; name them", param_hint="FILE")
    names = listed(inputs, suffixes, recursive)
    for name in names:
        _check_source(name)
    return [Path(name) for name in names]


def _piped(inputs: list[str], output: str | None) -> Pair:
    if len(inputs) > 1:
        raise typer.BadParameter("'-' must be the only input", param_hint="FILE")
    if output is not None and output != PIPE and _means_folder(output):
        raise typer.BadParameter("standard input needs a file name, not a folder", param_hint="-o")
    return Pair(PIPE, output or PIPE)


def _means_folder(output: str) -> bool:
    return output.endswith(("/", os.sep)) or locations.is_folder(output)


def _plain(name: str) -> str:
    """A name in the spelling that found files have."""
    return name if locations.is_url(name) else str(locations.path_of(name))


def _suffix(name: str) -> str:
    # Imported here: numpy would slow `pcc --help`.
    from pcc_cli.formats import suffix_of

    return suffix_of(locations.base_name(name))


def _find(inputs: list[str], suffixes: Collection[str], recursive: bool) -> list[_Found]:
    """What all arguments mean, each file once."""
    found = (entry for text in inputs for entry in _expand(_plain(text), suffixes, recursive))
    return list({entry.name: entry for entry in found}.values())


def _expand(text: str, suffixes: Collection[str], recursive: bool) -> list[_Found]:
    """The files that one argument means. What is missing or empty stays: reading it fails."""
    if locations.is_folder(text):
        names = [f for f in locations.files_in(text, recursive) if _suffix(f) in suffixes]
        found = [_Found(f, locations.below(f, text)) for f in names]
        return found or [_Found(text, PurePosixPath(locations.base_name(text)))]
    names = locations.matching(text) or [text]
    return [_Found(f, PurePosixPath(locations.base_name(f))) for f in names]


def _into_folder(
    found: list[_Found], output: str, name: Callable[[str], str], suffixes: Collection[str]
) -> list[Pair]:
    named_like_file = _suffix(output) in {*suffixes, SUFFIX} and not _means_folder(output)
    if named_like_file or (not locations.is_folder(output) and locations.exists(output)):
        raise typer.BadParameter(f"several inputs need a folder, not '{output}'", param_hint="-o")
    return [
        Pair(f.name, locations.join(output, f.below.with_name(name(f.name))), make_folder=True)
        for f in found
    ]


def _refuse_collisions(pairs: list[Pair]) -> None:
    origins: dict[str, str] = {}
    for pair in pairs:
        url = locations.is_url(pair.target)
        target = pair.target if url else os.path.realpath(pair.target)
        other = origins.setdefault(target, pair.source)
        if other != pair.source:
            raise typer.BadParameter(
                f"'{other}' and '{pair.source}' would both become '{pair.target}'",
                param_hint="FILE",
            )


def read(source: str) -> bytes:
    """The bytes of a file or of standard input. Raises InputError."""
    return _piped_in() if source == PIPE else locations.read(source)


def beside(source: str) -> Callable[[str], bytes]:
    """What gives the bytes of another file in the folder of `source`, by its name there."""

    def find(name: str) -> bytes:
        if source == PIPE or not name or PurePosixPath(name.replace("\\", "/")).name != name:
            raise InputError(
                f"the samples are in the file '{name}', which cannot be read from here"
            )
        return locations.read(locations.beside(source, name))

    return find


def _piped_in() -> bytes:
    if sys.stdin is None or sys.stdin.isatty():
        raise InputError("standard input is a terminal; pipe a file into pcc or name one")
    return sys.stdin.buffer.read()


def _check_source(source: str) -> None:
    if source == PIPE or locations.is_url(source):
        return
    try:
        mode = os.stat(locations.path_of(source)).st_mode
    except OSError as error:
        raise InputError(f"{source}: cannot be read: {locations.reason(error)}") from error
    if stat.S_ISDIR(mode):
        raise InputError(f"{source}: is a folder without files that can be read here; name them")


def shown(name: str, pipe: str) -> str:
    """A file's name as messages have it, `pipe` for "-"."""
    return pipe if name == PIPE else locations.shown(name)


def refuse(pair: Pair, *, force: bool) -> None:
    """Raises, before any work, InputError without a source, OutputError for an unfit target."""
    _check_source(pair.source)
    if pair.target == PIPE:
        if sys.stdout is None or (sys.stdout.isatty() and not force):
            raise OutputError("standard output is a terminal; pipe it on, or give -o FILE")
    elif locations.is_url(pair.target):
        if not force and locations.exists(pair.target):
            raise _exists(pair)
    else:
        _refuse_path(pair, locations.path_of(pair.target), force)


def _refuse_path(pair: Pair, path: Path, force: bool) -> None:
    target = Path(os.path.realpath(path))
    if target.is_dir():
        raise OutputError(f"{pair.target}: is a folder; give -o a file name")
    if target.exists():
        _refuse_existing(pair, target, force)
    elif not target.parent.is_dir() and not pair.make_folder:
        raise OutputError(f"{pair.target}: the folder {path.parent} does not exist; create it")
    if target.parent.is_dir() and not os.access(target.parent, os.W_OK):
        raise OutputError(f"{pair.target}: no permission to write into the folder {path.parent}")


def _refuse_existing(pair: Pair, target: Path, force: bool) -> None:
    local = pair.source != PIPE and not locations.is_url(pair.source)
    if local and target.samefile(locations.path_of(pair.source)):
        raise OutputError(f"{pair.target}: is the input itself; choose another name with -o")
    if target.is_file() and not force:
        raise _exists(pair)


def _exists(pair: Pair) -> ExistsError:
    return ExistsError(f"{locations.shown(pair.target)}: exists already; --force overwrites it")


@contextmanager
def writing(pair: Pair, *, force: bool) -> Iterator[BinaryIO]:
    """A stream whose bytes become the target when the block ends well, and vanish otherwise.

    A new file has the permissions and the time of its source. Raises OutputError.
    """
    refuse(pair, force=force)
    if pair.target != PIPE:
        with locations.writing(
            pair.target,
            like=None if pair.source == PIPE else pair.source,
            folders=pair.make_folder,
            check=lambda: refuse(pair, force=force),
        ) as stream:
            yield stream
        return
    try:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputError(
            f"standard output: cannot be written: {locations.reason(error)}"
        ) from error


def is_done(pair: Pair) -> bool:
    """Whether the target is there already."""
    return pair.target != PIPE and locations.exists(pair.target)


def sweep(pairs: list[Pair]) -> None:
    """Removes what a killed pcc left half-written in the folders of the targets."""
    targets = {pair.target for pair in pairs} - {PIPE, ""}
    paths = (target for target in targets if not locations.is_url(target))
    folders = {Path(os.path.realpath(locations.path_of(path))).parent for path in paths}
    locations.sweep([folder for folder in folders if folder.is_dir()])
