"""The quality of a codec that meets a size or a distortion, found by trying."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pcc_cli.codecs.settings import Setting
from pcc_cli.errors import InputError
from pcc_cli.spine.report import Report

LEAST, MOST = 1.0, 100.0  # of a quality
TRIALS = 12
# Name of a target -> how far from it is near enough, and a scale on which quality is about linear.
_NEAR: dict[str, Callable[[float, float], bool]] = {
    "bpp": lambda found, wanted: abs(found - wanted) <= 0.02 * wanted,
    "psnr": lambda found, wanted: abs(found - wanted) <= 0.1,
}
_SCALE: dict[str, Callable[[float], float]] = {"bpp": math.log, "psnr": float}
TARGETS = tuple(_NEAR)


@dataclass(frozen=True)
class Target:
    """What a user wants of a file.

    name, wanted : "bpp" of the file without attributes or "psnr", and its value
    others : the settings that a codec knows
    """

    name: str
    wanted: float
    others: dict[str, Any]

    def quality(self, attempt: Callable[[float], Report]) -> float:
        """The quality that meets it; `attempt` compresses with one. Errors as in `quality_for`."""

        def measure(quality: float) -> float:
            report = attempt(quality)
            if self.name == "bpp":
                return report.bits_per_point
            return next(value for name, value in report.quality.items() if "psnr" in name)

        return quality_for(self.name, self.wanted, measure)


def target_of(known: Mapping[str, Setting], given: Mapping[str, Any]) -> Target | None:
    """The target among the settings `given` to a codec that knows a quality, but not the target.

    InputError for two targets, or for one beside a quality.
    """
    names = [name for name in TARGETS if name in given and name not in known]
    if not names or "quality" not in known:
        return None
    others = {name: value for name, value in given.items() if name not in names}
    if len(names) > 1 or "quality" in others:
        raise InputError("choose one of --quality, --bpp and --psnr")
    number = Setting(names[0], float, None, "")
    wanted = given[names[0]]
    wanted = number.parsed(wanted) if isinstance(wanted, str) else number.value(wanted)
    return Target(names[0], wanted, others)


def quality_for(target: str, wanted: float, measure: Callable[[float], float]) -> float:
    """The quality at which `measure` gives about `wanted`, or comes as near as it can.

    target : "bpp", met within 2 %, or "psnr", met within 0.1 dB
    measure : quality -> what comes of it, rising; inf where nothing is lost

    Between two qualities that miss on both sides it takes where a line between them would meet.
    InputError when `wanted` is beyond what any quality gives.
    """
    if not (math.isfinite(wanted) and wanted > 0):
        raise InputError(f"--{target} must be a positive number, not {wanted:g}")
    low, high = LEAST, MOST
    least, most = measure(low), measure(high)
    if not (least <= wanted <= most or _near(target, (least, most), wanted)):
        raise InputError(
            f"--{target} {wanted:g} cannot be met: quality {low:g} gives {least:.4g}, "
            f"quality {high:g} {most:.4g}"
        )
    tried = {low: least, high: most}
    for trial in range(TRIALS):
        best = min(tried, key=lambda quality: abs(tried[quality] - wanted))
        if _NEAR[target](tried[best], wanted):
            return best
        middle = _between(
            target, (low, tried[low]), (high, tried[high]), wanted, halve=trial % 3 == 2
        )
        found = tried[middle] = measure(middle)
        low, high = (middle, high) if found < wanted else (low, middle)
    return min(tried, key=lambda quality: abs(tried[quality] - wanted))


def _near(target: str, ends: tuple[float, float], wanted: float) -> bool:
    return any(_NEAR[target](end, wanted) for end in ends)


def _between(
    target: str,
    low: tuple[float, float],
    high: tuple[float, float],
    wanted: float,
    halve: bool,
) -> float:
    """A quality between two, (quality, measure) each; in the middle where a line says nothing."""
    scale = _SCALE[target]
    if halve or math.isinf(high[1]) or high[1] <= low[1]:
        part = 0.5
    else:
        part = (scale(wanted) - scale(low[1])) / (scale(high[1]) - scale(low[1]))
        part = min(max(part, 0.02), 0.98)
    return low[0] + part * (high[0] - low[0])
