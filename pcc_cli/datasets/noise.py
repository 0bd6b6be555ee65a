"""Smooth random functions of space: what makes generated surfaces and colours look grown."""

from __future__ import annotations

import numpy as np

from pcc_cli.geometry import Array

_PERIOD = 32  # lattice cells after which the noise repeats


def value_noise(points: Array, wavelength: float, seed: int) -> Array:
    """(n,) float64 in -1 .. 1: smooth, changes over about `wavelength`; `points` (n, d)."""
    dims = points.shape[1]
    lattice = np.random.default_rng(seed).uniform(-1.0, 1.0, _PERIOD**dims)
    places = points / wavelength
    cells = np.floor(places).astype(np.int64)
    part = places - cells
    part = part * part * (3.0 - 2.0 * part)
    strides = _PERIOD ** np.arange(dims)
    total = np.zeros(len(points))
    for corner in np.ndindex(*(2,) * dims):
        weight = np.ones(len(points))
        for axis, side in enumerate(corner):
            weight *= part[:, axis] if side else 1.0 - part[:, axis]
        total += weight * lattice[(cells + corner) % _PERIOD @ strides]
    return total


def fractal_noise(points: Array, wavelength: float, seed: int, octaves: int = 3) -> Array:
    """(n,) float64, about -1 .. 1: `value_noise` with finer and weaker noise on top."""
    total = np.zeros(len(points))
    for octave in range(octaves):
        total += 0.5**octave * value_noise(points, wavelength * 0.5**octave, seed + octave)
    return total / (2.0 - 0.5 ** (octaves - 1))
