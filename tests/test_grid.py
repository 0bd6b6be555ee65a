"""Grids: exact ones are found and kept bit for bit, others lose no more than they say."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from pcc_cli.errors import FormatError, InputError
from pcc_cli.grid import Fit, Grid, fit, restore
from pcc_cli.grid.images import from_image, to_image
from pcc_cli.grid.spacing import default_step, point_spacing
from pcc_cli.records import dump_json

RANDOM = np.random.default_rng(7)


def integers(limit: int = 90_000, rows: int = 500) -> np.ndarray:
    return RANDOM.integers(-limit, limit, (rows, 3))


def reopened(found: Fit) -> np.ndarray:
    """The points that a reader of the file would get."""
    grid = Grid.from_json(json.loads(dump_json(found.grid.to_json())))
    assert grid == found.grid
    assert found.voxels.dtype == np.int64
    assert not len(found.voxels) or 0 <= found.voxels.min() <= found.voxels.max() < 1 << 32
    return restore(found.voxels, grid, found.residual)


def assert_kept(points: np.ndarray, **options: Any) -> Fit:
    found = fit(points, **options)
    back = reopened(found)
    assert back.dtype == points.dtype and back.tobytes() == points.tobytes()
    assert found.grid.exact and found.max_error == 0.0
    return found


ON_A_GRID = {
    "whole floats": (integers().astype(np.float32), 1.0),
    "parsed millimetres": ((integers() / 1000).astype(np.float32), 0.001),
    "millimetres, float64 product": (integers() * 0.001, 0.001),
    "millimetres, float32 product": (
        integers().astype(np.float32) * np.float32(0.001),
        float(np.float32(0.001)),
    ),
    "centimetres of a map": ((integers() + np.array([450_000_000, 55_000_000, 9])) / 100, 0.01),
    "16 mm": (integers(5000) * 16 / 1000, 0.016),
    "half millimetres": ((integers() / 2000).astype(np.float32), 0.0005),
    "1/1024": ((integers() / 1024).astype(np.float32), 1 / 1024),
    "voxel centres": ((integers(500) + 0.5) * 0.25, 0.25),
    "tens": (integers().astype(np.float64) * 10, 10.0),
    "doubles that hold floats": (
        (integers() / 1000).astype(np.float32).astype(np.float64),
        0.001,
    ),
    "half precision": ((integers(1000) / 16).astype(np.float16), 1 / 16),
}


@pytest.mark.parametrize("name", ON_A_GRID)
def test_own_grid_is_kept(name: str) -> None:
    points, step = ON_A_GRID[name]
    found = assert_kept(points)
    assert found.grid.kind == "step"
    assert found.grid.steps == pytest.approx((step,) * 3)
    assert found.voxels.min(axis=0).tolist() == [0, 0, 0]
    assert_kept(points, lossless=True)


@pytest.mark.parametrize("kind", ["i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8"])
def test_integers_are_kept(kind: str) -> None:
    limits = np.iinfo(kind)
    for start in (limits.min, limits.max - 100, max(limits.min, -50)):
        offsets = RANDOM.integers(0, 100, (200, 3)).astype(np.uint64)
        wrapped = offsets + np.uint64(start % (1 << 64))
        assert_kept(wrapped.astype(kind))


def test_widest_axis_is_kept() -> None:
    points = np.array([[-(1 << 31), 0, 7], [(1 << 31) - 1, 1, 7], [0, 0, 7]])
    assert assert_kept(points).voxels.max() == (1 << 32) - 1


def test_axes_have_their_own_stride() -> None:
    points = integers() * [1, 10, 0] / 1000 + [0, 0, 3.25]
    found = assert_kept(points)
    assert found.grid.steps[:2] == pytest.approx((0.001, 0.01))
    assert found.voxels[:, 2].max() == 0


def test_negative_zeros_are_kept() -> None:
    points = (integers(5) / 1000).astype(np.float32)
    points[points == 0] = -0.0
    points[0] = 0.0
    found = assert_kept(points)
    assert found.grid.residual == "negative_zero"
    assert found.residual is not None and found.residual.dtype == np.uint8


def test_declared_scales_are_tried() -> None:
    scales, offsets = [0.00123, 0.00037, 1e-7], [393775.82306091185, 0.1, -0.0]
    points = integers() * np.array(scales) + np.array(offsets)
    assert not fit(points).grid.exact
    assert_kept(points, scales=scales, offsets=offsets)
    for useless in ([0.0, 1.0, 1.0], [np.inf, 1.0, 1.0], [1.0]):
        assert fit(points, scales=useless, offsets=offsets).grid.kind == "step"


def test_one_point_off_the_grid_is_noticed() -> None:
    points = (integers(rows=40_000) / 1000).astype(np.float32)
    points[39_998, 1] = 0.1234567
    found = fit(points)
    assert not found.grid.exact and found.max_error > 0
    assert_kept(points, lossless=True)


def test_chance_is_no_grid() -> None:
    """float32 above 8 are all near multiples of a millionth; that is their resolution, no grid."""
    points = (RANDOM.random((500, 3)) * 100 + 8).astype(np.float32)
    assert fit(points).voxels.max() < 1 << 20


def test_resolution_of_the_floats_ends_quantization() -> None:
    """Map coordinates in float32 resolve 1/32: a finer step would only cost."""
    points = (RANDOM.random((500, 3)) + 500_000).astype(np.float32)
    assert assert_kept(points).grid.steps == (1 / 32,) * 3


@pytest.mark.parametrize("kind", ["f2", "f4", "f8"])
def test_lossless_keeps_any_float(kind: str) -> None:
    limits = np.finfo(kind)
    special = [0.0, -0.0, limits.max, limits.min, limits.tiny, limits.smallest_subnormal, 1 / 3, -1]
    points = np.concatenate([RANDOM.normal(size=(200, 3)), RANDOM.choice(special, (100, 3))])
    assert assert_kept(points.astype(kind), lossless=True).grid.kind == "float_bits"


def test_images_are_in_the_order_of_the_floats() -> None:
    values = np.sort(RANDOM.normal(size=300)).astype(np.float32).reshape(-1, 3)
    image, low = to_image(values)
    assert low is None and (np.diff(image.ravel()) >= 0).all()


@pytest.mark.parametrize("options", [{}, {"step": 0.01}, {"step": 0.07}, {"bits": 8}])
@pytest.mark.parametrize("kind", ["f4", "f8"])
def test_error_is_the_one_reported(options: dict[str, Any], kind: str) -> None:
    points = RANDOM.normal(size=(40_000, 3)).astype(kind)
    found = fit(points, **options)
    distance = np.linalg.norm(reopened(found).astype(np.float64) - points, axis=1)
    assert not found.grid.exact
    assert found.max_error == pytest.approx(distance.max(), rel=1e-12)
    assert found.max_error <= max(found.grid.steps) * np.sqrt(3) / 2 * 1.0001
    if "step" in options:
        assert found.grid.steps == (options["step"],) * 3
    if "bits" in options:
        assert found.voxels.max() == 255


def test_quantized_points_are_on_a_grid_afterwards() -> None:
    points = RANDOM.normal(size=(2000, 3)).astype(np.float32)
    once = reopened(fit(points, step=0.002))
    assert assert_kept(once).grid.steps == (0.002,) * 3


def test_step_and_bits_are_upper_bounds() -> None:
    points = (integers(500) / 100).astype(np.float32)
    for options in ({"step": 0.004}, {"step": 0.01}, {"bits": 10}, {"bits": 20}):
        assert_kept(points, **options)
    assert fit(points, step=0.02).grid.steps == (0.02,) * 3
    assert fit(points, bits=9).voxels.max() == 511


def test_integers_on_a_coarser_grid() -> None:
    points = RANDOM.integers(0, 256, (300, 3)).astype(np.uint8)
    points[0] = 255
    found = fit(points, step=10)
    back = reopened(found)
    assert back.dtype == np.uint8
    assert found.max_error == np.sqrt(((back.astype(int) - points) ** 2).sum(axis=1).max()) > 0
    assert_kept(points, step=0.5)


def test_scan_near_a_grid_costs_no_more_than_the_grid() -> None:
    """Voxel filters leave coordinates that are off their grid by rounding alone."""
    cells = np.stack(np.meshgrid(*[np.arange(10)] * 3), axis=-1).reshape(-1, 3)
    points = cells * 0.006 - 1.398 + RANDOM.uniform(-1e-7, 1e-7, cells.shape)
    found = fit(points)
    assert found.grid.steps == pytest.approx((0.006,) * 3)
    assert 0 < found.max_error < 1e-6


def test_spacing_is_that_of_the_points() -> None:
    line = np.zeros((1000, 3))
    line[:, 0] = np.arange(1000) * 0.25
    assert point_spacing(line) == 0.25
    assert point_spacing(np.repeat(line, 3, axis=0)) == 0.25
    assert point_spacing(np.ones((10, 3))) == 0.0


@pytest.mark.parametrize(
    ("spacing", "step"), [(16, 1), (15.9, 0.5), (0.05, 0.002), (1e-3, 5e-5), (320, 20)]
)
def test_default_step_is_round(spacing: float, step: float) -> None:
    assert default_step(spacing) == step


@pytest.mark.parametrize("kind", ["f4", "f8", "i4", "u1"])
def test_few_points(kind: str) -> None:
    for points in (np.empty((0, 3)), np.full((1, 3), 0.1), np.full((5, 3), -7.7)):
        for options in ({}, {"lossless": True}, {"bits": 4}):
            with np.errstate(invalid="ignore"):
                assert_kept(points.astype(kind), **options)
    assert len(fit(np.empty((0, 3), kind), step=0.1).voxels) == 0


def test_infinite_coordinates_are_counted() -> None:
    points = np.zeros((10, 3), np.float32)
    points[3, 1], points[7] = np.nan, np.inf
    with pytest.raises(InputError, match=r"2 of 10 points .* first is point 3"):
        fit(points)


@pytest.mark.parametrize(
    "options",
    [
        {"step": 0.1, "bits": 3},
        {"step": 0.1, "lossless": True},
        {"step": 0.0},
        {"step": -1.0},
        {"step": float("nan")},
        {"step": float("inf")},
        {"bits": 0},
        {"bits": 33},
    ],
)
def test_contradicting_options(options: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        fit(np.zeros((2, 3)), **options)


@pytest.mark.parametrize(
    "points",
    [
        np.array([[0, 0, 0], [1 << 32, 1, 0], [1, 0, 0]]),
        np.array([[-(1 << 63), 0, 0], [(1 << 63) - 1, 1, 0], [1, 0, 0]]),
        np.array([[0, 0, 0], [0.1, 0.2, 0.3], [1e12, 0, 0]]),
    ],
)
def test_axes_beyond_32_bits_get_advice(points: np.ndarray) -> None:
    with pytest.raises(InputError, match="--precision"):
        fit(points)


def test_largest_floats() -> None:
    points = np.array([[1e308, -1e308, 0], [-1.7e308, 1, 2], [1e-308, 0, 0.1]])
    for options in ({"step": 1.0}, {"bits": 10}):
        with pytest.raises(InputError, match="--lossless"):
            fit(points, **options)
    with pytest.raises(InputError, match="--precision"):
        fit(points / 4, step=1e-5)
    assert_kept(points)
    assert_kept(points, lossless=True)


def test_residual_must_fit() -> None:
    found = fit(RANDOM.normal(size=(4, 3)), lossless=True)
    assert found.residual is not None
    bad = (None, found.residual[:2], found.residual.astype(np.int64))
    for residual in bad:
        with pytest.raises(FormatError):
            restore(found.voxels, found.grid, residual)
    with pytest.raises(FormatError):
        restore(np.zeros((1, 3), np.int64), Grid("step", "float32", "float32"), np.zeros((1, 3)))


def test_image_of_no_float_is_refused() -> None:
    with pytest.raises(FormatError):
        from_image(np.zeros((1, 3), np.uint64), None, "float32")


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "other"},
        {"kind": ["step"]},
        {"dtype": "complex64"},
        {"rounding": "int8"},
        {"numerator": [0.0, 1.0, 1.0]},
        {"numerator": [1, 1.0, 1.0]},
        {"denominator": [1.0, 1.0]},
        {"denominator": None},
        {"origin": [float("inf"), 0.0, 0.0]},
        {"stride": [0, 1, 1]},
        {"stride": [True, 1, 1]},
        {"offset": [1 << 64, 0, 0]},
        {"offset": [0.5, 0, 0]},
        {"exact": 1},
        {"residual": "low_bits"},
        {"residual": {}},
        {"extra": 1},
    ],
)
def test_hostile_grid_is_refused(change: dict[str, Any]) -> None:
    record = Grid("step", "float32", "float32").to_json()
    with pytest.raises(FormatError, match="grid"):
        Grid.from_json(record | change)


def test_incomplete_grid_is_refused() -> None:
    for record in ({}, [], None, {"kind": "step"}):
        with pytest.raises(FormatError, match="grid"):
            Grid.from_json(record)
