"""The programs and libraries that pcc is compared with, one module each, imported when asked for.

A module has `settings(case, choices)`: the points of its rate-distortion curves for one file.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

from pcc_cli.errors import UnsupportedError
from pcc_cli.evaluation.case import Case
from pcc_cli.evaluation.choices import Choices
from pcc_cli.evaluation.subject import Setting

PEERS = {
    "gpcc": "pcc_cli.evaluation.peers.gpcc",
    "draco": "pcc_cli.evaluation.peers.draco",
    "laz": "pcc_cli.evaluation.peers.laz",
    "zstd": "pcc_cli.evaluation.peers.zstd",
    "zfp": "pcc_cli.evaluation.peers.zfp",
    "sz3": "pcc_cli.evaluation.peers.sz3",
    "sperr": "pcc_cli.evaluation.peers.sperr",
    "tthresh": "pcc_cli.evaluation.peers.tthresh",
}


def check(name: str) -> None:
    """UnsupportedError when there is no such peer."""
    if name not in PEERS:
        raise UnsupportedError(f"unknown peer '{name}'; this pcc knows {', '.join(PEERS)}")


def settings(name: str, case: Case, choices: Choices) -> list[Setting]:
    """What `--against name` compares with; [] when it does not take such a file."""
    make: Callable[[Case, Choices], list[Setting]] = import_module(PEERS[name]).settings
    return make(case, choices)
