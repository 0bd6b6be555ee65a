"""neurcomp: sizes that are met, bounds that are kept, parts that are the same as in the whole."""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import pytest
import volumes

from pcc_cli import api
from pcc_cli.codecs.neurcomp import clusters, coefficients, quantize, wavelet, weights
from pcc_cli.codecs.neurcomp.bits import Reader, Writer
from pcc_cli.codecs.neurcomp.codec import Neurcomp
from pcc_cli.codecs.neurcomp.network import SineNetwork, parameters, width_for
from pcc_cli.codecs.neurcomp.stream import In, Out
from pcc_cli.errors import FormatError, InputError, UnsupportedError
from pcc_cli.geometry import Volume
from pcc_cli.metrics.volumes import measure
from pcc_cli.spine import rivals
from pcc_cli.spine.report import Report

SIDES = [(1, 1, 1), (7, 1, 30), (6, 6, 6), (13, 24, 17), (2, 3, 5), (40, 9, 5)]


def psnr(one: np.ndarray, other: np.ndarray) -> float:
    return measure(one, other)["psnr_db"]


def shrunk(values: np.ndarray, **settings: object) -> tuple[bytes, np.ndarray]:
    """The file and what it decodes to."""
    data = api.compress(Volume(values), api.Options(settings=settings))
    restored = api.decompress(data)
    assert isinstance(restored, Volume) and restored.values.dtype == values.dtype
    return data, restored.values


@pytest.mark.parametrize("sides", SIDES)
def test_wavelets_give_the_samples_back(sides: tuple[int, int, int]) -> None:
    samples = np.random.default_rng(0).normal(size=sides)
    there = wavelet.forward(samples)
    assert np.abs(wavelet.inverse(there) - samples).max() < 1e-12
    assert sum(np.prod(band.shape) for band in wavelet.bands(sides)) == samples.size
    covered = np.zeros(sides, int)
    for band in wavelet.bands(sides):
        covered[band.place] += 1
    assert (covered == 1).all()
    # Nearly orthonormal: errors of coefficients are errors of samples.
    assert 0.7 < np.square(there).sum() / np.square(samples).sum() < 1.4


def test_a_coarse_inverse_keeps_the_level_of_the_samples() -> None:
    there = wavelet.forward(np.full((40, 36, 20), 7.0))
    for skip, sides in enumerate([(40, 36, 20), (20, 18, 10), (10, 9, 5)]):
        found = wavelet.inverse(there, skip)
        assert found.shape == sides and np.allclose(found, 7.0)


@pytest.mark.parametrize("sides", SIDES)
@pytest.mark.parametrize("spread", [0.3, 3.0, 1e6])
def test_coefficients_come_back(sides: tuple[int, int, int], spread: float) -> None:
    whole = np.rint(np.random.default_rng(1).laplace(0, spread, sides)).astype(np.int32)
    for code in (coefficients.code, coefficients.code_alone):
        writer = Writer()
        code(writer, sides, whole)
        reader = Reader(writer.finish())
        assert np.array_equal(code(reader, sides, np.zeros(sides, np.int32)), whole)
        reader.finish()


def test_nothing_takes_next_to_nothing() -> None:
    writer = Writer()
    coefficients.code(writer, (64, 64, 64), np.zeros((64, 64, 64), np.int32))
    assert len(writer.finish()) < 150


def test_rounding_by_worth_is_better_than_to_the_nearest() -> None:
    there = wavelet.forward(volumes.blobs((32, 32, 32)).astype(float))

    def cost(worth: float) -> float:
        found = quantize.quantize(there, 4.0, worth)
        error = there - quantize.restored(found.values, 4.0, quantize.Centres(0, 0, 0))
        writer = Writer()
        coefficients.code(writer, (32, 32, 32), found.values)
        return float((error**2).sum()) / 16 + 0.12 * 8 * len(writer.finish())

    assert cost(0.12) < cost(0.0)
    with pytest.raises(ValueError, match="too small"):
        quantize.quantize(there, 1e-9)


@pytest.mark.parametrize(
    ("dtype", "ratio"), [("uint8", 4.0), ("int16", 20.0), ("float32", 20.0), ("float64", 80.0)]
)
def test_a_ratio_counts_the_type_of_the_samples_and_is_met(dtype: str, ratio: float) -> None:
    values = volumes.blobs((24, 28, 26), dtype)
    data, decoded = shrunk(values, ratio=ratio)
    most = values.nbytes / ratio
    assert 0.93 * most - 30 < len(data) <= most
    assert psnr(values, decoded) > 30


@pytest.mark.parametrize("settings", [{"size": 3000}, {"bpp": 0.5}])
def test_sizes_are_met(settings: dict[str, float]) -> None:
    values = volumes.blobs((24, 28, 26))
    most = settings.get("size", settings.get("bpp", 0) * values.size / 8)
    assert 0.9 * most < len(shrunk(values, **settings)[0]) <= most


def test_effort_and_the_limit_of_time_say_how_much_is_tried() -> None:
    values = volumes.blobs((24, 28, 26), "float64")
    tried: dict[str, list[str]] = {"little": [], "much": [], "in no time": []}
    settings = {"little": {"effort": 1}, "much": {"effort": 9}, "in no time": {"time_limit": 1e-6}}
    for name, chosen in settings.items():
        codec = Neurcomp(bpp=0.3, **chosen)  # type: ignore[arg-type]
        codec.encode(Volume(values), lambda done, label, name=name: tried[name].append(label))
    counts = {name: len(labels) for name, labels in tried.items()}
    assert max(counts["in no time"], counts["little"]) <= counts["much"]
    assert all("bytes" in label for label in tried["much"])


def test_nothing_is_lost_where_that_is_small_enough() -> None:
    values = np.zeros((40, 40, 40), np.uint8)
    values[10:20, 5:9, 7:30] = 9
    data, decoded = shrunk(values, bpp=0.5)
    assert np.array_equal(decoded, values) and api.inspect(data)["lossless"]
    assert Neurcomp(bpp=0.5).most_bytes(Volume(values)) == 4000
    assert Neurcomp(psnr=30.0).most_bytes(Volume(values)) is None


def test_what_is_too_small_is_refused() -> None:
    with pytest.raises(InputError, match="cannot be as small"):
        shrunk(volumes.blobs(), size=100)
    shrunk(volumes.blobs((2, 2, 2)))  # without a size there is always one
    for wrong in ({"ratio": 5.0, "bpp": 1.0}, {"bpp": -1.0}, {"effort": 10}, {"profile": "good"},
                  {"psnr": 40.0, "profile": "published"}):  # fmt: skip
        with pytest.raises(InputError):
            Neurcomp(**wrong)  # type: ignore[arg-type]


def test_a_psnr_is_reached_and_not_by_much() -> None:
    wanted = 40.0
    values = volumes.blobs((24, 28, 26))
    report = api.Options(settings={"psnr": wanted})
    decoded = api.decompress(api.compress(Volume(values), report)).values
    assert wanted <= psnr(values, decoded) < wanted + 0.6


@pytest.mark.parametrize(
    ("dtype", "bound"), [("uint8", 2.5), ("int32", 0.25), ("float32", 0.25), ("float64", 2.5)]
)
def test_bounds_are_kept(dtype: str, bound: float) -> None:
    values = volumes.blobs(dtype=dtype)
    _, decoded = shrunk(values, max_error=bound)
    largest = np.abs(values.astype(float) - decoded.astype(float)).max()
    assert largest <= bound and (largest > 0 or bound < 1)


def test_a_bound_finer_than_the_type_is_refused() -> None:
    with pytest.raises(InputError, match="--lossless"):
        shrunk(volumes.blobs() + np.float32(1e7), max_error=1e-9)


def test_the_report_says_what_comes_back() -> None:
    values = volumes.blobs((24, 28, 26), "uint8")
    import io

    stream = io.BytesIO()
    report = api.compress_to(stream, Volume(values), api.Options(settings={"bpp": 0.5}))
    decoded = api.decompress(stream.getvalue()).values
    found = measure(values, decoded)
    assert report.quality["psnr_db"] == pytest.approx(found["psnr_db"], abs=1e-9)
    assert report.quality["max_error"] == found["max_error"]


def test_integers_stay_in_range_and_odd_values_stay() -> None:
    values = volumes.blobs()
    values[3:7, 4:9, 2:8] = np.nan
    values[0, 0, :2] = np.inf, -np.inf
    _, decoded = shrunk(values, bpp=1.5)
    odd = ~np.isfinite(values)
    assert np.array_equal(decoded[odd], values[odd], equal_nan=True)
    assert np.isfinite(decoded[~odd]).all()
    assert decoded[~odd].max() <= values[~odd].max() and decoded[~odd].min() >= values[~odd].min()
    assert psnr(np.where(odd, 0, values), np.where(odd, 0, decoded)) > 30


@pytest.mark.parametrize("settings", [{"bpp": 1.0}, {"max_error": 3.0}])
def test_parts_are_those_of_the_whole(settings: dict[str, float], monkeypatch) -> None:
    monkeypatch.setattr("pcc_cli.codecs.neurcomp.transform.BLOCK", 32)
    field = volumes.blobs((40, 33, 30))
    options = api.Options(settings={**settings, "effort": 1})
    data = api.compress(Volume(np.stack([field, field[::-1]], axis=-1), "zyxc"), options)
    whole = api.decompress(data).values
    assert psnr(field, whole[..., 0]) > 28
    part = api.decompress_part(data, (3, 5, 20), (20, 28, 39))
    assert np.array_equal(part.values, whole[20:40, 5:29, 3:21])
    assert part.origin == (3.0, 5.0, 20.0)
    small = api.decompress_part(data, scale=4)
    assert small.values.shape == (10, 9, 8, 2) and small.spacing == (4.0, 4.0, 4.0)
    assert psnr(whole[::4, ::4, ::4, 0], small.values[..., 0]) > 18
    both = api.decompress_part(data, (3, 5, 20), (20, 28, 39), 2)
    assert both.values.shape == (10, 12, 9, 2) and both.origin == (4.0, 6.0, 20.0)
    for low, high, scale in (((90, 0, 0), (99, 9, 9), 1), (None, None, 3)):
        with pytest.raises(InputError):
            api.decompress_part(data, low, high, scale)


def test_parts_of_lossless_files() -> None:
    values = volumes.blobs(dtype="int16")
    volume = Volume(values, spacing=(0.5, 1.0, 2.0), origin=(10.0, 0.0, 0.0))
    data = api.compress(volume)
    part = api.decompress_part(data, (10.5, 3, 4), (12, 8, 20))
    assert np.array_equal(part.values, values[2:11, 3:9, 1:5]) and part.origin == (10.5, 3.0, 4.0)
    assert np.array_equal(api.decompress_part(data, scale=8).values, values[::8, ::8, ::8])


def published(values: np.ndarray, **settings: object) -> tuple[bytes, np.ndarray]:
    return shrunk(values, profile="published", lr=2e-3, n_passes=26, batch_size=64, **settings)


def test_the_network_learns_a_field_and_its_file_is_read_without_it() -> None:
    z, y, x = np.meshgrid(*(np.linspace(-1, 1, 16),) * 3, indexing="ij")
    values = (np.sin(3 * x + y) + z * y).astype(np.float32)
    data, decoded = published(values, compression_ratio=4, n_layers=3)
    assert psnr(values, decoded) > 25
    assert api.inspect(data)["tiles"][0]["config"] == {"profile": "published"}
    part = api.decompress_part(data, (2, 3, 4), (9, 9, 9))
    assert np.allclose(part.values, decoded[4:10, 3:10, 2:10], atol=1e-5)
    small = api.decompress_part(data, scale=2)
    assert np.allclose(small.values, decoded[::2, ::2, ::2], atol=1e-5)


@pytest.mark.parametrize("settings", [{"size": 1500}, {"ratio": 16.0}, {"size": 700}])
def test_the_file_of_a_network_has_the_size_too(settings: dict[str, float]) -> None:
    values = volumes.blobs((12, 12, 44))
    most = settings.get("size") or values.nbytes / settings["ratio"]
    data, _ = published(values, n_layers=2, **settings)
    assert len(data) <= most


def test_gradients_time_steps_and_components() -> None:
    values = np.stack([volumes.blobs((6, 7, 8))] * 2, axis=-1)
    values = np.stack([values, values / 2])
    options = {"profile": "published", "grad_lambda": 0.1, "n_passes": 3, "is_residual": False}
    volume = Volume(values, "tzyxc")
    data = api.compress(volume, api.Options(settings={**options, "n_layers": 2}))
    decoded = api.decompress(data)
    assert decoded.values.shape == values.shape and decoded.axes == "tzyxc"


def test_networks_are_as_wide_as_the_paper_says() -> None:
    assert parameters(32, 8, 1, True) == 14 * 32**2 + 19 * 32 + 1
    assert width_for(91**3 / 50, 8) == 32
    counted = sum(p.numel() for p in SineNetwork(9, 4, 2).parameters())
    assert counted == parameters(9, 4, 2, True)


def test_clusters_are_nearest_and_ascend() -> None:
    values = np.random.default_rng(3).normal(size=400)
    found = clusters.clustered(values, 4)
    assert len(found.centres) == 16 and (np.diff(found.centres) > 0).all()
    distance = np.abs(values[:, None] - found.centres)
    assert np.array_equal(found.indices, distance.argmin(1))
    assert len(clusters.clustered(values[:5], 9).centres) == 5


def test_weights_come_back() -> None:
    rng = np.random.default_rng(4)
    tensors = [
        weights.Tensor.of(rng.normal(size=(9, 3)), None),
        weights.Tensor.of(rng.normal(size=(9, 9)), 4),
        weights.Tensor.of(np.zeros((3, 3)), 9),
    ]
    data = weights.pack(tensors)
    back = weights.unpack(data, [((9, 3), False), ((9, 9), True), ((3, 3), True)])
    for one, other in zip(tensors, back, strict=True):
        assert np.array_equal(one.values(), other.values())
    for length in range(0, len(data), 7):
        with pytest.raises(FormatError):
            weights.unpack(data[:length], [((9, 3), False), ((9, 9), True), ((3, 3), True)])


def test_small_numbers_in_front() -> None:
    out = Out()
    for value in (0, 127, 128, 1 << 40):
        out.whole(value)
    out.block(b"abc")
    stream = In(out.finish())
    assert [stream.whole(1 << 40) for _ in range(4)] == [0, 127, 128, 1 << 40]
    assert stream.block() == b"abc"
    stream.finish()
    with pytest.raises(FormatError, match="most"):
        In(b"\xff\x7f").whole(100)
    with pytest.raises(FormatError, match="early"):
        In(b"\xff").whole(1 << 40)


def sparse() -> np.ndarray:
    """Lone samples, of which zfp makes a smaller file than wavelets do."""
    return (np.random.default_rng(0).random((24, 24, 24)) > 0.995).astype(np.float32)


@pytest.mark.parametrize(
    ("profile", "settings"),
    [
        ("sperr", {"bpp": 3.0}),
        ("sperr", {"psnr": 40.0}),
        ("sperr", {"max_error": 2.6}),
        ("zfp", {"max_error": 2.6}),
    ],
)
@pytest.mark.parametrize("dtype", ["uint8", "float32", "float64"])
def test_files_of_classical_coders_keep_what_was_asked(
    profile: str, settings: dict[str, float], dtype: str
) -> None:
    values = volumes.blobs((16, 20, 18), dtype)
    data, decoded = shrunk(values, profile=profile, **settings)
    assert api.inspect(data)["needs"] == "classical"
    assert api.inspect(data)["tiles"][0]["config"] == {"profile": profile}
    assert 8 * len(data) / values.size <= settings.get("bpp", 99.0)
    assert psnr(values, decoded) >= settings.get("psnr", 30.0)
    assert np.abs(values.astype(float) - decoded).max() <= settings.get("max_error", 250.0)
    part = api.decompress_part(data, (2, 3, 4), (9, 9, 9))
    assert np.array_equal(part.values, decoded[4:10, 3:10, 2:10])


def test_classical_files_keep_holes_time_and_components() -> None:
    values = np.stack([np.stack([volumes.blobs((9, 8, 10))] * 2, -1)] * 2)
    values[1, 2:4, 3:5, :, 0] = np.nan
    options = api.Options(settings={"max_error": 0.5, "profile": "zfp"})
    decoded = api.decompress(api.compress(Volume(values, "tzyxc"), options)).values
    assert np.array_equal(np.isnan(decoded), np.isnan(values))
    assert np.nanmax(np.abs(decoded - values)) <= 0.5


def test_extras_are_used_where_they_are_better_and_allowed() -> None:
    import io

    volume, asked = Volume(sparse()), {"max_error": 0.001}
    plain, stream = io.BytesIO(), io.BytesIO()
    before = api.compress_to(plain, volume, api.Options(settings=asked))
    report = api.compress_to(stream, volume, api.Options(settings=asked, allow_extras=True))
    assert report.bytes_out < before.bytes_out == len(plain.getvalue())
    assert any("zfp stored" in note and "classical" in note for note in report.notes)
    assert api.inspect(stream.getvalue())["needs"] == "classical"
    assert "needs" not in api.inspect(plain.getvalue())
    smooth = Volume(volumes.blobs((24, 24, 24)))
    options = api.Options(settings={"bpp": 1.0}, allow_extras=True)
    assert "needs" not in api.inspect(api.compress(smooth, options))


def test_the_better_of_sizes_or_of_qualities_is_taken() -> None:
    def attempt(settings: dict[str, object]) -> tuple[bytes, Report]:
        profile = settings.get("profile", "best")
        if profile == "zfp":
            raise UnsupportedError("not installed")
        size, psnr_db = {"best": (900, 50.0), "sperr": (1000, 52.0)}[str(profile)]
        quality = {"psnr_db": psnr_db}
        report = Report("volume", 9, 0, size, size, {}, 0.0, "", quality, [], "cpu", [])
        return str(profile).encode(), report

    profiles = Neurcomp().rivals
    data, report = rivals.best({"bpp": 1.0}, profiles, attempt)
    assert data == b"sperr" and "52.00 dB, 50.00 without extras" in report.notes[0]
    assert rivals.best({"psnr": 50.0}, profiles, attempt)[0] == b"best"
    assert Neurcomp("sperr").rivals == ()


def test_without_its_package_a_file_says_what_to_install(monkeypatch) -> None:
    data, _ = shrunk(volumes.blobs((8, 9, 10)), profile="sperr", bpp=8.0)
    monkeypatch.setitem(sys.modules, "hdf5plugin", None)
    with pytest.raises(UnsupportedError, match=r"pip install 'pcc-cli\[classical\]'"):
        api.decompress(data)
    with pytest.raises(UnsupportedError, match="hdf5plugin"):
        shrunk(volumes.blobs((8, 9, 10)), profile="sperr", bpp=8.0)
    with pytest.raises(InputError, match="--max-error"):
        shrunk(volumes.blobs((8, 9, 10)), profile="zfp", bpp=8.0)


@pytest.mark.parametrize("profile", ["sperr", "zfp"])
def test_damaged_files_of_classical_coders_are_refused(profile: str) -> None:
    values = volumes.blobs((8, 9, 10))
    payload = Neurcomp(profile, max_error=1.0).encode(Volume(values))
    stream = payload.streams["DATA"]
    for length in range(0, len(stream), 37):
        with pytest.raises(FormatError):
            Neurcomp(profile).decode(replace(payload, streams={"DATA": stream[:length]}))
