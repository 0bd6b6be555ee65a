"""What a classical coder makes of a volume, for a user who should know when it is smaller."""

from __future__ import annotations

import numpy as np

from pcc_cli.errors import UnsupportedError
from pcc_cli.evaluation.peers.volumes import Hdf5Filter
from pcc_cli.geometry import Volume, Whole


def sperr_bytes(shape: Whole, psnr: float) -> int | None:
    """The size of SPERR's stream at `psnr`; None where it is not installed or takes no such."""
    if not isinstance(shape, Volume) or shape.axes != "zyx" or not np.isfinite(shape.values).all():
        return None
    try:
        return len(Hdf5Filter("Sperr", "peak_signal_to_noise_ratio", psnr).encode(shape.values))
    except (UnsupportedError, OSError, ValueError, RuntimeError):
        return None
