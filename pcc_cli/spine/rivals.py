"""Codings of a volume that need an extra to be read: taken where that is allowed and better.

Smaller at the same PSNR or bound, or, where a size was asked, nearer in as many bytes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from pcc_cli.errors import InputError, UnsupportedError
from pcc_cli.spine.report import Report

QUALITIES = ("psnr", "max_error")  # targets that say how near, and not how small

Attempt = Callable[[Mapping[str, Any]], tuple[bytes, Report]]


def best(
    settings: Mapping[str, Any], profiles: Sequence[str], attempt: Attempt
) -> tuple[bytes, Report]:
    """The best file of those that `attempt` makes with settings, and with each of `profiles`.

    Programs that are not installed, or cannot do what is asked, are passed over.
    """
    chosen = usual = attempt(settings)
    by_size = any(settings.get(name) is not None for name in QUALITIES)
    for profile in profiles:
        try:
            made = attempt({**settings, "profile": profile})
        except (UnsupportedError, InputError):
            continue
        if _rank(made[1], by_size) > _rank(chosen[1], by_size):
            chosen = made
            gain = _gain(usual[1], made[1], by_size)
            notes = [
                *made[1].notes,
                f"{profile} stored: {gain}; it is read with the extra classical",
            ]
            chosen = made[0], replace(made[1], notes=notes)
    return chosen


def _rank(report: Report, by_size: bool) -> float:
    return -report.bytes_out if by_size else report.quality.get("psnr_db", math.inf)


def _gain(usual: Report, made: Report, by_size: bool) -> str:
    """What the second has over the first."""
    if by_size:
        return f"{1 - made.bytes_out / usual.bytes_out:.1%} smaller than without extras"
    psnr, before = (report.quality.get("psnr_db", math.inf) for report in (made, usual))
    return f"{psnr:.2f} dB, {before:.2f} without extras"
