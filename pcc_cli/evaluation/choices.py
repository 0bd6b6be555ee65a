"""What a user may choose about an evaluation, and the rates that follow."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from pcc_cli.evaluation.case import Case
from pcc_cli.evaluation.subject import Setting, Subject

# Factors by which the grid is made coarser: the octree ladder of MPEG's test conditions without
# its finest and its coarsest step; and 1, 4, 16 and 64 mm for scanners that count millimetres.
DENSE = tuple(Fraction(*ratio) for ratio in ((1, 1), (4, 3), (2, 1), (4, 1), (8, 1)))
SPARSE = tuple(Fraction(factor) for factor in (1, 4, 16, 64))


@dataclass(frozen=True)
class Choices:
    """Options of `pcc eval` that decide about rows.

    codecs : ids of our codecs; () means the default of the kind of file
    against : names of peers
    rates : factors of the grid in place of the default ladder; () means that ladder
    lossless : only rows that lose nothing
    attributes : codecs get the attributes, too; then nothing may be lost, for points that a coarser
        grid merges have none in common
    attribute_qualities : of lossy colours, a row for each in place of the lossless one
    entropy_models : of codecs that have some, each with rows of its own; () means their default
    settings : of our codecs, those that have them; device : where they compute
    step : the grid of the input, in units of the file; None: its own
    peak : of the coordinates for PSNR; None: that of `Case.peak`; 0.0: pc_error's default
    """

    codecs: tuple[str, ...] = ()
    against: tuple[str, ...] = ()
    rates: tuple[Fraction, ...] = ()
    lossless: bool = False
    attributes: bool = False
    attribute_qualities: tuple[float, ...] = ()
    entropy_models: tuple[str, ...] = ()
    settings: dict[str, Any] = field(default_factory=dict)
    device: str = "auto"
    step: float | None = None
    peak: float | None = None

    def ladder(self, case: Case) -> tuple[Fraction, ...]:
        """The factors for a cloud, ascending; 1 alone where nothing may be lost, and for meshes."""
        if self.lossless or self.attributes or case.kind != "points":
            return (Fraction(1),)
        return tuple(sorted(self.rates)) or (DENSE if case.dense else SPARSE)


def on_grids(codec: str, subject: Subject, ladder: tuple[Fraction, ...]) -> list[Setting]:
    """The settings of a lossless subject: one for each grid."""
    return [
        Setting(codec, "lossless" if factor == 1 else f"x{factor}", subject, factor)
        for factor in ladder
    ]
