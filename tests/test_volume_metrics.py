"""The measures of decoded volumes."""

from __future__ import annotations

import math

import numpy as np
import pytest

from pcc_cli.errors import InputError
from pcc_cli.metrics.volumes import measure


def wave() -> np.ndarray:
    z, y, x = np.mgrid[0:24, 0:20, 0:16]
    return 100 + 50 * np.sin(z / 3) + 30 * np.cos(y / 2 + x / 5)


def test_values_of_another_implementation() -> None:
    volume = wave()
    found = measure(volume, np.rint(volume / 8) * 8)
    # scikit-image 0.26: structural_similarity and peak_signal_noise_ratio, data_range of the wave
    assert found["ssim"] == pytest.approx(0.9960970788, abs=1e-9)
    assert found["psnr_db"] == pytest.approx(36.9661587, abs=1e-6)
    assert found["max_error"] == pytest.approx(3.9955963526)


def test_nothing_is_lost() -> None:
    found = measure(wave(), wave())
    assert (found["psnr_db"], found["max_error"]) == (math.inf, 0)
    assert found["ssim"] == pytest.approx(1)


def test_integers_do_not_wrap() -> None:
    dark, bright = np.zeros((2, 2, 2), np.uint8), np.full((2, 2, 2), 255, np.uint8)
    found = measure(dark, bright, peak=255)
    assert (found["psnr_db"], found["max_error"]) == (0, 255)
    assert "ssim" not in found  # smaller than its window


def test_a_constant_volume() -> None:
    still = np.full((8, 8, 8), 3.0)
    assert measure(still, still) == {"psnr_db": math.inf, "max_error": 0.0}
    assert measure(still, still + 1) == {"psnr_db": -math.inf, "max_error": 1.0}


def test_other_shapes_do_not_compare() -> None:
    with pytest.raises(InputError, match="do not compare"):
        measure(np.zeros((2, 2, 2)), np.zeros((2, 2, 3)))
