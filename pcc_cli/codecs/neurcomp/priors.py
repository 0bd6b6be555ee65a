"""What the coder of coefficients knows before it has seen any: counts and weights, learned once.

They are part of the format: a file can be read only with the numbers it was written with, so
`priors.bin` never changes while the codec is `neurcomp.1`. `pcc_cli.training.priors` made it.

The file is a zstandard frame of little-endian uint16, and int32 for weights: of each model in the
order of NAMES all ones, all totals, and the weights of its mixer.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np

from pcc_cli.codecs.neurcomp.bits import Prior
from pcc_cli.entropy import zstd

NAMES = ("zero", "more", "cold", "below")
FILE = Path(__file__).with_name("priors.bin")
_LEVEL = 19


def pack(priors: dict[str, Prior]) -> bytes:
    """The bytes of the file."""
    parts = []
    for name in NAMES:
        prior = priors[name]
        parts += [prior.ones.astype("<u2"), prior.total.astype("<u2"), prior.weights.astype("<i4")]
    return zstd.pack([part.tobytes() for part in parts], _LEVEL)


@lru_cache(maxsize=1)
def load() -> dict[str, Prior]:
    """Model -> prior."""
    from pcc_cli.codecs.neurcomp.coefficients import SETS, TABLES

    shapes = {name: (sum(TABLES[name]), (SETS[name], len(TABLES[name]) + 1)) for name in NAMES}
    size = sum(4 * contexts + 4 * sets * inputs for contexts, (sets, inputs) in shapes.values())
    raw = zstd.unpack(FILE.read_bytes(), size)
    found, at = {}, 0
    for name, (contexts, (sets, inputs)) in shapes.items():
        counts = np.frombuffer(raw, "<u2", 2 * contexts, at).astype(np.int64)
        at += 4 * contexts
        weights = np.frombuffer(raw, "<i4", sets * inputs, at).astype(np.int64)
        at += 4 * sets * inputs
        ones, total = counts.reshape(2, contexts)
        found[name] = Prior(ones, total, weights.reshape(sets, inputs))
    return found
