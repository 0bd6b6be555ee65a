"""Bjontegaard's measures of two rate-distortion curves (VCEG-M33), docs/metrics.md.

Curves are interpolated by PCHIP, as in MPEG's templates: it does not swing between points that
lie far apart, as the polynomial of the first publication does.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

Curve = list[tuple[float, float]]  # (rate in bits per point, quality in dB), both increasing


class NoOverlap(ValueError):
    """Two curves have no common range of quality or of rate, so that nothing can be compared."""


def bd_rate(anchor: Curve, test: Curve) -> float:
    """Percent by which the rate of `test` differs from that of `anchor` at equal quality.

    Negative is less. Each curve needs two points or more. Raises NoOverlap.
    """
    low, high = _overlap([q for _, q in anchor], [q for _, q in test], "quality in dB")
    mean = [_mean([q for _, q in curve], _logs(curve), low, high) for curve in (anchor, test)]
    return 100 * math.expm1(mean[1] - mean[0])


def bd_psnr(anchor: Curve, test: Curve) -> float:
    """Decibels by which the quality of `test` differs from that of `anchor` at equal rate."""
    low, high = _overlap(_logs(anchor), _logs(test), "rate")
    mean = [_mean(_logs(curve), [q for _, q in curve], low, high) for curve in (anchor, test)]
    return mean[1] - mean[0]


def _logs(curve: Curve) -> list[float]:
    return [math.log(rate) for rate, _ in curve]


def _overlap(one: Sequence[float], other: Sequence[float], what: str) -> tuple[float, float]:
    low, high = max(min(one), min(other)), min(max(one), max(other))
    if low >= high:
        raise NoOverlap(f"the curves do not overlap in {what}")
    return low, high


def _mean(x: Sequence[float], y: Sequence[float], low: float, high: float) -> float:
    """Mean of the interpolated y over low <= x <= high."""
    # Imported here: a tenth of a second, for reports alone.
    from scipy.interpolate import PchipInterpolator

    curve = PchipInterpolator(np.asarray(x), np.asarray(y))
    return float(curve.integrate(low, high)) / (high - low)
