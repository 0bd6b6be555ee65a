"""The measures of decoded meshes, on shapes whose answers are known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import trimesh

from pcc_cli.evaluation import measure as measures
from pcc_cli.evaluation import rows, run
from pcc_cli.evaluation.choices import Choices
from pcc_cli.formats import ply
from pcc_cli.geometry import Mesh
from pcc_cli.metrics.meshes import Surface, measure
from pcc_cli.metrics.volume_overlap import overlap


def surface(mesh: trimesh.Trimesh, seed: int = 0, scale: float = 1.0) -> Surface:
    return Surface(np.asarray(mesh.vertices) * scale, np.asarray(mesh.faces, np.int64), seed)


def ball() -> trimesh.Trimesh:
    return trimesh.creation.icosphere(subdivisions=3)


def boxes(*moves: tuple[float, float, float]) -> list[np.ndarray]:
    box = trimesh.creation.box()
    corners = np.asarray(box.vertices)[np.asarray(box.faces)]
    return [corners + np.array(move) for move in moves]


def test_balls_of_two_sizes() -> None:
    found = measure(surface(ball()), surface(ball(), 1, 0.9), peak=2.0)
    assert found["mesh_distance"] == pytest.approx(0.1, rel=0.01)
    assert found["mesh_hausdorff"] == pytest.approx(0.1, rel=0.02)
    assert found["iou"] == pytest.approx(0.9**3, abs=0.002)
    assert found["d2_mse"] == pytest.approx(0.01, rel=0.05)
    assert found["normal_consistency"] > 0.99
    assert found["f_score"] == 0


def test_one_surface_sampled_twice() -> None:
    found = measure(surface(ball()), surface(ball(), 1), peak=2.0)
    assert found["mesh_distance"] == pytest.approx(0, abs=1e-6)
    assert 0 < found["chamfer"] < 0.01  # between samples, not surfaces
    assert found["iou"] == 1


def test_boxes_overlap_as_their_lengths_say() -> None:
    still, beside, above, away = boxes((0, 0, 0), (0.25, 0, 0), (0, 0, 0.5), (3, 0, 0))
    assert overlap(still, beside) == pytest.approx(0.75 / 1.25, abs=0.01)
    assert overlap(still, above) == pytest.approx(0.5 / 1.5, abs=0.01)
    assert overlap(still, away) == 0
    assert overlap(still, still) == 1


def test_an_open_mesh_has_no_inside() -> None:
    whole = surface(ball(), 1)
    opened = Surface(whole.vertices, whole.triangles[1:])
    assert whole.is_closed and not opened.is_closed
    assert "iou" not in measure(opened, whole, peak=2.0)


def test_vertices_at_one_place_close_a_mesh() -> None:
    whole = surface(ball())
    torn = Surface(whole.corners.reshape(-1, 3), np.arange(whole.triangles.size).reshape(-1, 3))
    assert torn.is_closed


def test_samples_cover_the_surface_evenly() -> None:
    points = surface(ball()).samples.points
    assert np.abs(points.mean(axis=0)).max() < 0.01
    upper = (points[:, 2] > 0.5).mean()
    assert upper == pytest.approx(0.25, abs=0.01)  # Archimedes: area goes with height


def as_mesh(mesh: trimesh.Trimesh) -> Mesh:
    faces = np.asarray(mesh.faces, np.int64)
    points = np.asarray(mesh.vertices, np.float32)
    return Mesh(points, np.full(len(faces), 3, np.int32), faces.ravel())


def test_the_order_of_vertices_and_faces_does_not_matter() -> None:
    one = as_mesh(ball())
    rng = np.random.default_rng(0)
    places = rng.permutation(len(one.points))
    faces = np.argsort(places)[one.face_indices].reshape(-1, 3)
    other = Mesh(one.points[places], one.face_sizes, np.roll(faces, 1, axis=1)[::-1].ravel())
    assert measures.same(one, other)
    flipped = replace(one, face_indices=one.face_indices.reshape(-1, 3)[:, ::-1].ravel())
    assert not measures.same(one, flipped)
    assert not measures.same(one, replace(one, points=one.points * np.float32(1.5)))


def test_meshes_are_compared_by_all_that_take_them(tmp_path: Path) -> None:
    path = tmp_path / "ball.ply"
    path.write_bytes(ply.write(as_mesh(ball())))
    work = run.plan([path], Choices(against=("draco", "zstd", "laz")), tmp_path)
    chosen = [task for task in work.tasks if task.row.setting in ("lossless", "qp8", "600 faces")]
    found = [outcome for _, outcome in run.execute(run.Plan(chosen, []), tmp_path)]
    assert [(row.codec, row.kind) for row in found if isinstance(row, rows.Row)] == [
        ("plain.1", "mesh"),
        ("draco", "mesh"),
        ("decimation+draco", "mesh"),
        ("zstd", "mesh"),
    ]
    plain, draco, decimated, zstd = found
    assert isinstance(plain, rows.Row) and isinstance(zstd, rows.Row)
    assert plain.lossless and zstd.lossless
    assert isinstance(draco, rows.Row) and isinstance(decimated, rows.Row)
    assert draco.bytes < zstd.bytes
    assert draco.metrics["iou"] > 0.98
    kept = ply.read((tmp_path / decimated.reconstruction).read_bytes(), "decimated")
    assert isinstance(kept, Mesh) and len(kept.face_sizes) <= 600
