"""The run: every file by every codec at every rate, each row in processes of its own."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

from pcc_cli import codecs
from pcc_cli.errors import UnsupportedError
from pcc_cli.evaluation import dcz, measure, peers, pictures, rows, sets, worker
from pcc_cli.evaluation.case import Case, coarser, finer
from pcc_cli.evaluation.choices import Choices
from pcc_cli.evaluation.exchange import Cost
from pcc_cli.evaluation.rows import Row
from pcc_cli.evaluation.subject import Setting
from pcc_cli.geometry import MeshSet, Whole
from pcc_cli.parallel import batch


@dataclass(frozen=True)
class Task:
    """One row to be measured.

    row : what is known before
    path : of the input
    keep : the folder of the run, for pictures; None: nothing is kept
    members : all files, where the input is a set of meshes
    """

    row: Row
    path: Path
    setting: Setting
    choices: Choices
    keep: Path | None = None
    members: tuple[Path, ...] = ()


class Plan(NamedTuple):
    """tasks : rows to measure; skipped : rows that cannot be, with the reason."""

    tasks: list[Task]
    skipped: list[Row]


def plan(paths: Sequence[Path], choices: Choices, keep: Path | None = None) -> Plan:
    """What an evaluation of `paths` has to measure.

    InputError for a file that cannot be read, UnsupportedError for an unknown codec or peer.
    """
    for name in choices.codecs:
        codecs.resolve(name)
    for name in choices.against:
        peers.check(name)
    if sets.wanted(choices):
        return _plan_of_set(tuple(paths), choices)
    tasks: list[Task] = []
    skipped: list[Row] = []
    for path in paths:
        case = measure.reference(path, choices.step, choices.attributes).case
        blank = Row(case.file, case.sha256, case.kind, len(case.shape), "", case.grid)
        for name, make in _subjects(case, choices):
            try:
                for setting in make():
                    tasks.append(
                        Task(_begun(blank, setting, choices), path, setting, choices, keep)
                    )
            except UnsupportedError as error:
                skipped.append(replace(blank, codec=name, skipped=str(error)))
    return Plan(tasks, skipped)


def _plan_of_set(paths: tuple[Path, ...], choices: Choices) -> Plan:
    """The rows of all files as one set."""
    case, found = sets.load(paths), Plan([], [])
    blank = sets.blank(case)
    for name, make in sets.subjects(case, choices):
        try:
            for setting in make():
                row = _begun(blank, setting, choices)
                found.tasks.append(Task(row, paths[0], setting, choices, None, paths))
        except UnsupportedError as error:
            found.skipped.append(replace(blank, codec=name, skipped=str(error)))
    return found


def _subjects(case: Case, choices: Choices) -> Iterator[tuple[str, Callable[[], list[Setting]]]]:
    """Every codec and peer that takes such a file, and how to get its settings."""
    for name in choices.codecs or codecs.compared(case.kind):
        yield name, partial(dcz.settings, name, case, choices)
    for name in choices.against:
        yield name, partial(peers.settings, name, case, choices)


def _begun(blank: Row, setting: Setting, choices: Choices) -> Row:
    """What a row says before it is measured.

    UnsupportedError when the program is missing, or does not do what was chosen.
    """
    if choices.attributes and not setting.subject.keeps_attributes:
        raise UnsupportedError("it codes the geometry alone")
    conditions = [
        setting.subject.command(),
        *([f"on a grid {setting.divisor} times coarser"] if setting.divisor != 1 else []),
        *([f"--step {choices.step:g}"] if choices.step is not None else []),
        *(["--attributes"] if choices.attributes else []),
        *([f"--peak {choices.peak:g}"] if choices.peak is not None else []),
    ]
    return replace(
        blank,
        codec=setting.codec,
        setting=setting.label,
        version=setting.subject.version(),
        config=", ".join(conditions),
    )


def execute(
    work: Plan,
    folder: Path,
    jobs: int = 1,
    start: Callable[[], None] | None = None,
) -> Iterator[tuple[Row, Row | Exception]]:
    """Each row of the plan, as begun, with the measured one or what went wrong.

    Rows that `folder` has already come first and are not measured again. Every new row is in
    `rows.jsonl` before it is handed out, so that an interrupted run goes on where it stopped;
    it takes the place of rows for the same file, codec and setting.
    """
    known = {row.key: row for row in rows.read_rows(folder)}
    done = [known[task.row.key] for task in work.tasks if task.row.key in known]
    todo = [task for task in work.tasks if task.row.key not in known]
    replaced = {_place(row) for row in [*work.skipped, *(task.row for task in todo)]}
    kept = [row for row in known.values() if _place(row) not in replaced]
    rows.write_rows(folder, [*kept, *work.skipped])
    yield from ((row, row) for row in done)
    for task, outcome in batch.run(measure_row, todo, jobs, start):
        if isinstance(outcome, Row):
            rows.append_row(folder, outcome)
        yield task.row, outcome


def _place(row: Row) -> tuple[str, str, str]:
    return row.file, row.codec, row.setting


def measure_row(task: Task) -> Row:
    """The row of `task`, coded and decoded in two fresh processes. PccError when that fails."""
    if task.members:
        return _measure_set(task)
    choices = task.choices
    original = measure.reference(task.path, choices.step, choices.attributes)
    case, setting = original.case, task.setting
    with tempfile.TemporaryDirectory(prefix="pcc-eval-") as name:
        folder = Path(name)
        worker.prepare(folder, setting.subject, coarser(case.shape, setting.divisor))
        there = worker.ask(worker.ENCODE, folder)
        back = worker.ask(worker.DECODE, folder)
        whole = worker.decoded(folder)
        assert not isinstance(whole, MeshSet)
        decoded = finer(whole, setting.divisor)
    outcome = measure.compare(original, decoded, choices.peak)
    original_name, decoded_name = _pictures(task, case, decoded, outcome.lossless)
    return replace(
        _costed(task.row, there, back),
        lossless=outcome.lossless,
        metrics=outcome.metrics,
        peak=outcome.peak,
        original=original_name,
        reconstruction=decoded_name,
    )


def _costed(row: Row, there: Cost, back: Cost) -> Row:
    """The row with what coding and decoding took."""
    return replace(
        row,
        bytes=there.bytes,
        bpp=8 * there.bytes / row.points,
        sections=there.sections,
        encode_s=round(there.seconds, 4),
        decode_s=round(back.seconds, 4),
        encode_mb=round(there.mb, 1),
        decode_mb=round(back.mb, 1),
        device=there.device,
    )


def _measure_set(task: Task) -> Row:
    case = sets.load(task.members)
    with tempfile.TemporaryDirectory(prefix="pcc-eval-") as name:
        folder = Path(name)
        worker.prepare(folder, task.setting.subject, case.shape)
        there = worker.ask(worker.ENCODE, folder)
        back = worker.ask(worker.DECODE, folder)
        decoded = worker.decoded(folder)
    return replace(_costed(task.row, there, back), metrics=sets.compare(case, decoded))


def _pictures(task: Task, case: Case, decoded: Whole, lossless: bool) -> tuple[str, str]:
    """The names of the kept shapes; a lossless row shows the original."""
    if task.keep is None:
        return "", ""
    original = pictures.keep_original(task.keep, case)
    shown = (
        original
        if lossless
        else pictures.keep_decoded(task.keep, case, task.row.codec, task.row.setting, decoded)
    )
    return original, shown
