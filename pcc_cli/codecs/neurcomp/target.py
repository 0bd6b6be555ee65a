"""The step at which a stream has the size, or the samples the PSNR, that was asked for."""

from __future__ import annotations

import math
import time

from pcc_cli.codecs.base import Progress
from pcc_cli.codecs.neurcomp.frame import Frame
from pcc_cli.codecs.neurcomp.quantize import WORTH
from pcc_cli.codecs.neurcomp.transform import Analysed, Coded
from pcc_cli.errors import InputError

_CLOSE = 0.997  # part of the size that is near enough
_ESTIMATED = 1.12  # of the bytes, what their estimate says
_NEAR_LEAST = 0.1  # logarithm of a step beyond the smallest, where nothing is left to gain
_SLOPE = -0.9  # of the logarithm of the size over that of the step, about
_SAME_STEP = 1e-5  # logarithms of steps that differ by less are not told apart


def for_size(
    analysed: Analysed, most: int, effort: int, progress: Progress, deadline: float | None
) -> Coded:
    """The best stream of at most `most` bytes; InputError where there is none."""
    worth = 0.0 if effort <= 2 else WORTH
    least, useless = _limits(analysed)
    low, high = least, useless
    guess = _guess(analysed, most, low, high)
    wanted = math.log(max(most * (1 + _CLOSE) / 2, 1.0))
    best: Coded | None = None
    tried: list[tuple[float, float]] = []
    trials = 2 + effort
    for trial in range(4 * trials):
        late = deadline is not None and time.monotonic() > deadline
        if best is not None and (trial >= trials or late):
            break
        coded = analysed.coded(math.exp(guess), worth)
        size = len(coded.data)
        progress((trial + 1) / (trials + 1), f"{size:,} of {most:,} bytes")
        if size <= most:
            if best is None or size > len(best.data):
                best = coded
            high = min(high, guess)
            if size >= _CLOSE * most or guess < least + _NEAR_LEAST:
                break
        else:
            low = max(low, guess)
        if high - low < _SAME_STEP:
            break
        tried.append((guess, math.log(size) - wanted))
        guess = _next(tried, low, high)
    if best is None:
        best = analysed.coded(math.exp(useless), worth)
    if len(best.data) > most:
        raise InputError(
            f"a file cannot be as small as that: {len(best.data) - most:,} bytes more are needed "
            "at least; ask for a smaller ratio"
        )
    return best


def _limits(analysed: Analysed) -> tuple[float, float]:
    """Logarithms of the smallest step, and of one that makes every coefficient 0."""
    return math.log(analysed.least_step), math.log(4 * analysed.largest)


def _guess(analysed: Analysed, most: int, low: float, high: float) -> float:
    """The logarithm of a step by the estimate of bits, which costs a tenth of coding."""
    for _ in range(8):
        middle = (low + high) / 2
        whole = analysed.quantized(math.exp(middle), 0.0)
        above = sum(part.bits for part in whole) / 8 > most * _ESTIMATED
        low, high = (middle, high) if above else (low, middle)
    return (low + high) / 2


def _next(tried: list[tuple[float, float]], low: float, high: float) -> float:
    """The next step to try, between those that are known to be too small and too large.

    tried : logarithms of steps, each with how much too large the logarithm of the size was
    """
    (last, excess), *others = sorted(tried, key=lambda one: abs(one[1]))[:2]
    slope = _SLOPE
    if others and others[0][0] != last:
        slope = min(max((excess - others[0][1]) / (last - others[0][0]), 2 * slope), slope / 4)
    found = last - excess / slope
    return found if low < found < high else (low + high) / 2


def for_psnr(analysed: Analysed, about: Frame, psnr: float, progress: Progress) -> Coded:
    """The smallest stream whose samples reach `psnr`, over the range of the finite samples."""

    def reached(logarithm: float) -> tuple[float, Coded]:
        coded = analysed.coded(math.exp(logarithm), WORTH)
        return analysed.psnr(coded, about), coded

    spread = about.spread
    step = spread * 10 ** (-psnr / 20) * math.sqrt(12)
    low, high = math.log(step) - 4, math.log(step) + 3
    best: Coded | None = None
    for trial in range(14):
        middle = (low + high) / 2
        found, coded = reached(middle)
        progress((trial + 1) / 15, f"{found:.2f} dB for {psnr:g}")
        if found >= psnr:
            best, low = coded, middle
            if found < psnr + 0.02:
                break
        else:
            high = middle
    if best is None:
        raise InputError(f"{psnr:g} dB are more than wavelets reach; --lossless keeps every bit")
    return best
