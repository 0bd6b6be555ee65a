"""How far decoded samples of a volume are from the original ones. docs/metrics.md, "Volumes"."""

from __future__ import annotations

import math

import numpy as np

from pcc_cli.errors import InputError
from pcc_cli.geometry import Array

WINDOW = 7  # samples a side of the cube that SSIM looks at
K1, K2 = 0.01, 0.03  # of Wang et al. 2004


def measure(original: Array, decoded: Array, peak: float | None = None) -> dict[str, float]:
    """psnr_db, ssim (where the volume is large enough for a window) and max_error.

    original, decoded : (z, y, x) numbers of the same shape
    peak : None: the range of the original's values

    InputError when the shapes differ.
    """
    if original.shape != decoded.shape or original.ndim != 3:
        raise InputError(f"volumes of shapes {original.shape} and {decoded.shape} do not compare")
    one, other = original.astype(np.float64), decoded.astype(np.float64)
    peak = float(np.ptp(one)) if peak is None else peak
    error = one - other
    square = float((error**2).mean())
    result = {
        "psnr_db": 10 * math.log10(peak**2 / square) if square and peak else math.inf,
        "max_error": float(np.abs(error).max()),
    }
    if square and not peak:
        result["psnr_db"] = -math.inf  # a constant volume that did not stay constant
    if min(one.shape) >= WINDOW and peak:
        result["ssim"] = ssim(one, other, peak)
    return result


def ssim(one: Array, other: Array, peak: float) -> float:
    """Mean structural similarity over all cubes of WINDOW samples a side within the volume.

    one, other : (z, y, x) float64, no side shorter than WINDOW
    """
    from scipy.ndimage import uniform_filter

    samples = WINDOW**3
    unbiased = samples / (samples - 1)
    mean_one, mean_other = uniform_filter(one, WINDOW), uniform_filter(other, WINDOW)
    variance_one = unbiased * (uniform_filter(one * one, WINDOW) - mean_one**2)
    variance_other = unbiased * (uniform_filter(other * other, WINDOW) - mean_other**2)
    covariance = unbiased * (uniform_filter(one * other, WINDOW) - mean_one * mean_other)
    small, large = (K1 * peak) ** 2, (K2 * peak) ** 2
    similarity = (2 * mean_one * mean_other + small) * (2 * covariance + large)
    similarity /= (mean_one**2 + mean_other**2 + small) * (variance_one + variance_other + large)
    edge = WINDOW // 2
    inner = slice(edge, -edge)
    return float(similarity[inner, inner, inner].mean())
