"""The measures of decoded clouds: known answers, and those of MPEG's own program."""

from __future__ import annotations

import math

import numpy as np
import pytest

from pcc_cli.metrics import normals, points
from pcc_cli.metrics.neighbours import Neighbours
from pcc_cli.metrics.points import Cloud, cloud, measure

# pc_error 0.14.1 -a original -b decoded -n original -c 1 -d 1 -r 255 on the clouds of `scene`:
# "3. Final (symmetric)", with the normals of the file as float32.
PC_ERROR = {
    "coarse": {
        "d1_mse": 1.99943347,
        "d1_psnr_db": 49.8929466,
        "d2_mse": 0.723451026,
        "d2_psnr_db": 54.3079248,
        "hausdorff": 1.7320508,
        "y_psnr_db": 35.7694148,
        "yuv_psnr_db": 35.9071539,
    },
    "noisy": {
        "d1_mse": 0.717305444,
        "d1_psnr_db": 54.3449749,
        "d2_mse": 0.405757577,
        "d2_psnr_db": 56.8193498,
        "hausdorff": 1.7320508,
        "y_psnr_db": 29.0928488,
        "yuv_psnr_db": 29.3652710,
    },
}


def scene(kind: str) -> tuple[Cloud, Cloud]:
    """A voxelized wavy ball with normals and colours, and a worse one, 2 voxels a side or noisy."""
    side = np.arange(-60, 61)
    grid = np.stack(np.meshgrid(side, side, side, indexing="ij"), axis=-1).reshape(-1, 3)
    radius = np.linalg.norm(grid, axis=1)
    wave = 50 + 4 * np.sin(grid[:, 0] / 7) + 3 * np.cos(grid[:, 1] / 5)
    ball = grid[np.abs(radius - wave) < 0.6]
    towards = (ball / np.linalg.norm(ball, axis=1, keepdims=True)).astype(np.float32)
    colours = (128 + 100 * np.sin(ball / np.array([9.0, 13.0, 17.0]))).astype(np.uint8)
    original = cloud(ball + 64, colours, towards)
    rng = np.random.default_rng(5)
    if kind == "coarse":
        places, first = np.unique(np.rint((ball + 64) / 3), axis=0, return_index=True)
        return original, cloud(places * 3, colours[first])
    moved = ball + 64 + rng.integers(-1, 2, ball.shape)
    noise = np.clip(colours + rng.integers(-20, 21, colours.shape), 0, 255)
    return original, cloud(moved, noise)


@pytest.mark.parametrize("kind", PC_ERROR)
def test_agrees_with_the_program_of_mpeg(kind: str) -> None:
    found = measure(*scene(kind), peak=255)
    for name, expected in PC_ERROR[kind].items():
        tolerance = 1e-4 if name.endswith("_db") else 1e-6 * expected
        assert found[name] == pytest.approx(expected, abs=tolerance), name


def test_nothing_is_lost_without_a_difference() -> None:
    original, _ = scene("coarse")
    found = measure(original, original, peak=255)
    assert (found["d1_psnr_db"], found["d2_psnr_db"]) == (math.inf, math.inf)
    assert (found["chamfer"], found["hausdorff"], found["f_score"]) == (0, 0, 1)
    assert found["normal_consistency"] == pytest.approx(1)


def test_a_moved_plane() -> None:
    plane = np.stack(np.meshgrid(np.arange(30), np.arange(30), [0.0]), axis=-1).reshape(-1, 3)
    found = measure(cloud(plane), cloud(plane + np.array([0, 0, 2])), peak=29)
    assert found["d1_mse"] == found["d2_mse"] == pytest.approx(4)
    assert found["d1_psnr_db"] == pytest.approx(10 * math.log10(3 * 29**2 / 4))
    assert (found["chamfer"], found["hausdorff"]) == (2, 2)
    assert found["f_score"] == 0  # 0.0025 of 29 is below 2
    assert found["normal_consistency"] == pytest.approx(1)


def test_along_the_plane_the_error_counts_for_d1_alone() -> None:
    plane = np.stack(np.meshgrid(np.arange(0, 90, 3), np.arange(0, 90, 3), [0.0]), axis=-1)
    plane = plane.reshape(-1, 3)
    found = measure(cloud(plane), cloud(plane + np.array([1, 0, 0])), peak=90)
    assert found["d1_mse"] == pytest.approx(1)
    assert found["d2_mse"] == pytest.approx(0, abs=1e-20)


def test_the_worse_direction_counts() -> None:
    whole = np.array([[0.0, 0, 0], [10, 0, 0]])
    found = measure(cloud(whole, normals=np.ones((2, 3))), cloud(whole[:1]), peak=10)
    assert found["d1_mse"] == pytest.approx(50)  # 0 from the one point, (0 + 100) / 2 to the two


def test_points_at_one_place_count_once() -> None:
    double = np.array([[0.0, 0, 0], [0, 0, 0], [3, 0, 0]])
    colours = np.array([[10, 20, 30], [13, 21, 30], [0, 0, 0]])
    merged = cloud(double, colours, np.eye(3))
    assert merged.points.tolist() == [[0, 0, 0], [3, 0, 0]]
    assert merged.colours is not None and merged.colours.tolist() == [[11, 20, 30], [0, 0, 0]]


def test_few_points_are_enough() -> None:
    one = cloud(np.array([[1.0, 2, 3]]))
    found = measure(one, cloud(np.array([[1.0, 2, 5]])), peak=1)
    assert found["d1_mse"] == 4
    assert np.isfinite(found["d2_mse"])


def test_all_equally_near_points_are_found() -> None:
    rng = np.random.default_rng(2)
    corners = np.stack(np.meshgrid([0, 1], [0, 1], [0, 1]), axis=-1).reshape(-1, 3)
    far = rng.uniform(5, 9, (40, 3))
    index = Neighbours(np.concatenate([corners, far]).astype(np.float64))
    ties = index.ties(np.array([[0.5, 0.5, 0.5], [0.5, 0.5, 0.1], [0.1, 0.1, 0.1]]))
    assert ties.count.tolist() == [8, 4, 1]
    assert ties.query.tolist() == [0] * 8 + [1] * 4 + [2]
    assert ties.mean(np.arange(13.0)).tolist() == [3.5, 9.5, 12]
    assert ties.distance == pytest.approx(np.sqrt([0.75, 0.51, 0.03]))


def test_more_ties_than_the_first_look_finds() -> None:
    angle = np.arange(24) * 2 * np.pi / 24
    ring = np.stack([np.cos(angle), np.sin(angle), np.zeros(24)], axis=1)
    index = Neighbours(np.concatenate([ring, ring * 3]))
    ties = index.ties(np.array([[0.0, 0, 0], [2.9, 0, 0]]))
    assert ties.count.tolist() == [24, 1]
    assert ties.distance == pytest.approx([1, 0.1])


def test_normals_of_a_ball_point_one_way() -> None:
    original, _ = scene("coarse")
    found = normals.orient(normals.estimate(original.index), original.index)
    outwards = original.points - original.points.mean(axis=0)
    outwards /= np.linalg.norm(outwards, axis=1, keepdims=True)
    cosine = (found * outwards).sum(axis=1)
    assert abs(np.sign(cosine).mean()) > 0.98  # but for the folds of the waves
    assert np.median(np.abs(cosine)) > 0.9


def test_normals_of_separate_parts_are_all_oriented() -> None:
    original, _ = scene("coarse")
    apart = np.concatenate([original.points, original.points + 1000])
    index = Neighbours(apart)
    found = normals.orient(normals.estimate(index), index)
    assert np.linalg.norm(found, axis=1) == pytest.approx(1)


def test_intrinsic_resolution_is_the_largest_gap() -> None:
    row = cloud(np.array([[0.0, 0, 0], [1, 0, 0], [2, 0, 0], [7, 0, 0]]))
    assert points.intrinsic_resolution(row) == 5


def test_f_score_is_a_harmonic_mean() -> None:
    near, far = np.array([0.1, 0.1, 0.1, 9]), np.array([0.1, 9])
    assert points.f_score(near, far, 1) == pytest.approx(2 * 0.75 * 0.5 / 1.25)
    assert points.f_score(far + 9, far + 9, 1) == 0
