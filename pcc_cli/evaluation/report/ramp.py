"""Numbers as colours: ramps whose lightness runs one way, so that they also read in grey."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pcc_cli.geometry import Array


@dataclass(frozen=True)
class Ramp:
    """Colours at equal distances from 0 to 1, "#rrggbb"; those between are mixed."""

    stops: tuple[str, ...]

    def colours(self, values: Array) -> Array:
        """(..., 3) float32 in 0 .. 1 for `values` (...), cut to 0 .. 1; NaN counts as 0."""
        table = np.array([[int(stop[k : k + 2], 16) for k in (1, 3, 5)] for stop in self.stops])
        place = np.clip(np.nan_to_num(values), 0.0, 1.0) * (len(table) - 1)
        left = np.minimum(place.astype(np.int64), len(table) - 2)
        part = (place - left)[..., None]
        mixed = (1.0 - part) * table[left] + part * table[left + 1]
        return (mixed / 255.0).astype(np.float32)


# From "nothing lost" to "the most": pale as paper, then through amber and red to near black.
ERROR = Ramp(("#dfe6ee", "#ffe08a", "#ffab4a", "#ee5a36", "#b3124a", "#4c0a52"))
# From low to high ground.
HEIGHT = Ramp(("#38508c", "#3f7fa8", "#58a99a", "#9cc97f", "#e3d987", "#f0b467", "#e2865f"))
GREY = Ramp(("#101114", "#f6f6f4"))
