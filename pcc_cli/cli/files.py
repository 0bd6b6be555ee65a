"""Which files a verb reads and writes: inputs found, outputs named, refused early, written whole.

The rules are those of zstd: sources stay, nothing is overwritten without --force, a result appears
under its name only when it is complete, "-" is a pipe, and binary never goes to a terminal.
"""

from __future__ import annotations

import glob
import os
import secrets
import stat
import sys
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import typer

from pcc_cli.errors import InputError, OutputError

PIPE = "-"


@dataclass(frozen=True)
class Pair:
    """A source and the target of its result; either may be "-"."""

    source: str
    target: str
    make_folder: bool = False  # the target's folder is created when it is missing


@dataclass(frozen=True)
class _Found:
    """A source and its place below the folder it was found in."""

    path: Path
    below: Path


def plan(
    inputs: list[str],
    output: str | None,
    *,
    name: Callable[[Path], str],
    suffixes: Collection[str],
    recursive: bool = False,
) -> list[Pair]:
    """Every source that `inputs` mean with its target: files, folders, patterns, or "-" alone.

    `name` gives the file name of a source's result. `suffixes` are those taken from a folder.
    Raises typer.BadParameter for what cannot be meant.
    """
    if PIPE in inputs:
        return [_piped(inputs, output)]
    found = [entry for text in inputs for entry in _expand(text, suffixes, recursive)]
    single = len(found) == 1 and found[0].path == Path(inputs[0])
    if output is None:
        pairs = [Pair(str(f.path), str(f.path.with_name(name(f.path)))) for f in found]
    elif output == PIPE or (single and not _means_folder(output)):
        if not single:
            raise typer.BadParameter("several inputs cannot share one pipe", param_hint="-o")
        pairs = [Pair(str(found[0].path), output)]
    else:
        pairs = _into_folder(found, output, name, suffixes)
    _refuse_collisions(pairs)
    return pairs


def sources(inputs: list[str], *, suffixes: Collection[str], recursive: bool = False) -> list[Path]:
    """The files that `inputs` mean, each once. Raises InputError for one that is not there."""
    if PIPE in inputs:
        raise typer.BadParameter("files are read more than once; name them", param_hint="FILE")
    found = [entry.path for text in inputs for entry in _expand(text, suffixes, recursive)]
    for path in found:
        _check_source(str(path))
    return list(dict.fromkeys(found))


def _piped(inputs: list[str], output: str | None) -> Pair:
    if len(inputs) > 1:
        raise typer.BadParameter("'-' must be the only input", param_hint="FILE")
    if output is not None and output != PIPE and _means_folder(output):
        raise typer.BadParameter("standard input needs a file name, not a folder", param_hint="-o")
    return Pair(PIPE, output or PIPE)


def _means_folder(output: str) -> bool:
    return output.endswith(("/", os.sep)) or Path(output).is_dir()


def _expand(text: str, suffixes: Collection[str], recursive: bool) -> list[_Found]:
    """The files that one argument means. What is missing or empty stays: reading it fails."""
    path = Path(text)
    if path.is_dir():
        files = path.rglob("*") if recursive else path.iterdir()
        found = [f for f in sorted(files) if f.suffix.lower() in suffixes and f.is_file()]
        return [_Found(f, f.relative_to(path)) for f in found] or [_Found(path, path)]
    if glob.has_magic(text) and not path.exists():
        matches = [Path(match) for match in sorted(glob.glob(text, recursive=True))]
        path_matches = [match for match in matches if match.is_file()]
        if path_matches:
            return [_Found(f, Path(f.name)) for f in path_matches]
    return [_Found(path, Path(path.name))]


def _into_folder(
    found: list[_Found], output: str, name: Callable[[Path], str], suffixes: Collection[str]
) -> list[Pair]:
    folder = Path(output)
    named_like_file = folder.suffix.lower() in {*suffixes, ".dcz"} and not _means_folder(output)
    if named_like_file or (folder.exists() and not folder.is_dir()):
        raise typer.BadParameter(f"several inputs need a folder, not '{output}'", param_hint="-o")
    return [
        Pair(str(f.path), str(folder / f.below.parent / name(f.path)), make_folder=True)
        for f in found
    ]


def _refuse_collisions(pairs: list[Pair]) -> None:
    sources: dict[str, str] = {}
    for pair in pairs:
        other = sources.setdefault(os.path.realpath(pair.target), pair.source)
        if other != pair.source:
            raise typer.BadParameter(
                f"'{other}' and '{pair.source}' would both become '{pair.target}'",
                param_hint="FILE",
            )


def read(source: str) -> bytes:
    """The bytes of a file or of standard input. Raises InputError."""
    if source == PIPE:
        if sys.stdin is None or sys.stdin.isatty():
            raise InputError("standard input is a terminal; pipe a file into pcc or name one")
        return sys.stdin.buffer.read()
    try:
        return Path(source).read_bytes()
    except OSError as error:
        raise InputError(f"{source}: cannot be read: {reason(error)}") from error


def _check_source(source: str) -> None:
    if source == PIPE:
        return
    try:
        mode = os.stat(source).st_mode
    except OSError as error:
        raise InputError(f"{source}: cannot be read: {reason(error)}") from error
    if stat.S_ISDIR(mode):
        raise InputError(f"{source}: is a folder without files that can be read here; name them")


def shown(name: str, pipe: str) -> str:
    """A file's name as messages have it, `pipe` for "-"."""
    return pipe if name == PIPE else name


def reason(error: OSError) -> str:
    """What the system says, in lower case and without the file's name."""
    text = error.strerror or str(error) or type(error).__name__
    return text[0].lower() + text[1:]


def refuse(pair: Pair, *, force: bool) -> None:
    """Raises, before any work, InputError without a source, OutputError for an unfit target."""
    _check_source(pair.source)
    if pair.target == PIPE:
        if sys.stdout is None or (sys.stdout.isatty() and not force):
            raise OutputError("standard output is a terminal; pipe it on, or give -o FILE")
        return
    target, folder = Path(os.path.realpath(pair.target)), Path(pair.target).parent
    if target.is_dir():
        raise OutputError(f"{pair.target}: is a folder; give -o a file name")
    if target.exists():
        _refuse_existing(pair, target, force)
    elif not target.parent.is_dir() and not pair.make_folder:
        raise OutputError(f"{pair.target}: the folder {folder} does not exist; create it")
    if target.parent.is_dir() and not os.access(target.parent, os.W_OK):
        raise OutputError(f"{pair.target}: no permission to write into the folder {folder}")


def _refuse_existing(pair: Pair, target: Path, force: bool) -> None:
    if pair.source != PIPE and target.samefile(pair.source):
        raise OutputError(f"{pair.target}: is the input itself; choose another name with -o")
    if target.is_file() and not force:
        raise OutputError(f"{pair.target}: exists already; --force overwrites it")


@contextmanager
def writing(pair: Pair, *, force: bool) -> Iterator[BinaryIO]:
    """A stream whose bytes become the target when the block ends well, and vanish otherwise.

    A new file has the permissions and the time of its source. Devices and named pipes are written
    to directly. Raises OutputError.
    """
    refuse(pair, force=force)
    try:
        if pair.target == PIPE:
            yield sys.stdout.buffer
            sys.stdout.buffer.flush()
            return
        target = Path(os.path.realpath(pair.target))
        if target.exists() and not target.is_file():
            with target.open("wb") as stream:
                yield stream
            return
        with _replacing(pair, target, force) as stream:
            yield stream
    except BrokenPipeError:
        raise
    except OSError as error:
        where = shown(pair.target, "standard output")
        raise OutputError(f"{where}: cannot be written: {reason(error)}") from error


@contextmanager
def _replacing(pair: Pair, target: Path, force: bool) -> Iterator[BinaryIO]:
    if pair.make_folder:
        target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".pcc-{secrets.token_hex(8)}.tmp")
    try:
        with temporary.open("xb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        if pair.source != PIPE:
            _take_mode_and_time(temporary, pair.source)
        refuse(pair, force=force)  # the work took time; somebody else may have written the target
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


def _take_mode_and_time(path: Path, source: str) -> None:
    # A file system without permissions or times must not stop the work.
    with suppress(OSError):
        status = os.stat(source)
        path.chmod(status.st_mode & 0o777)
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
