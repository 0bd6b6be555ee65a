"""The camera finds out by itself what kind of scene it sees, and which way is up."""

from __future__ import annotations

import numpy as np
import pytest

from pcc_cli.evaluation.report.render import best_camera, render
from pcc_cli.evaluation.report.viewpoint import scene_of
from pcc_cli.geometry import Array, Mesh, PointCloud

Y, Z = (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)


def capsule(up: int, count: int = 3000) -> Array:
    """Points of a standing body, twice as high as wide, of positive coordinates."""
    points = np.random.default_rng(0).normal(size=(count, 3))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    points[:, up] *= 2.0
    return points + 20.5


def sweep(count: int = 6000) -> Array:
    """What a turning scanner sees on flat ground, metres from itself."""
    random = np.random.default_rng(1)
    away, turn = 4.0 / random.uniform(0.05, 1.0, count), random.uniform(0.0, 2 * np.pi, count)
    ground = random.normal(-1.7, 0.1, count)
    return np.stack([away * np.cos(turn), away * np.sin(turn), ground], axis=1)


def depth_image() -> Array:
    """What a depth camera sees of a wall two metres before it and of a box, y down."""
    x, y = (
        axis.ravel() for axis in np.meshgrid(np.linspace(-0.5, 0.5, 80), np.linspace(-0.4, 0.4, 60))
    )
    z = np.where((np.abs(x) < 0.2) & (y > 0.1), 1.2, 2.0)
    return np.stack([x * z, y * z, z], axis=1)


def test_a_standing_body_is_seen_from_the_front() -> None:
    for up, axis in ((Y, 1), (Z, 2)):
        scene = scene_of(PointCloud(capsule(axis)))
        assert (scene.kind, scene.up) == ("body", up)
        assert scene.elevation < 25.0


def test_a_shape_stands_on_the_ground_at_zero() -> None:
    ball = capsule(0, 500)
    ball[:, 0] -= 10.0
    for axis, up in ((1, Y), (2, Z)):
        points = ball.copy()
        points[:, axis] -= points[:, axis].min()
        assert scene_of(PointCloud(points)).up == up


def test_without_other_signs_meshes_stand_along_y_and_clouds_along_z() -> None:
    points = capsule(0, 500)
    assert scene_of(PointCloud(points)).up == Z
    assert scene_of(Mesh(points, np.array([3], np.int32), np.arange(3))).up == Y
    assert scene_of(PointCloud(np.rint(10 * points))).up == Y  # voxels: computer graphics


def test_flat_land_and_sweeps_are_seen_from_above() -> None:
    land = np.random.default_rng(2).uniform(0.0, 1.0, (4000, 3)) * (300.0, 200.0, 20.0) + 5e5
    assert scene_of(PointCloud(land)).kind == "land"
    assert scene_of(PointCloud(sweep())).kind == "sweep"
    assert scene_of(PointCloud(sweep() + 80.0)).kind == "sweep"  # wherever its origin is
    for points in (land, sweep()):
        camera = best_camera(PointCloud(points))
        assert camera.up == Z and camera.position[2] > points[:, 2].max()


def test_a_sweep_is_framed_without_its_farthest_points() -> None:
    points = sweep()
    seen = best_camera(PointCloud(points), 400, 300).project(points)
    inside = (seen[:, :2] > 0).all(1) & (seen[:, :2] < (400, 300)).all(1) & (seen[:, 2] > 0)
    assert 0.8 < inside.mean() < 0.999


def test_what_a_depth_camera_saw_is_seen_from_where_it_stood() -> None:
    cloud = PointCloud(depth_image())
    assert scene_of(cloud).kind == "view"
    camera = best_camera(cloud)
    assert camera.position[2] < 1.2 and camera.up == (0.0, -1.0, 0.0)
    closed = np.concatenate([cloud.points, cloud.points * (1.0, 1.0, 1.8)])
    assert scene_of(PointCloud(closed)).kind != "view"  # two surfaces along each ray


@pytest.mark.parametrize("count", [0, 1, 3])
def test_few_points_have_a_camera_too(count: int) -> None:
    cloud = PointCloud(np.ones((count, 3)))
    assert render(cloud, best_camera(cloud, 40, 30)).shape == (30, 40, 3)


def test_land_without_colours_is_coloured_by_height() -> None:
    x, y = (axis.ravel() for axis in np.meshgrid(np.arange(60.0), np.arange(60.0)))
    cloud = PointCloud(np.stack([x, y, 0.2 * x], axis=1))
    camera = best_camera(cloud, 120, 90)
    image = render(cloud, camera).astype(int)
    low, high = camera.project(np.array([(3.0, 30.0, 0.6), (56.0, 30.0, 11.2)]))[:, :2].astype(int)
    assert image[low[1], low[0], 2] > image[low[1], low[0], 0] + 30  # blue
    assert image[high[1], high[0], 0] > image[high[1], high[0], 2] + 30  # red
