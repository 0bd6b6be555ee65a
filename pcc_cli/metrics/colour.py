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
    errors = np.maximum(_errors(decoded, original, there), _errors(original, decoded, back))
    values = [-10 * math.log10(error) if error else math.inf for error in errors]
    return {"y_psnr_db": values[0], "yuv_psnr_db": float(np.average(values, weights=WEIGHTS))}


def _errors(queries: Array, target: Array, ties: Ties) -> Array:
    """(3,) mean squares of the difference in Y, Cb and Cr; each has a peak of 1."""
    # Colours of equally near points are averaged and rounded, a half upwards.
    nearest = np.stack([np.floor(ties.mean(axis[ties.point]) + 0.5) for axis in target.T], 1)
    error: Array = (((queries - nearest) / 255 @ BT709.T) ** 2).mean(axis=0)
    return error
