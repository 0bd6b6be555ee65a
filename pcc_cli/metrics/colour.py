"""PSNR of colours, in Y, Cb and Cr of BT.709, as in MPEG's pc_error. docs/metrics.md, "Colours"."""

from __future__ import annotations

import math

import numpy as np

from pcc_cli.geometry import Array
from pcc_cli.metrics.neighbours import Ties

BT709 = np.array([[0.2126, 0.7152, 0.0722], [-0.1146, -0.3854, 0.5], [0.5, -0.4542, -0.0458]])
WEIGHTS = np.array([6, 1, 1])  # of Y, Cb and Cr in the one number for all three


def psnr(original: Array, decoded: Array, there: Ties, back: Ties) -> dict[str, float]:
    """y_psnr_db, and yuv_psnr_db with the weights 6:1:1; the worse direction counts.

    original, decoded : (n, 3), (m, 3), red, green and blue from 0 to 255
    there : the original points nearest to each decoded one; back : the other way round
    """
    errors = squares(decoded, original, there), squares(original, decoded, back)
    return decibels(np.maximum(errors[0] / len(decoded), errors[1] / len(original)))


def decibels(errors: Array) -> dict[str, float]:
    """y_psnr_db and yuv_psnr_db of mean squares (3,)."""
    values = [-10 * math.log10(error) if error else math.inf for error in errors]
    return {"y_psnr_db": values[0], "yuv_psnr_db": float(np.average(values, weights=WEIGHTS))}


def squares(queries: Array, target: Array, ties: Ties | None = None) -> Array:
    """(3,) sums of squares of the difference in Y, Cb and Cr; each has a peak of 1.

    ties : which colours of `target` belong to each of `queries`; None: they are the same points
    """
    if ties is not None:
        # Colours of equally near points are averaged and rounded, a half upwards.
        target = np.stack([np.floor(ties.mean(axis[ties.point]) + 0.5) for axis in target.T], 1)
    sums: Array = (((queries - target) / 255 @ BT709.T) ** 2).sum(axis=0)
    return sums
