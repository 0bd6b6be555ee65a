"""The verbs of `pcc`, and the one place where their errors become a line and an exit code."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable
from typing import Annotated, Any, NoReturn

import typer

from pcc_cli import __version__
from pcc_cli.cli.compress import compress
from pcc_cli.cli.console import Console, explain
from pcc_cli.cli.decompress import decompress
from pcc_cli.cli.eval import evaluate
from pcc_cli.cli.info import info
from pcc_cli.cli.members import add, remove
from pcc_cli.cli.prepare import prepare
from pcc_cli.cli.settings import WithSettings
from pcc_cli.cli.train import train

VERBS: dict[str, Callable[..., None]] = {
    "compress": compress,
    "decompress": decompress,
    "info": info,
    "add": add,
    "remove": remove,
    "eval": evaluate,
    "prepare": prepare,
    "train": train,
}

# Plain help: boxes and colours of rich help double the time of `pcc --help`, and do not pipe well.
app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["--help", "-h"], "max_content_width": 100},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"pcc {__version__}")
        raise typer.Exit


@app.callback()
def _pcc(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Show version."),
    ] = False,
) -> None:
    """Compress 3D data: small files that decode to the same shape on every machine.

    Run 'pcc VERB --help' for the options of a verb. Exit codes: 0 done, 1 failed, 2 wrong usage.
    """


def _guarded(verb: Callable[..., None]) -> Callable[..., None]:
    """`verb`, with every error as one line on standard error and exit code 1."""

    @functools.wraps(verb)
    def run(**options: Any) -> None:
        try:
            verb(**options)
            sys.stdout.flush()
        except (typer.Exit, typer.BadParameter):
            raise
        except BrokenPipeError:
            _end_like_a_killed_pipe()
        except Exception as error:  # noqa: BLE001  (the last line of defence of the program)
            Console(debug=options["debug"]).fail(explain(error), error)
            raise typer.Exit(1) from None

    return run


def _end_like_a_killed_pipe() -> NoReturn:
    # The reader of our output went away. What is still buffered must not raise again at exit.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    raise typer.Exit(128 + 13)  # what a shell shows for SIGPIPE, which Windows lacks


for _name, _verb in VERBS.items():
    _kind = WithSettings if _verb in (compress, evaluate, add) else None
    app.command(_name, cls=_kind)(_guarded(_verb))
