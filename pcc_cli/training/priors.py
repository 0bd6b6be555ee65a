"""The priors of neurcomp's coefficients, learned from volumes: `python -m pcc_cli.training.priors`.

Every volume is coded at several rates, and all bits are counted. A context begins with the share
of ones that it had, worth a few bits, so that a file soon has its own way; weights are means.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from pcc_cli import formats
from pcc_cli.codecs.base import silent
from pcc_cli.codecs.neurcomp import coefficients, priors, target
from pcc_cli.codecs.neurcomp.bits import PARTS, Prior, Writer, blank
from pcc_cli.codecs.neurcomp.coefficients import SETS, TABLES
from pcc_cli.codecs.neurcomp.frame import Frame
from pcc_cli.codecs.neurcomp.transform import Analysed
from pcc_cli.geometry import Array, Volume

RATES = (0.03, 0.1, 0.3, 1.0)  # bits a sample
TRUST = {"zero": 24, "more": 24, "cold": 2000, "below": 60}  # bits that a prior is worth, at most
SYNTHETIC_SIDE, SLOPES = 80, (-2.2, -2.8, -3.4)  # fields like turbulence, with falling spectra


def synthetic() -> Iterator[Array]:
    """Magnitudes of random vector fields whose spectra fall by a power."""
    rng = np.random.default_rng(0)
    waves = np.fft.fftfreq(SYNTHETIC_SIDE)
    z, y, x = np.meshgrid(waves, waves, waves, indexing="ij")
    square: Array = z * z + y * y + x * x
    for slope in SLOPES:
        power = np.maximum(square, 1e-6) ** (slope / 2)
        noise = np.fft.fftn(rng.normal(size=(3, *power.shape)), axes=(1, 2, 3))
        vectors = np.fft.ifftn(noise * power, axes=(1, 2, 3)).real
        yield np.sqrt((vectors**2).sum(0)).astype(np.float32)


class _Sums:
    """Of what one model counted, over many streams."""

    def __init__(self, known: Prior) -> None:
        self._known = known
        self._ones, self._total = np.zeros(len(known.ones)), np.zeros(len(known.ones))
        self._weights, self._streams = np.zeros(known.weights.shape), 0

    def add(self, state: Prior) -> None:
        ones, total = state.ones - self._known.ones, state.total - self._known.total
        # Large streams do not decide alone.
        share = min(1.0, 1e5 / max(float(total.sum()), 1.0))
        self._ones += share * ones
        self._total += share * total
        self._weights += state.weights
        self._streams += 1

    def prior(self, trust: int) -> Prior:
        """The share of ones in each context, worth at most `trust` bits; means of weights."""
        kept = np.clip(np.rint(self._total + 2 * PARTS), 2 * PARTS, trust * PARTS)
        share = (self._ones + PARTS / 2) / (self._total + PARTS)
        ones = np.clip(np.rint(share * kept), 1, kept - 1).astype(np.int64)
        weights = np.rint(self._weights / max(self._streams, 1)).astype(np.int64)
        return Prior(ones, kept.astype(np.int64), weights)


def counted(values: Iterable[Array], known: dict[str, Prior]) -> dict[str, Prior]:
    """The priors that the values, coded at RATES, lead to."""
    sums = {name: _Sums(prior) for name, prior in known.items()}
    for array in values:
        analysed = Analysed(Frame.of(array, "zyx").samples(array))
        for rate in RATES:
            coded = target.for_size(analysed, int(array.size * rate / 8) + 64, 1, silent, None)
            for whole in coded.whole:
                for name, state in coefficients.counting(Writer(), whole.values).items():
                    sums[name].add(state)
    return {name: one.prior(TRUST[name]) for name, one in sums.items()}


def main(paths: list[str]) -> None:
    """Writes `priors.bin` anew, from the volumes in `paths` and synthetic ones, in two rounds."""
    start = {name: blank(TABLES[name], SETS[name]) for name in TABLES}
    rare = np.full(sum(TABLES["cold"]), PARTS)
    start["cold"] = Prior(rare, 512 * rare, start["cold"].weights)
    priors.FILE.write_bytes(priors.pack(start))
    for _ in range(2):
        priors.load.cache_clear()
        known = priors.load()
        read = (formats.read(Path(path).read_bytes(), path) for path in paths)
        arrays = (volume.values for volume in read if isinstance(volume, Volume))
        found = counted([*arrays, *synthetic()], known)
        priors.FILE.write_bytes(priors.pack(found))


if __name__ == "__main__":
    main(sys.argv[1:])
