"""`pcc prepare`: options, one step or all of them, a line for each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pcc_cli.cli import options
from pcc_cli.cli.console import Console, explain
from pcc_cli.cli.signals import stop_cleanly
from pcc_cli.progress import Progress
from pcc_cli.words import plural

if TYPE_CHECKING:
    from pcc_cli.datasets.prepare.pipeline import Outcome

STEPS = ("mesh-to-points", "blocks", "select-largest", "split")
ALL = "all"


def prepare(
    words: Annotated[
        list[str],
        typer.Argument(metavar="[STEP] FOLDER", help="Folder to work on, and which step alone."),
    ],
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="DIR", help="Folder of what is made.")
    ],
    resolution: Annotated[
        int, typer.Option(min=2, metavar="N", help="mesh-to-points: voxels along a mesh.")
    ] = 512,
    samples: Annotated[
        int, typer.Option(min=1, metavar="N", help="mesh-to-points: points drawn on a mesh.")
    ] = 500_000,
    normals: Annotated[
        bool, typer.Option("--normals", help="mesh-to-points: keep the normals of faces.")
    ] = False,
    level: Annotated[
        int, typer.Option(min=0, max=20, metavar="N", help="blocks: how often clouds are halved.")
    ] = 3,
    block_size: Annotated[
        int, typer.Option(min=0, metavar="N", help="blocks: voxels along one; 0: by --level.")
    ] = 0,
    min_points: Annotated[
        int, typer.Option(min=1, metavar="N", help="blocks: leave out those with fewer points.")
    ] = 100,
    meshes: Annotated[
        int, typer.Option(min=1, metavar="N", help="all: largest meshes taken of each class.")
    ] = 200,
    count: Annotated[
        int, typer.Option(min=1, metavar="N", help="all: largest blocks taken.")
    ] = 4000,
    whole: Annotated[
        bool, typer.Option("--whole", help="select-largest: of the folder, not of each class.")
    ] = False,
    dev: Annotated[
        float, typer.Option(min=0, max=0.9, metavar="PART", help="split: part kept for scoring.")
    ] = 0.1,
    seed: Annotated[int, typer.Option(min=0, metavar="N", help="Of all that is random.")] = 0,
    jobs: options.Jobs = 1,
    json: options.Json = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Make training data from folders of meshes: points, blocks, a selection, a split.

    Without STEP all are done: the largest meshes of each class become clouds on a grid, these are
    cut into blocks, and the largest blocks go to DIR/train and DIR/dev. The defaults are those of
    the ModelNet40 recipe. Classes are the folders directly below FOLDER. DIR gets a manifest with
    the SHA-256 of every file; a run that was stopped goes on where it was.

    \b
    Steps: mesh-to-points, blocks, select-largest N, split
    \b
    Examples:
      pcc prepare ModelNet40/ -o data/ --jobs 4
      pcc prepare mesh-to-points meshes/ -o points/ --resolution 1024 --normals
      pcc prepare select-largest 200 points/ -o largest/
    """
    from pcc_cli.datasets.prepare import pipeline
    from pcc_cli.datasets.prepare.steps import Blocks, MeshToPoints

    step, number, folder = _meant(words)
    console = Console(quiet=quiet, debug=debug, json=json)
    jobs = 1 if debug else jobs
    points = MeshToPoints(resolution, samples, normals, seed)
    cut = Blocks(level, block_size, min_points)

    def outcomes(progress: Progress) -> Iterator[tuple[str, Outcome]]:
        if step == ALL:
            yield from pipeline.everything(
                folder, out, points=points, blocks=cut, meshes=meshes, count=count, part=dev,
                seed=seed, jobs=jobs, progress=progress, start=stop_cleanly,
            )  # fmt: skip
        elif step == "select-largest":
            yield step, pipeline.select_largest(folder, out, number, not whole, progress)
        elif step == "split":
            yield step, pipeline.split(folder, out, dev, seed, progress)
        else:
            work = points if step == "mesh-to-points" else cut
            yield step, pipeline.work(work, folder, out, jobs, progress, start=stop_cleanly)

    failed = 0
    with console.progress("pcc prepare") as progress:
        for name, outcome in outcomes(progress):
            failed += len(outcome.failed)
            _tell(console, name, outcome)
    if failed:
        raise typer.Exit(1)


def _meant(words: list[str]) -> tuple[str, int, Path]:
    """Step, its number (0 for none), folder."""
    step = words[0] if words[0] in STEPS else ALL
    rest = words[1:] if step != ALL else words
    number = 0
    if step == "select-largest":
        if not rest or not rest[0].isdecimal() or int(rest[0]) < 1:
            raise typer.BadParameter("takes how many: select-largest 200 FOLDER", param_hint=step)
        number, rest = int(rest[0]), rest[1:]
    if len(rest) != 1:
        raise typer.BadParameter(
            f"one folder is worked on, not {plural(len(rest), 'folder')}", param_hint="FOLDER"
        )
    return step, number, Path(rest[0])


def _tell(console: Console, step: str, outcome: Outcome) -> None:
    for path, error in outcome.failed:
        console.fail(explain(error, str(path)), error)
    record = {"step": step, "files": outcome.files, "made": outcome.made,
              "failed": len(outcome.failed)}  # fmt: skip
    console.record(record)
    kept = "" if outcome.made else ", done before"
    console.say(f"{step}: {plural(outcome.files, 'file')}{kept}")
