"""SZ3 (Liang et al. 2022), at bounds of the error."""

from __future__ import annotations

from functools import partial

from pcc_cli.evaluation.peers.samples import by_error

settings = partial(by_error, "sz3", "SZ3")
