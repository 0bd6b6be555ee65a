"""A volume as a picture: the slices through its middle, one across each axis."""

from __future__ import annotations

import numpy as np

from pcc_cli.errors import InputError
from pcc_cli.evaluation.report.lettering import draw_text
from pcc_cli.evaluation.report.ramp import GREY, Ramp
from pcc_cli.geometry import Array

_PAPER, _INK = (250, 250, 248), (52, 56, 64)
_GAP, _LETTER = 16, 11.0  # pixels between slices, height of the letters below
_USUAL = (0.005, 0.995)  # part of the samples between black and white


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
    if volume.ndim != 3 or not volume.size:
        raise InputError(f"a volume must be (z, y, x) with samples, not {volume.shape}")
    low, high = limits or value_range(volume)
    middle = [length // 2 for length in volume.shape]
    # z upwards where it is an axis of the picture, as on a screen of a scanner.
    cuts = [volume[middle[0]], volume[::-1, middle[1]], volume[::-1, :, middle[2]]]
    panels = []
    for name, place, cut in zip("zyx", middle, cuts, strict=True):
        shades = ramp.colours((cut.astype(np.float64) - low) / max(high - low, 1e-300))
        panel = _scaled(np.rint(255.0 * shades).astype(np.uint8), size / max(volume.shape))
        panels.append(_on_paper(panel, size, f"{name} = {place}"))
    return np.concatenate(panels, axis=1)


def _scaled(image: Array, factor: float) -> Array:
    """`image` with `factor` times as many pixels each way; small samples stay squares."""
    rows, columns = (
        np.minimum((np.arange(max(round(n * factor), 1)) / factor).astype(np.int64), n - 1)
        for n in image.shape[:2]
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
