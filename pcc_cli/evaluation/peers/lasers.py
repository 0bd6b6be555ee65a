"""The lasers of a spinning scanner, found in a scan whose file has one laser's turn after another.

G-PCC's angular modes predict points from such a table, which its files hold. A laser stands at a
height on the axis of the scanner and looks up at an angle: z = tangent * r + height, where r is the
distance from the axis.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pcc_cli.geometry import Array

LEAST_LASERS, LEAST_POINTS = 4, 50  # of a scanner, and of a laser's turn
FITTED = 0.9  # part of the points that has to lie within FITTED_STEPS of its laser's line
FITTED_STEPS = 3.0
LEAST_STEPS, TICKS = 300, 1 << 16  # of a turn: the fewest of a scanner, and those looked at
ROUNDS = 6  # of fitting lines to the points that lie near them


@dataclass(frozen=True)
class Lasers:
    """tangents, heights : of each laser, heights in units of the file; steps : points in a turn."""

    tangents: tuple[float, ...]
    heights: tuple[float, ...]
    steps: int


def find(points: Array, step: float) -> Lasers | None:
    """The lasers of a scan, sorted by tangent; None when it is not one of this kind.

    points : (n, 3) in the order of the file, the scanner at the origin
    step : of the grid, which bounds how well they can fit
    """
    values = points.astype(np.float64)
    azimuth = np.arctan2(values[:, 1], values[:, 0])
    turns = _turns(azimuth)
    if len(turns) < LEAST_LASERS:
        return None
    radius = np.hypot(values[:, 0], values[:, 1])
    fits = [_line(radius[turn], values[turn, 2], step) for turn in turns]
    inside = sum(near for _, _, near in fits)
    if inside < FITTED * len(points):
        return None
    tangents, heights = zip(*sorted((tangent, height) for tangent, height, _ in fits), strict=True)
    return Lasers(tangents, heights, _steps(azimuth, turns))


def _turns(azimuth: Array) -> list[slice]:
    """The points of each laser: a turn ends where the azimuth passes zero on its way."""
    growing = np.median(np.sign(np.diff(azimuth))) > 0 if len(azimuth) > 1 else True
    angle = azimuth if growing else -azimuth
    crossings = (angle[:-1] < 0) & (angle[1:] >= 0) & (np.diff(angle) < 1)
    ends = np.concatenate([[0], np.flatnonzero(crossings) + 1, [len(angle)]])
    turns = [slice(a, b) for a, b in zip(ends[:-1].tolist(), ends[1:].tolist(), strict=True)]
    return [turn for turn in turns if turn.stop - turn.start >= LEAST_POINTS]


def _line(radius: Array, z: Array, step: float) -> tuple[float, float, int]:
    """Tangent and height of the line through most points, and how many are near it."""
    keep = np.ones(len(radius), bool)
    design = np.stack([radius, np.ones(len(radius))], axis=1)
    error, line = np.zeros(len(z)), np.zeros(2)
    for _ in range(ROUNDS):
        line = np.linalg.lstsq(design[keep], z[keep], rcond=None)[0]
        error = np.abs(design @ line - z)
        keep = error <= max(3 * float(np.median(error[keep])), step)
    return float(line[0]), float(line[1]), int((error <= FITTED_STEPS * step).sum())


def _steps(azimuth: Array, turns: list[slice]) -> int:
    """Ticks of the scanner in a turn: the strongest frequency of its azimuths, laser by laser."""
    spectrum = np.zeros(TICKS // 2 + 1)
    for turn in turns:
        ticks = ((azimuth[turn] / (2 * np.pi)) % 1 * TICKS).astype(np.int64) % TICKS
        spectrum += np.abs(np.fft.rfft(np.bincount(ticks, minlength=TICKS)))
    return LEAST_STEPS + int(spectrum[LEAST_STEPS : TICKS // 4].argmax())
