"""The classical coders of volumes that later comparisons need."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import numpy as np
import pytest
import volumes

from pcc_cli import api
from pcc_cli.codecs.neurcomp.foreign import ArrayCodec, Hdf5Filter, Zfp
from pcc_cli.errors import FormatError, InputError, UnsupportedError
from pcc_cli.evaluation.peers import process, rival
from pcc_cli.evaluation.peers.tthresh import Tthresh
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


def told(values: np.ndarray, **settings: float) -> list[str]:
    """What a user hears of the file that pcc makes with these settings."""
    volume = Volume(values, "zyx" if values.ndim == 3 else "tzyx")
    report = api.compress_to(io.BytesIO(), volume, api.Options(settings=settings))
    return rival.better(volume, report, settings.get("max_error"))


def test_a_user_is_told_when_a_classical_coder_is_better() -> None:
    random = np.random.default_rng(0)
    sparse = (random.random((24, 24, 24)) > 0.995).astype(np.float32)
    (note,) = told(sparse, max_error=0.001)
    assert note.startswith("zfp keeps this bound in") and "--allow-extras" in note
    (note,) = told(wave()[:16, :16, :16], bpp=1.2)  # a small file is headers, above all
    assert note.startswith("SPERR has") and "--allow-extras" not in note
    assert told(volumes.blobs((24, 24, 24)), bpp=4.0) == []
    holes = wave()[:8]
    holes[2, 3] = np.nan
    assert told(holes, bpp=8.0) == [] and told(wave()[None, :8, :8, :8], bpp=9.0) == []


@pytest.fixture
def fake_tthresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program called tthresh, which `PCC_TTHRESH` names."""
    program = tmp_path / "tthresh"
    script = Path(__file__).with_name("fake_tthresh.py")
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{script}" "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PCC_TTHRESH", str(program))


def test_tthresh_has_the_highest_psnr_that_a_size_allows(fake_tthresh: None) -> None:
    volume = Volume(wave())
    with process.measured() as usage:
        payload = Tthresh(3.0).encode(volume)
    assert usage.programs == 1  # what was tried before is not charged
    most = 3.0 * len(volume) / 8
    assert 0.9 * most < payload.size_bytes <= most
    decoded = Tthresh(3.0).decode(payload)
    assert measure(volume.values, decoded.values)["psnr_db"] > 30
    smallest = Tthresh(0.001).encode(volume)  # no file is as small
    assert smallest.size_bytes < 0.9 * payload.size_bytes
    assert measure(volume.values, Tthresh(0.001).decode(smallest).values)["psnr_db"] > 19


def test_without_tthresh_a_user_is_told_how_to_name_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PCC_TTHRESH", "/nowhere/tthresh")
    with pytest.raises(UnsupportedError, match="PCC_TTHRESH"):
        Tthresh(1.0).version()
