"""Formats of volumes: every file comes back from a .dcz, and goes into every other format."""

from __future__ import annotations

import io

import numpy as np
import pytest
import volumes

from pcc_cli import api, formats
from pcc_cli.errors import InputError, OutputError, PccError
from pcc_cli.formats import Samples
from pcc_cli.geometry import PointCloud, Volume

TARGETS = [".npy", ".npz", *(suffix for suffix in formats.VOLUME_SUFFIXES if suffix != ".raw")]


@pytest.mark.parametrize("name", volumes.FILES)
def test_a_file_comes_back_through_dcz(name: str) -> None:
    volume = formats.read(volumes.FILES[name](), name)
    assert isinstance(volume, Volume) and volume.values.dtype.isnative
    restored = api.decompress(api.compress(volume))
    assert isinstance(restored, Volume)
    assert volumes.same(restored, volume) and restored.source == volume.source
    written = formats.write(formats.suffix_for(restored.source), restored)
    again = formats.read(written, name)
    assert volumes.same(again, volume) and again.source == volume.source


@pytest.mark.parametrize(
    "name",
    [
        name
        for name in volumes.FILES
        if not name.endswith((".vti", ".vtk", ".npz", ".gz", ".nrrd", ".mha"))
    ]
    + ["big.nrrd", "text.nrrd", "turned.nrrd", "local.mha"],
)
def test_files_that_are_not_packed_come_back_byte_for_byte(name: str) -> None:
    data = volumes.FILES[name]()
    volume = formats.read(data, name)
    written = formats.write(formats.suffix_for(volume.source), volume)
    if name.startswith("text"):
        assert written.split() == data.split()
    else:
        assert written == data


@pytest.mark.parametrize("suffix", TARGETS)
@pytest.mark.parametrize("name", volumes.FILES)
def test_into_another_format(name: str, suffix: str) -> None:
    volume = formats.read(volumes.FILES[name](), name)
    notes: list[str] = []
    try:
        data = formats.write(suffix, volume, notes.append)
    except OutputError as error:
        assert "hold no samples of type" in str(error)
        return
    back = formats.read(data, "back" + suffix)
    assert isinstance(back, Volume)
    first = volume.values[0] if volume.axes[0] == "t" and back.axes[0] != "t" else volume.values
    assert np.array_equal(back.values.ravel(), first.ravel())
    assert back.values.shape[-3:] == first.shape[-3:] or "c" in volume.axes
    if suffix not in (".npy", ".fld") and back.source["format"] != "npy":
        assert np.allclose(back.spacing, volume.spacing)
        assert np.allclose(back.origin, volume.origin, atol=1e-5)
    if suffix in (".nrrd", ".nii", ".mha", ".vti"):
        assert np.allclose(back.direction, volume.direction, atol=1e-6)


def test_places_are_read() -> None:
    found = formats.read(volumes.nrrd(extra=volumes.TURNED), "a.nrrd")
    assert found.spacing == (2.0, 3.0, 4.0) and found.origin == (-10.0, -20.0, 30.0)
    assert found.direction == (0.0, -1.0, 0.0, -1.0, 0.0, 0.0, 0.0, 0.0, 1.0)
    found = formats.read(volumes.metaimage(), "a.mha")
    assert found.spacing == (0.5, 0.25, 2.0) and found.origin == (1.0, 2.0, 3.0)
    assert found.direction[:6] == (0.0, 1.0, 0.0, 1.0, 0.0, 0.0)
    found = formats.read(volumes.nifti(), "a.nii")
    assert found.spacing == pytest.approx((2, 3, 4)) and found.origin == (-7.0, -8.0, 9.0)
    assert np.reshape(found.direction, (3, 3))[2] == pytest.approx([0, 0, -1])  # pixdim[0] < 0
    found = formats.read(volumes.vti(cells=True), "a.vti")
    assert found.origin == (2.25, 2.5, 4.0) and found.spacing == (0.5, 1.0, 2.0)
    found = formats.read(volumes.avs(), "a.fld")
    assert found.spacing == (0.5, 1.0, 2.0) and found.origin == (1.0, 0.0, 5.0)


def test_axes_of_numpy_arrays() -> None:
    axes = {
        (3, 4, 5): "zyx",
        (2, 3, 4, 5): "tzyx",
        (3, 4, 5, 3): "zyxc",
        (2, 3, 4, 5, 1): "tzyxc",
    }
    for shape, expected in axes.items():
        volume = formats.read(volumes.npy(np.zeros(shape, np.uint8)), "a.npy")
        assert (volume.axes, volume.values.shape) == (expected, shape)
    assert isinstance(formats.read(volumes.npy(np.zeros((9, 3))), "a.npy"), PointCloud)
    points = volumes.npz(points=np.zeros((3, 3)), grid=np.zeros((3, 4, 5)))
    assert isinstance(formats.read(points, "a.npz"), PointCloud)
    with pytest.raises(InputError, match="at most five"):
        formats.read(volumes.npy(np.zeros((1,) * 6)), "a.npy")
    with pytest.raises(InputError, match="complex"):
        formats.read(volumes.npy(np.zeros((2, 2, 2), complex)), "a.npy")


def test_raw_samples_need_a_shape_and_a_type() -> None:
    data = volumes.small(">i2").tobytes()
    for name in ("a.raw", "a_5x4x3.raw", "a_int16.raw"):
        with pytest.raises(InputError, match=r"--shape .* --dtype"):
            formats.read(data, name)
    notes: list[str] = []
    found = formats.read(data, "scan.bin", notes.append, samples=Samples((3, 4, 5), ">i2"))
    assert np.array_equal(found.values, volumes.small()) and not notes
    assert formats.write(".raw", found) == data
    formats.read(data, "a_5x4x3_int16.raw", notes.append)
    assert notes == ["read as int16 of shape 3,4,5 (z, y, x), as the name says"]
    for wrong in (Samples((3, 4, 6), ">i2"), Samples((3, 4, 5), "word"), Samples((3, 4, 5), "O")):
        with pytest.raises(InputError, match=r"a\.raw|no type"):
            formats.read(data, "a.raw", samples=wrong)


def test_samples_in_a_second_file() -> None:
    folder = {"a.zraw": volumes.small("<u2").tobytes(), "b.raw": volumes.small(">i2").tobytes()}
    found = formats.read(volumes.metaimage(place="a.zraw"), "a.mhd", beside=folder.__getitem__)
    assert np.array_equal(found.values, volumes.small("<u2"))
    notes: list[str] = []
    assert b"= LOCAL" in formats.write(".mhd", found, notes.append)
    assert notes == ["the samples are in the .mhd file itself"]
    head = volumes.nrrd().partition(b"\n\n")[0] + b"\ndata file: b.raw\n\n"
    found = formats.read(head, "b.nhdr", beside=folder.__getitem__)
    assert np.array_equal(found.values, volumes.small(">i2"))
    with pytest.raises(InputError, match=r"'b\.raw', which cannot be read"):
        formats.read(head, "b.nhdr")


def test_volumes_and_points_do_not_mix() -> None:
    with pytest.raises(OutputError, match="hold no points"):
        formats.write(".nrrd", PointCloud(np.zeros((1, 3))))
    with pytest.raises(OutputError, match="hold no volumes"):
        formats.write(".ply", Volume(volumes.small()))


def test_what_a_format_cannot_hold_is_said() -> None:
    times = Volume(np.zeros((2, 3, 4, 5), np.uint8), "tzyx")
    for suffix in (".vti", ".vtk", ".fld"):
        notes: list[str] = []
        formats.write(suffix, times, notes.append)
        assert "one time step" in notes[0]
    turned = Volume(volumes.small(), direction=(0.0, 1, 0, 1, 0, 0, 0, 0, 1))
    formats.write(".vtk", turned, notes.append)
    assert "direction" in notes[-1]
    scaled = formats.read(volumes.nifti(), "a.nii", notes.append)
    assert "scale 2 and offset 5" in notes[-1]
    formats.write(".nrrd", scaled, notes.append)
    assert "not applied" in notes[-1]


@pytest.mark.parametrize("name", volumes.FILES)
def test_damage_is_one_line(name: str) -> None:
    data = volumes.FILES[name]()
    rng = np.random.default_rng(1)
    places = [*range(0, len(data), 1 + len(data) // 60), len(data) - 1]
    for place in places:
        for damaged in (
            data[:place],
            data[:place] + bytes([int(rng.integers(256))]) + data[place + 1 :],
        ):
            try:
                formats.read(damaged, name)
            except PccError as error:
                assert "\n" not in str(error)


def test_lengths_that_lie_take_no_memory() -> None:
    huge = volumes.npy(np.zeros((2, 2, 2), np.uint8)).replace(
        b"(2, 2, 2)", b"(9999999, 99999, 9999)"
    )
    huge = huge[:8] + bytes([huge[8] + 12]) + huge[9:]
    lies = {
        "a.npy": huge,
        "a.nrrd": volumes.nrrd("gzip").replace(b"sizes: 5 4 3", b"sizes: 99999 99999 999"),
        "a.nii.gz": volumes.FILES["packed.nii.gz"](),
        "a.mha": volumes.metaimage(True).replace(b"DimSize = 5 4 3", b"DimSize = 99999 9999 999"),
        "a.vtk": volumes.vtk().replace(b"5 4 3", b"99999 99999 999"),
        "a.vti": volumes.vti(packed=True).replace(b"2 6 0 3 0 2", b"2 60000 0 30000 0 2000"),
    }
    lies.pop("a.nii.gz")
    for name, data in lies.items():
        with pytest.raises(InputError, match=name):
            formats.read(data, name)


def test_pipes_have_no_folder() -> None:
    stream = io.BytesIO(volumes.metaimage(place="a.raw"))
    with pytest.raises(InputError, match="cannot be read from here"):
        formats.read(stream.getvalue(), "standard input", suffix=".mhd")
