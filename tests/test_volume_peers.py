"""The classical coders of volumes that later comparisons need."""

from __future__ import annotations

import numpy as np
import pytest

from pcc_cli.errors import FormatError, InputError
from pcc_cli.evaluation.peers import rival
from pcc_cli.evaluation.peers.volumes import ArrayCodec, Hdf5Filter, Zfp
from pcc_cli.geometry import Volume
from pcc_cli.metrics.volumes import measure

CODECS = {
    "zfp": Zfp(0.5),
    "sz3": Hdf5Filter("SZ3", "absolute", 0.5),
    "sperr": Hdf5Filter("Sperr", "peak_signal_to_noise_ratio", 50.0),
}


def wave(dtype: type = np.float32) -> np.ndarray:
    z, y, x = np.mgrid[0:40, 0:36, 0:32]
    return (100 + 50 * np.sin(z / 6) + 30 * np.cos(y / 5 + x / 9)).astype(dtype)


@pytest.mark.parametrize("name", CODECS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.uint8])
def test_a_volume_comes_back_as_well_as_promised(name: str, dtype: type) -> None:
    codec: ArrayCodec = CODECS[name]
    volume = wave(dtype)
    data = codec.encode(volume)
    decoded = codec.decode(data)
    assert decoded.shape == volume.shape and decoded.dtype.kind == "f"
    found = measure(volume, decoded)
    if name == "sperr":
        assert found["psnr_db"] > 49.5
    else:
        assert found["max_error"] <= 0.5 * 1.001
    assert len(data) < volume.size  # below 8 bits a sample


def test_a_looser_setting_takes_less() -> None:
    volume = wave()
    assert len(Zfp(4).encode(volume)) < len(Zfp(0.1).encode(volume))
    tight, loose = (Hdf5Filter("SZ3", "absolute", error) for error in (0.1, 4))
    assert len(loose.encode(volume)) < len(tight.encode(volume))


@pytest.mark.parametrize("name", CODECS)
def test_versions_and_commands_are_named(name: str) -> None:
    codec: ArrayCodec = CODECS[name]
    assert any(char.isdigit() for char in codec.version())
    assert "0.5" in codec.command() or "50" in codec.command()


def test_what_is_no_volume_is_refused() -> None:
    with pytest.raises(InputError, match="three axes"):
        Zfp(1).encode(np.zeros((2, 2)))
    with pytest.raises(FormatError, match="cut short"):
        CODECS["sz3"].decode(b"short")


def test_sperr_knows_which_axis_is_the_fastest() -> None:
    volume = wave()  # no two sides alike
    decoded = (coder := Hdf5Filter("Sperr", "rate", 1.0)).decode(coder.encode(volume))
    assert measure(volume, decoded)["psnr_db"] > 55


def test_a_user_is_told_when_sperr_is_nearer() -> None:
    assert rival.sperr_psnr_db(Volume(wave()), 1.0) > 55
    assert rival.sperr_psnr_db(Volume(np.full((3, 3, 3), np.nan, np.float32)), 1.0) is None
    assert rival.sperr_psnr_db(Volume(wave()[None], "tzyx"), 1.0) is None
