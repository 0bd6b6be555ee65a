"""Whole folders: which files a step works on, in parallel, and what is done already.

A class is a folder directly below the input, such as `chair` of ModelNet40; files beside such
folders are a class of their own. Trees below the input are kept below the output.
"""

from __future__ import annotations

import shutil
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from pcc_cli import formats
from pcc_cli.datasets.prepare import manifest
from pcc_cli.datasets.prepare.manifest import Entry, Made
from pcc_cli.datasets.prepare.steps import CLOUDS, MESHES, Blocks, MeshToPoints
from pcc_cli.errors import InputError
from pcc_cli.parallel import batch
from pcc_cli.progress import Progress

MESHES_OF_A_CLASS = 200  # of the ModelNet40 recipe
BLOCKS = 4000
TRAIN, DEV = "train", "dev"
POINTS_FOLDER, BLOCKS_FOLDER = "points", "blocks"

Failed = list[tuple[Path, Exception]]
Worked = MeshToPoints | Blocks
_NAMES = {MeshToPoints: "mesh-to-points", Blocks: "blocks"}


@dataclass(frozen=True)
class _Task:
    """One source of a step."""

    path: Path
    source: str
    origin: str
    out: Path
    step: Worked


@dataclass(frozen=True)
class Outcome:
    """files : in the output folder; made : sources worked on now; failed : those that could not"""

    files: int
    made: int
    failed: Failed


def found(folder: Path, suffixes: Sequence[str]) -> list[Path]:
    """All files below `folder` with one of `suffixes`, sorted; InputError when there are none."""
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder")
    paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in suffixes and p.is_file())
    if not paths:
        raise InputError(f"{folder}: has no {', '.join(suffixes)} file below it")
    return paths


def work(
    step: Worked, folder: Path, out: Path, jobs: int, progress: Progress,
    chosen: Sequence[Path] | None = None, start: Callable[[], None] | None = None,
) -> Outcome:  # fmt: skip
    """`step` for all files below `folder`, or those `chosen`, into `out`; done ones are left."""
    suffixes = MESHES if isinstance(step, MeshToPoints) else CLOUDS
    paths = found(folder, suffixes) if chosen is None else chosen
    known, origins = manifest.read(out), manifest.origins(folder)
    done, todo = [], []
    for path in paths:
        source = path.relative_to(folder).as_posix()
        entry = known.get(source)
        if (
            entry
            and entry.settings == asdict(step)
            and entry.is_done(out)
            and (entry.source_sha256 == manifest.sha256(path))
        ):
            done.append(entry)
        else:
            todo.append(_Task(path, source, origins.get(source, source), out, step))
    out.mkdir(parents=True, exist_ok=True)
    fresh, failed = [], []
    for number, (task, result) in enumerate(batch.run(_made, todo, jobs, start), 1):
        progress((len(done) + number) / len(paths), task.source)
        if isinstance(result, Exception):
            failed.append((task.path, result))
        else:
            manifest.append(out, result)
            fresh.append(result)
    manifest.rewrite(out, done + fresh)
    files = sum(len(entry.files) for entry in done + fresh)
    return Outcome(files, len(fresh), failed)


def _made(task: _Task) -> Entry:
    """Does one source; in a process of its own when there are several."""
    below = Path(task.source).parent
    clouds = task.step.files(task.path, Path(task.source).stem)
    files = []
    for name, cloud in clouds.items():
        data = formats.write(".ply", cloud)
        files.append(_written(task.out, below / name, data, len(cloud)))
    digest = manifest.sha256(task.path)
    step = _NAMES[type(task.step)]
    return Entry(task.source, task.origin, digest, step, asdict(task.step), tuple(files))


def _written(out: Path, name: Path, data: bytes, points: int) -> Made:
    path = out / name
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_bytes(data)
    temporary.replace(path)
    return Made(name.as_posix(), manifest.sha256(path), points)


def class_of(path: Path, folder: Path) -> str:
    """The folder directly below `folder` that holds `path`, "" for none."""
    parts = path.relative_to(folder).parts
    return parts[0] if len(parts) > 1 else ""


def largest(folder: Path, count: int, by_class: bool) -> list[Path]:
    """The `count` largest files of each class, or of all: by points, or by bytes of meshes."""
    paths = found(folder, tuple(sorted({*MESHES, *CLOUDS})))
    points = {m.path: m.points for e in manifest.read(folder).values() for m in e.files}
    classes = defaultdict(list)
    for path in paths:
        name = path.relative_to(folder).as_posix()
        size = points.get(name) or _points_in(path) or path.stat().st_size
        classes[class_of(path, folder) if by_class else ""].append((-size, name, path))
    return sorted(path for group in classes.values() for _, _, path in sorted(group)[:count])


def _points_in(path: Path) -> int | None:
    """Number of points that the header of a PLY without faces declares."""
    if path.suffix.lower() != ".ply":
        return None
    with path.open("rb") as file:
        head = file.read(1 << 14).split(b"end_header")[0]
    counts = {line.split()[1]: line.split()[2] for line in head.splitlines()
              if line.startswith(b"element ") and len(line.split()) == 3}  # fmt: skip
    return None if int(counts.get(b"face", b"0")) else int(counts.get(b"vertex", b"0"))


def copied(
    step: str, settings: dict[str, Any], folder: Path, out: Path,
    targets: dict[Path, str], progress: Progress,
) -> Outcome:  # fmt: skip
    """Copies of files below `folder` at the paths `targets` below `out`, with a manifest."""
    known, origins = manifest.read(out), manifest.origins(folder)
    points = {m.path: m.points for e in manifest.read(folder).values() for m in e.files}
    entries, made = [], 0
    for number, (path, target) in enumerate(sorted(targets.items()), 1):
        source = path.relative_to(folder).as_posix()
        digest = manifest.sha256(path)
        entry = Entry(source, origins.get(source, source), digest, step, settings,
                      (Made(target, digest, points.get(source)),))  # fmt: skip
        if known.get(source) != entry or not entry.is_done(out):
            (out / target).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, out / target)
            made += 1
        entries.append(entry)
        progress(number / len(targets), source)
    manifest.rewrite(out, entries)
    return Outcome(len(entries), made, [])


def select_largest(
    folder: Path, out: Path, count: int, by_class: bool, progress: Progress
) -> Outcome:
    """Copies the largest files."""
    targets = {p: p.relative_to(folder).as_posix() for p in largest(folder, count, by_class)}
    settings = {"count": count, "by_class": by_class}
    return copied("select-largest", settings, folder, out, targets, progress)


def split(
    folder: Path, out: Path, part: float, seed: int, progress: Progress,
    chosen: Sequence[Path] | None = None,
) -> Outcome:  # fmt: skip
    """Copies files to `train` and `dev`; what came from one source stays together.

    part : of the sources that go to `dev`, at least one when there are two or more; files below
        folders named `train` or `test` keep to that, as ModelNet40 has them
    """
    paths = found(folder, tuple(sorted({*MESHES, *CLOUDS}))) if chosen is None else chosen
    origins = manifest.origins(folder)
    origin_of = {p: origins.get(name := p.relative_to(folder).as_posix(), name) for p in paths}
    sources = sorted(set(origin_of.values()))
    held_back = {s for s in sources if "test" in Path(s).parts}
    free = [s for s in sources if not {"test", TRAIN} & set(Path(s).parts)]
    count = min(max(round(part * len(free)), 1 if part else 0), len(free) - 1) if free else 0
    order = np.random.default_rng(seed).permutation(len(free))
    held_back |= {free[i] for i in order[: max(count, 0)]}
    targets = {
        path: f"{DEV if origin in held_back else TRAIN}/{path.relative_to(folder).as_posix()}"
        for path, origin in origin_of.items()
    }
    return copied("split", {"part": part, "seed": seed}, folder, out, targets, progress)


def everything(
    folder: Path, out: Path, *, points: MeshToPoints, blocks: Blocks, meshes: int, count: int,
    part: float, seed: int, jobs: int, progress: Progress,
    start: Callable[[], None] | None = None,
) -> Iterator[tuple[str, Outcome]]:  # fmt: skip
    """All steps in turn: the name of each, and what came of it.

    meshes : the largest of each class that are taken; count : the largest blocks of all
    """
    found(folder, MESHES)
    chosen = [p for p in largest(folder, meshes, by_class=True) if p.suffix.lower() in MESHES]
    steps = partial(work, jobs=jobs, progress=progress, start=start)
    yield "mesh-to-points", steps(points, folder, out / POINTS_FOLDER, chosen=chosen)
    yield "blocks", steps(blocks, out / POINTS_FOLDER, out / BLOCKS_FOLDER)
    best = largest(out / BLOCKS_FOLDER, count, by_class=False)
    yield "split", split(out / BLOCKS_FOLDER, out, part, seed, progress, best)
