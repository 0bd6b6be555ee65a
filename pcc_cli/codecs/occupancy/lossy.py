"""What a lossy file leaves out: the finest levels of a surface, or the precision of a scan.

On a surface the decoder grows levels that were not coded: the network that predicts a bit also
decides it. A level may be coded in part, where the network is not sure; so rates are as fine as one
likes. On sparse clouds nothing can be grown; their voxels are put on a coarser grid.

Every number here is an integer and every choice is in the file, so that all machines grow the same
points. `docs/format-occupancy.md`, "Lossy files".
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from pcc_cli.errors import FormatError
from pcc_cli.fields import integer
from pcc_cli.geometry import Array
from pcc_cli.tree.morton import distinct, morton_order

UNIT = 256  # of `Loss.scale`: the grid is left as it is
COARSEST = 1 << 32
OCTAVES = 6.0  # what quality 0 would leave out: a factor of 64 for each axis
MOST_GROWN = 3.0  # octaves
DENSE = 2  # voxels for each node of the level above, from which on a cloud is a surface
SUREST = 2500  # log odds in units of 1/256: no bit is surer, so that all are coded
# Log odds above which a bit of the last level is 1. Where a single level is grown, the points that
# are too many weigh more than those that are missing, since the larger error counts.
THRESHOLD_ALONE, THRESHOLD = 96, 16
_HALFWAY = 200  # `Loss.sure` where half of an octave is left out


@dataclass(frozen=True)
class Loss:
    """The choices of a file.

    scale : a voxel of the tree has this many 256ths of the sides of the source's
    grown : levels below those that are coded in full
    sure : of the first grown level, bits whose log odds are nearer to 0 are coded
    threshold : log odds above which a grown bit of the last level is 1
    """

    scale: int = UNIT
    grown: int = 0
    sure: int = 0
    threshold: int = 0

    def to_json(self) -> dict[str, Any]:
        """Members that are not those of a lossless file."""
        return {
            name: value for name, value in asdict(self).items() if value != getattr(_NONE, name)
        }

    @classmethod
    def from_json(cls, meta: dict[str, Any], depth: int) -> Loss:
        """The choices in `meta` of a tree of `depth` levels. Raises FormatError."""
        given = {**asdict(_NONE), **meta}
        loss = cls(
            integer(given, "scale", 1, COARSEST),
            integer(given, "grown", 0, depth),
            integer(given, "sure", 0, SUREST),
            integer(given, "threshold", -SUREST, SUREST),
        )
        if loss.sure and not loss.grown:
            raise FormatError("a level is coded in part, and in full")
        return loss


_NONE = Loss()


def choose(voxels: Array, quality: float) -> Loss:
    """What to leave out of `voxels` at a `quality` from 0 to 100.

    voxels : (n, 3) distinct, in canonical order

    As many octaves as it takes to make the cloud a surface go into the scale, and those beyond
    three that are left: a coarser grid costs less there than a level in part.
    """
    octaves = OCTAVES * (100 - quality) / 100
    sparse = min(octaves, float(_octaves_to_surface(voxels, int(np.ceil(octaves)))))
    left = min(octaves - sparse, MOST_GROWN)
    scale = round(UNIT * 2 ** (octaves - left))
    grown = int(np.ceil(left - 1e-9))
    if not grown:
        return Loss(scale)
    part = grown - left  # of the first grown level, as a share of an octave
    sure = min(round(_HALFWAY * part / max(1 - part, 1e-9)), SUREST)
    alone = min(max(2 - left, 0.0), 1.0)
    return Loss(scale, grown, sure, round(THRESHOLD + alone * (THRESHOLD_ALONE - THRESHOLD)))


def _octaves_to_surface(voxels: Array, most: int) -> int:
    """How often the grid has to double until voxels fill their surface; at most `most` times."""
    cells = voxels
    for octave in range(most):
        above = distinct(cells >> 1)
        if len(cells) >= DENSE * len(above):
            return octave
        cells = above
    return most


def coarser(voxels: Array, scale: int) -> Array:
    """The cells of `scale` / 256 that hold `voxels` (n, 3), each once, in canonical order."""
    if scale == UNIT:
        return voxels
    cells = voxels * UNIT // scale
    return distinct(cells[morton_order(cells)])


def finer(voxels: Array, scale: int) -> Array:
    """The centres of the cells `voxels`, (n, 3), in the source's grid."""
    if scale == UNIT:
        return voxels
    return np.minimum((voxels * scale + scale // 2) // UNIT, (1 << 32) - 1)
