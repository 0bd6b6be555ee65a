"""Steps of quantizers as one byte: eighths of octaves."""

from __future__ import annotations

import numpy as np

STEPS = 8  # of a quantizer in an octave
FINEST = 160  # steps are 2^((code - FINEST) / STEPS)


def step_of(code: int) -> float:
    return float(2.0 ** ((code - FINEST) / STEPS))


def code_of(step: float) -> int:
    """The code of the nearest step."""
    return int(np.clip(round(float(np.log2(step)) * STEPS) + FINEST, 0, 255))
