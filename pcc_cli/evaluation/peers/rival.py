"""What a classical coder makes of a volume, for a user who should know when it is nearer."""

from __future__ import annotations

import numpy as np

from pcc_cli.errors import PccError
from pcc_cli.evaluation.peers.volumes import Hdf5Filter
from pcc_cli.geometry import Volume, Whole
from pcc_cli.metrics.volumes import measure


def sperr_psnr_db(shape: Whole, bpp: float) -> float | None:
    """PSNR of SPERR at `bpp` bits a sample; None where it is not installed or takes no such."""
    if not isinstance(shape, Volume) or shape.axes != "zyx" or not np.isfinite(shape.values).all():
        return None
    coder = Hdf5Filter("Sperr", "rate", bpp)
    try:
        decoded = coder.decode(coder.encode(shape.values))
    except (PccError, OSError, ValueError, RuntimeError):
        return None
    # In a row there is no SSIM, which takes longer than all else.
    return measure(shape.values.reshape(1, 1, -1), decoded.reshape(1, 1, -1))["psnr_db"]
