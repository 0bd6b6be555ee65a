"""A volume as a picture: the slices through its middle, one across each axis."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pcc_cli.errors import InputError
from pcc_cli.evaluation.report.lettering import draw_text
from pcc_cli.evaluation.report.ramp import GREY, Ramp
from pcc_cli.geometry import Array, Volume

_PAPER, _INK = (250, 250, 248), (52, 56, 64)
_GAP, _LETTER = 16, 11.0  # pixels between slices, height of the letters below
_USUAL = (0.005, 0.995)  # part of the samples between black and white
_LOWEST = 0.6  # of the width of a plate: height of its lower slices, at most


class Slices(NamedTuple):
    """The middle slices of (z, y, x) samples, z upwards where it is an axis of the picture.

    across_z, across_y, across_x : (y, x), (z, x) and (z, y) samples
    places : the index of each slice on its axis, z, y, x
    spacing : of samples along x, y and z
    """

    across_z: Array
    across_y: Array
    across_x: Array
    places: tuple[int, int, int]
    spacing: tuple[float, float, float] = (1.0, 1.0, 1.0)

    @property
    def cuts(self) -> tuple[Array, Array, Array]:
        return self.across_z, self.across_y, self.across_x

    def samples(self) -> Array:
        """(n,) all that is shown, float64."""
        return np.concatenate([cut.astype(np.float64).ravel() for cut in self.cuts])

    def fits(self, other: Slices) -> bool:
        """Whether both are of volumes of one shape."""
        return [cut.shape for cut in self.cuts] == [cut.shape for cut in other.cuts]

    def difference(self, other: Slices) -> Slices:
        """The absolute difference of each sample, float64; 0 where one of them is not finite."""
        pairs = zip(self.cuts, other.cuts, strict=True)
        with np.errstate(invalid="ignore"):
            found = [np.abs(a.astype(np.float64) - b.astype(np.float64)) for a, b in pairs]
        z, y, x = (np.where(np.isfinite(cut), cut, 0.0) for cut in found)
        return Slices(z, y, x, self.places, self.spacing)


def middle(volume: Array) -> Slices:
    """Of samples (z, y, x); InputError when they have no three axes, or there are none."""
    if volume.ndim != 3 or not volume.size:
        raise InputError(f"a volume must be (z, y, x) with samples, not {volume.shape}")
    z, y, x = (length // 2 for length in volume.shape)
    return Slices(volume[z], volume[::-1, y], volume[::-1, :, x], (z, y, x))


def middle_of(volume: Volume) -> Slices:
    """Of the first time step and the first component."""
    values = volume.values[0] if volume.axes[0] == "t" else volume.values
    slices = middle(values[..., 0] if volume.axes[-1] == "c" else values)
    return slices._replace(spacing=volume.spacing)


def value_range(volume: Array) -> tuple[float, float]:
    """What is shown as black and as white: nearly all finite samples lie between."""
    values = volume[np.isfinite(volume)]
    if not len(values):
        return 0.0, 1.0
    low, high = (float(value) for value in np.quantile(values[:: 1 + len(values) // 2**21], _USUAL))
    return (low, high) if high > low else (float(values.min()), float(values.max()) or low + 1.0)


def render_slices(
    volume: Array, size: int = 260, *, limits: tuple[float, float] | None = None, ramp: Ramp = GREY
) -> Array:
    """(h, w, 3) uint8: the middle slices of `volume` (z, y, x) across z, y and x, side by side.

    size : pixels of the longest side of a slice; limits : as from `value_range`
    InputError when `volume` has no three axes or no samples.
    """
    slices = middle(volume)
    limits = limits or value_range(volume)
    factor = size / max(volume.shape)
    panels = []
    for name, place, cut in zip("zyx", slices.places, slices.cuts, strict=True):
        panel = _scaled(_shaded(cut, limits, ramp), factor, factor)
        panels.append(_on_paper(panel, size, f"{name} = {place}"))
    return np.concatenate(panels, axis=1)


def plate(slices: Slices, width: int, limits: tuple[float, float], ramp: Ramp = GREY) -> Array:
    """(h, width, 4) uint8 with opacity: the slice across z, and the other two below it.

    limits : as from `value_range`
    """
    dx, dy, dz = (abs(step) or 1.0 for step in slices.spacing)
    z, y, x = (_shaded(cut, limits, ramp) for cut in slices.cuts)
    rows, columns = z.shape[0] * dy, z.shape[1] * dx
    high = y.shape[0] * dz
    large = min(width / columns, width / rows)
    small = min((width - _GAP) / (columns + rows), _LOWEST * width / high)
    upper = _scaled(z, large * dy, large * dx)
    lower = [_scaled(y, small * dz, small * dx), _scaled(x, small * dz, small * dy)]
    image = np.zeros((len(upper) + _GAP + len(lower[0]), width, 4), dtype=np.uint8)
    _place(image, upper, 0, (width - upper.shape[1]) // 2)
    free = (width - lower[0].shape[1] - lower[1].shape[1] - _GAP) // 2
    _place(image, lower[0], len(upper) + _GAP, free)
    _place(image, lower[1], len(upper) + _GAP, free + lower[0].shape[1] + _GAP)
    return image


def _place(image: Array, panel: Array, top: int, left: int) -> None:
    """Puts an opaque panel (h, w, 3) on the picture."""
    left = max(left, 0)
    part = image[top : top + panel.shape[0], left : left + panel.shape[1]]
    part[..., :3], part[..., 3] = panel[: part.shape[0], : part.shape[1]], 255


def _shaded(cut: Array, limits: tuple[float, float], ramp: Ramp) -> Array:
    """(h, w, 3) uint8."""
    low, high = limits
    shades = ramp.colours((cut.astype(np.float64) - low) / max(high - low, 1e-300))
    return np.rint(255.0 * shades).astype(np.uint8)


def _scaled(image: Array, down: float, across: float) -> Array:
    """`image` with so many times the pixels each way; small samples stay squares."""
    rows, columns = (
        np.minimum((np.arange(max(round(n * factor), 1)) / factor).astype(np.int64), n - 1)
        for n, factor in zip(image.shape[:2], (down, across), strict=True)
    )
    return image[np.ix_(rows, columns)]


def _on_paper(panel: Array, size: int, label: str) -> Array:
    """`panel` in the middle of a square of paper, its name below."""
    height, width = panel.shape[:2]
    strip = int(3 * _LETTER)
    paper = np.empty((size + _GAP + strip, size + _GAP, 3), dtype=np.uint8)
    paper[:] = _PAPER
    top, left = (size - height + _GAP) // 2, (size - width + _GAP) // 2
    paper[top : top + height, left : left + width] = panel
    draw_text(paper, label, left, size + _GAP + 1.6 * _LETTER, _LETTER, _INK)
    return paper
