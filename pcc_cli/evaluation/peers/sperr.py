"""SPERR (Li et al. 2023), wavelets and SPECK, at sizes."""

from __future__ import annotations

from functools import partial

from pcc_cli.evaluation.peers.samples import by_rate

settings = partial(by_rate, "sperr", "Sperr")
