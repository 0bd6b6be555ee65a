"""Files by path or by URL: found, read, and written so that they appear only when complete.

A URL such as s3://bucket/scan.ply goes through fsspec and whatever that finds installed for its
scheme; file:///tmp/scan.ply is a path in other words. Names stay strings all the way.
"""

from __future__ import annotations

import glob
import io
import os
import re
import secrets
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from pcc_cli.errors import InputError, OutputError, PccError, UnsupportedError

try:
    import fcntl
except ImportError:  # Windows: temporaries of a run that was killed stay
    fcntl = None  # type: ignore[assignment]

_URL = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)
_TEMPORARY = ".pcc-{}.tmp"


def is_url(name: str) -> bool:
    """Whether `name` is a URL that is no path in other words."""
    return bool(_URL.match(name)) and not name.lower().startswith("file://")


def path_of(name: str) -> Path:
    """The path that `name` is, or that file:// says."""
    if not name.lower().startswith("file://"):
        return Path(name)
    from urllib.parse import unquote

    return Path(unquote(name[len("file://") :].removeprefix("localhost")))


def shown(name: str) -> str:
    """`name` as messages and suffixes have it: of a URL without its query, which may be a key."""
    return name.partition("?")[0] if is_url(name) else name


def base_name(name: str) -> str:
    """The last part of a name."""
    return PurePosixPath(shown(name)).name if is_url(name) else path_of(name).name


def beside(name: str, other: str) -> str:
    """The name of the file `other` in the folder that holds `name`."""
    if is_url(name):
        return shown(name).rpartition("/")[0] + "/" + other
    return str(path_of(name).with_name(other))


def join(folder: str, below: PurePosixPath) -> str:
    """The name of a file below a folder."""
    return f"{folder.rstrip('/')}/{below}" if is_url(folder) else str(path_of(folder) / below)


def reason(error: BaseException) -> str:
    """What the system says, in lower case, on one line, and without the file's name."""
    text = (isinstance(error, OSError) and error.strerror) or " ".join(str(error).split())
    text = text or type(error).__name__
    return text[0].lower() + text[1:]


def read(name: str) -> bytes:
    """All bytes of a file. Raises InputError."""
    with _reading(name):
        if not is_url(name):
            return path_of(name).read_bytes()
        store, path = _store(name)
        return bytes(store.cat_file(path))


def open_file(name: str) -> BinaryIO:
    """The file, open for reading, seekable: of a URL only what is read is fetched."""
    with _reading(name):
        if not is_url(name):
            return path_of(name).open("rb")
        store, path = _store(name)
        stream: BinaryIO = store.open(path, "rb")
        return stream


def exists(name: str) -> bool:
    """Whether there is something of this name."""
    if not is_url(name):
        return path_of(name).exists()
    with _reading(name):
        store, path = _store(name)
        return bool(store.exists(path))


def is_folder(name: str) -> bool:
    """Whether the name is that of a folder; a server on the web has none."""
    if not is_url(name):
        return path_of(name).is_dir()
    if name.lower().startswith("http"):
        return False
    with _reading(name):
        store, path = _store(name)
        return bool(store.isdir(path))


def files_in(folder: str, recursive: bool) -> list[str]:
    """The files in a folder, sorted."""
    if not is_url(folder):
        here = path_of(folder)
        entries = sorted(here.rglob("*") if recursive else here.iterdir())
        return [str(entry) for entry in entries if entry.is_file()]
    with _reading(folder):
        store, path = _store(folder)
        found = store.find(path, maxdepth=None if recursive else 1)
        return [str(store.unstrip_protocol(f)) for f in sorted(found)]


def below(name: str, folder: str) -> PurePosixPath:
    """The place of a file of `files_in(folder)` in that folder."""
    if is_url(folder):
        store, path = _store(folder)
        return PurePosixPath(store._strip_protocol(name)).relative_to(path)
    return PurePosixPath(Path(name).relative_to(path_of(folder)).as_posix())


def matching(pattern: str) -> list[str]:
    """The files that a pattern with * ? [ ] means, sorted; none if it is no pattern."""
    if not glob.has_magic(shown(pattern)):
        return []
    if not is_url(pattern):
        if path_of(pattern).exists():
            return []
        found = glob.glob(str(path_of(pattern)), recursive=True)
        return sorted(name for name in found if os.path.isfile(name))
    with _reading(pattern):
        store, path = _store(pattern)
        entries = store.glob(path, detail=True)
        names = sorted(name for name, entry in entries.items() if entry["type"] == "file")
        return [str(store.unstrip_protocol(name)) for name in names]


@contextmanager
def writing(
    name: str,
    *,
    like: str | None = None,
    folders: bool = False,
    check: Callable[[], None] = lambda: None,
) -> Iterator[BinaryIO]:
    """A stream whose bytes become the file `name` when the block ends well, and vanish otherwise.

    A path is replaced in one step, links are followed, devices and named pipes are written to
    directly; a URL is sent at the end, as a whole.

    like : a file whose permissions and time the new one gets
    folders : whether missing folders are made
    check : called when the bytes are complete; may raise to give them up

    Raises OutputError.
    """
    if is_url(name):
        buffer = io.BytesIO()
        yield buffer
        check()
        with _explained(name, OutputError, "written"):
            _send(name, buffer.getvalue())
        return
    with _explained(name, OutputError, "written"):
        target = Path(os.path.realpath(path_of(name)))
        if target.exists() and not target.is_file():
            with target.open("wb") as stream:
                yield stream
            return
        if folders:
            target.parent.mkdir(parents=True, exist_ok=True)
        with _replacing(target, like, check) as stream:
            yield stream


@contextmanager
def _replacing(target: Path, like: str | None, check: Callable[[], None]) -> Iterator[BinaryIO]:
    temporary = target.with_name(_TEMPORARY.format(secrets.token_hex(8)))
    try:
        with _held(temporary) as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
            if like is not None and not is_url(like):
                _take_mode_and_time(temporary, like)
            check()  # the work took time; somebody else may have written the target
            if fcntl is None:
                stream.close()  # Windows moves no open file
            os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


def _held(path: Path) -> BinaryIO:
    """A new file that `sweep` leaves alone while it is open."""
    stream = path.open("xb")
    if fcntl is not None:
        with suppress(OSError):  # a file system without locks: nothing is swept there
            fcntl.flock(stream, fcntl.LOCK_EX)
        if not os.fstat(stream.fileno()).st_nlink:  # swept before it was locked
            stream.close()
            return _held(path)
    return stream


def sweep(folders: Collection[Path]) -> None:
    """Removes the temporary files in `folders` that a killed pcc left: nobody holds them."""
    if fcntl is None:
        return
    for folder in folders:
        for path in folder.glob(_TEMPORARY.format("*")):
            with suppress(OSError), path.open("rb") as stream:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
                path.unlink()


def _take_mode_and_time(path: Path, source: str) -> None:
    # A file system without permissions or times must not stop the work.
    with suppress(OSError):
        status = os.stat(path_of(source))
        path.chmod(status.st_mode & 0o777)
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def _send(url: str, data: bytes) -> None:
    store, path = _store(url)
    try:
        store.pipe_file(path, data)
    except FileNotFoundError:  # where folders are real
        store.makedirs(store._parent(path), exist_ok=True)
        store.pipe_file(path, data)


def _store(url: str) -> tuple[Any, str]:
    """The file system of a URL, and the path there."""
    try:
        from fsspec.core import url_to_fs

        store, path = url_to_fs(url)
    except ImportError as error:
        raise UnsupportedError(
            f"{shown(url)}: needs a package that is not installed ({reason(error)}); "
            "pip install 'pcc-cli[remote]' brings those for s3:// and http://"
        ) from error
    return store, path


@contextmanager
def _reading(name: str) -> Iterator[None]:
    with _explained(name, InputError, "read"):
        yield


@contextmanager
def _explained(name: str, kind: type[PccError], verb: str) -> Iterator[None]:
    """Errors of the system, and of stores, which have some of their own, as a `kind`."""
    foreign: type[Exception] = Exception if is_url(name) else OSError
    try:
        yield
    except (PccError, BrokenPipeError):
        raise
    except foreign as error:
        raise kind(f"{shown(name)}: cannot be {verb}: {reason(error)}") from error
