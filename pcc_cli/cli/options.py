"""The options that several verbs share, each declared once."""

from __future__ import annotations

import math
from contextlib import suppress
from enum import Enum
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from pcc_cli.formats import Samples


def positive(text: str) -> float:
    """A positive number; the parser of an option."""
    with suppress(ValueError):
        number = float(text)
        if math.isfinite(number) and number > 0:
            return number
    raise typer.BadParameter(f"'{text}' is not a positive number")


def byte_count(text: str) -> int:
    """A number of bytes, with k or M behind it for thousands or millions."""
    factor = {"k": 1000, "m": 1_000_000}.get(text[-1:].lower(), 1)
    digits = text if factor == 1 else text[:-1]
    with suppress(ValueError):
        count = float(digits) * factor
        if math.isfinite(count) and count >= 1:
            return int(count)
    raise typer.BadParameter(f"'{text}' is not a number of bytes, such as 4096 or 4k")


Inputs = Annotated[
    list[str], typer.Argument(metavar="FILE", help="Files, folders, 'patterns*', or - alone.")
]
Output = Annotated[
    str | None,
    typer.Option("--output", "-o", metavar="PATH", help="File, folder (DIR/), or - for a pipe."),
]


Format = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="Format of the 3D file, such as ply, las or pcd."),
]


def suffix(format: str | None) -> str | None:
    """The suffix of the format that --format names."""
    from pcc_cli import formats

    wanted = None if format is None else "." + format.lower().lstrip(".")
    if wanted is not None and wanted not in formats.SUFFIXES:
        known = ", ".join(name[1:] for name in formats.SUFFIXES)
        raise typer.BadParameter(f"'{format}' is none of {known}", param_hint="--format")
    return wanted


def samples(shape: str | None, dtype: str | None) -> Samples | None:
    """What --shape and --dtype say of raw samples; None without them."""
    if shape is None and dtype is None:
        return None
    from pcc_cli.formats import Samples

    sides = None
    if shape is not None:
        with suppress(ValueError):
            sides = tuple(int(part) for part in shape.replace("x", ",").split(","))
        if not sides or min(sides) < 1 or not 3 <= len(sides) <= 5:
            message = f"'{shape}' is not z,y,x, such as 128,256,256"
            raise typer.BadParameter(message, param_hint="--shape")
    return Samples(sides, dtype)


class DeviceChoice(str, Enum):
    """Where networks run."""

    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"


Device = Annotated[
    DeviceChoice,
    typer.Option("--device", help="Where the network runs; auto takes a GPU when there is one."),
]
Force = Annotated[bool, typer.Option("--force", "-f", help="Overwrite existing files.")]
SkipExisting = Annotated[
    bool, typer.Option("--skip-existing", help="Leave out inputs whose output exists already.")
]
Recursive = Annotated[
    bool, typer.Option("--recursive", "-r", help="Look into the folders below a folder, too.")
]
Jobs = Annotated[
    int, typer.Option("--jobs", "-j", min=1, metavar="N", help="Work on N files at a time.")
]
Json = Annotated[
    bool, typer.Option("--json", help="Print one JSON record a file on standard output.")
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but errors.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Say more about each file.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show where in the code an error arose.")]
