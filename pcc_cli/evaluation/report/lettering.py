"""Text in pictures: a small alphabet of pen strokes, drawn smoothly at any size."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from pcc_cli.geometry import Array

# Strokes of each sign: places "xy" on a grid with the base line at y = 2, small letters up to 6 and
# large ones up to 8. A stroke is bent by its inner places; a place named twice is a corner.
_STROKES = {
    "a": "44 46 06 02 42 44,46 42", "b": "08 02,04 06 46 42 02 04", "c": "45 46 06 02 42 43",
    "d": "48 42,44 46 06 02 42 44", "e": "04 44 44 46 06 02 42 43", "f": "38 18 17 12,06 26",
    "g": "44 46 06 02 42 44,46 40 00 01", "h": "08 02,04 06 46 43 42", "i": "06 02,08 08",
    "j": "16 11 10 00,18 18", "k": "08 02,36 04 04 32", "l": "08 02",
    "m": "06 02,04 06 36 33 32,34 36 66 63 62", "n": "06 02,04 06 46 43 42",
    "o": "26 46 42 02 06 26", "p": "06 00,04 06 46 42 02 04", "q": "46 40,44 46 06 02 42 44",
    "r": "06 02,04 06 36", "s": "45 46 06 04 44 42 02 03", "t": "18 12 32,06 36",
    "u": "06 05 02 42 44,46 42", "v": "06 22 22 46", "w": "06 12 12 35 35 52 52 66",
    "x": "06 42,02 46", "y": "06 22,46 10", "z": "06 46 46 02 02 42",
    "B": "08 02,08 58 55 05,05 55 52 02", "M": "02 08 08 33 33 68 68 62",
    "0": "28 48 42 02 08 28", "1": "07 28 28 22", "2": "07 08 48 45 02 02 42",
    "3": "07 08 48 45 15,15 45 42 02 03", "4": "32 38 38 04 04 44",
    "5": "48 08 08 05 05 46 42 02 03", "6": "38 08 02 42 45 05 04", "7": "08 48 48 12",
    "8": "25 45 48 08 05 25,25 45 42 02 05 25", "9": "12 42 48 08 05 45 46",
    ".": "02 02", ",": "12 01", ":": "02 02,05 05", "·": "04 04", "-": "04 34", "_": "02 42",
    "%": "18 28 26 06 08 18,34 44 42 22 24 34,02 48", "/": "00 48", "(": "19 05 11",
    ")": "09 15 01", "+": "04 44,26 22", "=": "03 43,05 45", "→": "04 64,46 64 64 42", " ": "",
}  # fmt: skip
_UNKNOWN = "02 42 42 48 48 08 08 02"  # a box
_GAP, _SPACE, _PEN = 1.7, 1.2, 0.42  # between signs, of a space, radius of the pen: grid units
_HEIGHT = 6.0  # of large letters


def text_width(text: str, size: float) -> float:
    """Pixels that `text` takes whose large letters are `size` pixels high."""
    return sum(_advance(sign) for sign in text) * size / _HEIGHT


def draw_text(
    image: Array, text: str, left: float, baseline: float, size: float, colour: tuple[int, ...]
) -> None:
    """Write `text` into `image`, (h, w, 3) uint8; `colour` is three values of 0 .. 255.

    left, baseline : column and row where the text starts and stands, in pixels
    Signs that the alphabet lacks become small letters or boxes; what lies outside is cut off.
    """
    unit = size / _HEIGHT
    for sign in text:
        for first, second in _segments(sign):
            start = np.array([left, baseline]) + unit * first
            end = np.array([left, baseline]) + unit * second
            _ink(image, start, end, unit * _PEN, colour)
        left += unit * _advance(sign)


def _ink(image: Array, start: Array, end: Array, pen: float, colour: tuple[int, ...]) -> None:
    """Draw a line with round ends; its rim is half transparent over one pixel."""
    size = np.array(image.shape[1::-1])
    low = np.clip(np.floor(np.minimum(start, end) - pen - 1), 0, size).astype(int)
    high = np.clip(np.ceil(np.maximum(start, end) + pen + 1), 0, size).astype(int)
    window = image[low[1] : high[1], low[0] : high[0]]
    if not window.size:
        return
    rows, columns = np.indices(window.shape[:2])
    offset = np.stack([columns + low[0], rows + low[1]], axis=-1) + 0.5 - start
    along = end - start
    part = np.clip(offset @ along / max(float(along @ along), 1e-9), 0.0, 1.0)
    away = np.linalg.norm(offset - part[..., None] * along, axis=-1)
    cover = np.clip(pen - away + 0.5, 0.0, 1.0)[..., None]
    window[:] = np.rint(np.array(colour) * cover + window * (1.0 - cover)).astype(np.uint8)


def _strokes(sign: str) -> list[Array]:
    """The strokes (k, 2) of a sign, x to the right and y down from the base line."""
    strokes = _STROKES.get(sign, _STROKES.get(sign.lower(), _UNKNOWN))
    return [
        np.array([(int(place[0]), 2 - int(place[1])) for place in stroke.split()], dtype=np.float64)
        for stroke in strokes.split(",")
        if stroke
    ]


def _advance(sign: str) -> float:
    widths = [float(stroke[:, 0].max()) for stroke in _strokes(sign)]
    return max(widths, default=_SPACE) + _GAP


def _segments(sign: str) -> list[tuple[Array, Array]]:
    """Start and end (2,) of the short lines that make up a sign, in grid units."""
    found = []
    for stroke in _strokes(sign):
        bent = stroke
        for _ in range(3):  # cut the corners, keep the ends
            cuts = np.stack([0.75 * bent[:-1] + 0.25 * bent[1:],
                             0.25 * bent[:-1] + 0.75 * bent[1:]], axis=1)  # fmt: skip
            bent = np.concatenate([bent[:1], cuts.reshape(-1, 2), bent[-1:]])
        found += list(pairwise(bent))
    return found
