"""docs/format-neurcomp.md is enough to decode a volume: `neurcomp_decoder.py`, made from it."""

from __future__ import annotations

from pathlib import Path

import neurcomp_decoder
import numpy as np
import pytest
import volumes

from pcc_cli.codecs.neurcomp.codec import Neurcomp
from pcc_cli.geometry import Volume

PRIORS = (Path(__file__).parent.parent / "pcc_cli/codecs/neurcomp/priors.bin").read_bytes()
FAST = {"effort": 1}


def decoded(codec: Neurcomp, volume: Volume) -> tuple[np.ndarray, Volume]:
    """What the other decoder makes of the codec's stream, and what the codec does."""
    payload = codec.encode(volume)
    samples, axes = neurcomp_decoder.decode(payload.streams["DATA"], PRIORS)
    assert axes == volume.axes and samples.dtype == volume.values.dtype.newbyteorder("<")
    return samples, codec.decode(payload)


def noise(shape: tuple[int, ...], spread: float) -> np.ndarray:
    return np.random.default_rng(5).laplace(0, spread, shape).astype(np.float32)


def holes() -> np.ndarray:
    values = volumes.blobs((9, 8, 12))
    values[3:6, 2:5, 4:9] = np.nan
    values[0, 0, :2] = np.inf, -np.inf
    return values


CASES = {
    "floats": (volumes.blobs((14, 17, 12)), "zyx", {"bpp": 2.0, **FAST}),
    "bytes": (volumes.blobs((12, 16, 18), "uint8"), "zyx", {"bpp": 1.0, "effort": 5}),
    "doubles of noise": (noise((9, 8, 7), 40.0).astype(float), "zyx", {"bpp": 12.0, **FAST}),
    "nothing to split": (noise((2, 5, 3), 3.0), "zyx", {"psnr": 30.0}),
    "one axis": (np.sin(np.arange(90.0)).reshape(1, 90, 1), "zyx", {"bpp": 6.0, **FAST}),
    "two parts": (volumes.blobs((6, 3, 300)), "zyx", {"bpp": 1.5, **FAST}),
    "holes": (holes(), "zyx", {"bpp": 4.0, **FAST}),
    "constant": (np.full((3, 4, 5), -7, np.int16), "zyx", {}),
    "time and components": (
        np.stack([np.stack([volumes.blobs((7, 8, 6), "int16")] * 2, -1)] * 2) + np.int16(3),
        "tzyxc",
        {"bpp": 3.0, **FAST},
    ),
    "bounded floats": (volumes.blobs((10, 9, 8)), "zyx", {"max_error": 0.3}),
    "bounded integers": (volumes.blobs((10, 9, 8), "uint16"), "zyx", {"max_error": 2.0}),
}


@pytest.mark.parametrize("name", CASES)
def test_a_decoder_written_from_the_document_agrees(name: str) -> None:
    values, axes, settings = CASES[name]
    samples, volume = decoded(Neurcomp(**settings), Volume(values, axes))  # type: ignore[arg-type]
    assert np.array_equal(samples, volume.values, equal_nan=values.dtype.kind == "f")


@pytest.mark.parametrize("residual", [True, False])
@pytest.mark.parametrize("shape", [(6, 7, 8), (2, 5, 4, 6, 2)])
def test_it_agrees_on_networks(residual: bool, shape: tuple[int, ...]) -> None:
    steps = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    values = np.sin(steps / 50) * 20 + 5
    codec = Neurcomp(
        "published", n_layers=2, n_passes=3, lr=1e-3, batch_size=16, is_residual=residual,
        compression_ratio=1.0, device="cpu",
    )  # fmt: skip
    axes = "zyx" if len(shape) == 3 else "tzyxc"
    samples, volume = decoded(codec, Volume(values, axes))
    assert np.abs(samples - volume.values).max() < 1e-3 < np.ptp(volume.values)
