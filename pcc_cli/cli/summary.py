"""The table at the end of a batch."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

from pcc_cli.words import size


@dataclass
class Summary:
    """The sums over the files of a batch.

    bits : of the compressed files
    """

    files: int = 0
    failed: int = 0
    skipped: int = 0
    points: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    bits: float = 0.0

    def add(self, record: dict[str, Any]) -> None:
        """Counts what was made of one file, or found in it."""
        points = record.get("points", record.get("count", 0))
        self.files += 1
        self.points += points
        self.bytes_in += record.get("bytes_in", record.get("bytes", 0))
        self.bytes_out += record.get("bytes_out", 0)
        self.bits += record["bits_per_point"] * points

    def print(self, seconds: float) -> None:
        """The table, on standard error."""
        cells = {
            "files": f"{self.files:,}",
            "failed": f"{self.failed:,}",
            "skipped": f"{self.skipped:,}",
            "points": f"{self.points:,}",
            "bytes in": size(self.bytes_in),
            **({"bytes out": size(self.bytes_out)} if self.bytes_out else {}),  # not of `pcc info`
            "bits per point": f"{self.bits / self.points:.2f}" if self.points else "-",
            "time": f"{seconds:.1f} s",
        }
        if sys.stderr.isatty():
            self._draw(cells)
            return
        widths = [max(len(title), len(text)) for title, text in cells.items()]
        for row in (cells.keys(), cells.values()):
            padded = (text.rjust(width) for text, width in zip(row, widths, strict=True))
            print("  ".join(padded), file=sys.stderr)

    def _draw(self, cells: dict[str, str]) -> None:
        # Imported here: only terminals need it.
        from rich import box
        from rich.console import Console
        from rich.table import Table

        table = Table(box=box.SIMPLE_HEAD)
        for title in cells:
            red = title == "failed" and self.failed
            table.add_column(title, justify="right", style="bold red" if red else "")
        table.add_row(*cells.values())
        Console(stderr=True, highlight=False).print(table)
