"""What a user says of the inputs of `pcc compress`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pcc_cli.cli import files

if TYPE_CHECKING:
    from pcc_cli.formats import Samples
    from pcc_cli.geometry import Whole


@dataclass(frozen=True)
class Reading:
    """See `formats.read`."""

    fields: tuple[str, ...]
    suffix: str | None
    samples: Samples | None

    def load(self, source: str, notes: list[str]) -> tuple[Whole, int]:
        """The shape and the size of its file, whose bytes are let go of; adds to the notes."""
        from pcc_cli import formats

        data = files.read(source)
        name = files.shown(source, "standard input")
        beside = files.beside(source)
        shape = formats.read(
            data, name, notes.append, self.fields, self.suffix, self.samples, beside
        )
        return shape, len(data)
