"""What classical coders make of a volume, for a user who should know when they are better."""

from __future__ import annotations

import numpy as np

from pcc_cli.codecs.neurcomp.foreign import ArrayCodec, Hdf5Filter, Zfp
from pcc_cli.errors import PccError
from pcc_cli.geometry import Array, Volume, Whole
from pcc_cli.metrics.volumes import measure
from pcc_cli.spine.report import Report
from pcc_cli.words import size

HINT = " (--allow-extras stores it)"


def better(shape: Whole, report: Report, bound: float | None) -> list[str]:
    """Which of those that are installed has a better PSNR in as many bytes, or keeps the bound in
    fewer; [] where none does, or they do not take such volumes."""
    if not isinstance(shape, Volume) or shape.axes != "zyx" or not np.isfinite(shape.values).all():
        return []
    if bound is not None:
        sizes = {
            name: len(coded)
            for name, coder in _bounded(bound).items()
            if (coded := _coded(coder, shape.values)) is not None
        }
        name = min(sizes, key=lambda one: sizes[one], default="")
        if not name or sizes[name] >= report.bytes_out:
            return []
        hint = HINT if sizes[name] < report.geometry_bytes else ""
        return [f"{name} keeps this bound in {size(sizes[name])}{hint}"]
    ours = report.quality["psnr_db"]
    psnr = sperr_psnr_db(shape, report.bits_per_point)
    if psnr is None or psnr <= ours:
        return []
    within = sperr_psnr_db(shape, 8 * report.geometry_bytes / len(shape))  # beside our headers
    hint = HINT if within is not None and within > ours else ""
    return [f"SPERR has {psnr:.2f} dB in as many bytes{hint}"]


def sperr_psnr_db(shape: Volume, bpp: float) -> float | None:
    """PSNR of SPERR at `bpp` bits a sample; None where it is not installed."""
    coder = Hdf5Filter("Sperr", "rate", bpp)
    coded = _coded(coder, shape.values)
    if coded is None:
        return None
    # In a row there is no SSIM, which takes longer than all else.
    decoded = coder.decode(coded).reshape(1, 1, -1)
    return measure(shape.values.reshape(1, 1, -1), decoded)["psnr_db"]


def _bounded(bound: float) -> dict[str, ArrayCodec]:
    return {"SPERR": Hdf5Filter("Sperr", "absolute", bound), "zfp": Zfp(bound)}


def _coded(coder: ArrayCodec, values: Array) -> bytes | None:
    try:
        return coder.encode(values)
    except (PccError, OSError, ValueError, RuntimeError):
        return None
