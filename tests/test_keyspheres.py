"""keyspheres.1: solids with known distances, its stream, its surfaces, and whole files."""

from __future__ import annotations

import os
import subprocess
import sys

import contract
import numpy as np
import pytest
import torch
import trimesh

from pcc_cli import api
from pcc_cli.codecs.keyspheres import codec as codecs_of_keys
from pcc_cli.codecs.keyspheres import stream
from pcc_cli.codecs.keyspheres.codec import Keyspheres
from pcc_cli.codecs.keyspheres.plan import Plan
from pcc_cli.codecs.keyspheres.spheres import RADII, Spheres, find
from pcc_cli.codecs.keyspheres.stream import Quantized
from pcc_cli.entropy import bells
from pcc_cli.errors import FormatError, InputError
from pcc_cli.geometry import Mesh
from pcc_cli.levelset import solid as solids
from pcc_cli.levelset.solid import CELLS, Frame, Solid, grid_points
from pcc_cli.levelset.surface import surface
from pcc_cli.nn.soap import Soap

QUICK = {"width": 16, "layers": 3, "spheres": 4, "steps": 1000, "batch": 512, "restarts": 1,
         "resolution": 32}  # fmt: skip


def mesh_of(shape, dtype=np.float64) -> Mesh:
    faces = np.asarray(shape.faces, np.int64)
    return Mesh(np.asarray(shape.vertices, dtype), np.full(len(faces), 3, np.int32), faces.ravel())


def ball(divisions=4):
    return trimesh.creation.icosphere(subdivisions=divisions)


@pytest.fixture(autouse=True)
def few_samples(monkeypatch):
    monkeypatch.setattr(solids, "NEAR", 12_000)


@pytest.fixture(scope="module")
def packed():
    """A file with a torus, and the torus."""
    shape = mesh_of(trimesh.creation.torus(2.0, 0.9), np.float32)
    solids_near, solids.NEAR = solids.NEAR, 20_000
    data = api.compress(shape, api.Options(codec="keyspheres", settings=QUICK))
    solids.NEAR = solids_near
    return data, shape


def test_distances_and_signs_of_a_ball():
    _, solid = Solid.of(mesh_of(ball(5)))
    points = grid_points()
    wanted = np.linalg.norm(points, axis=1) - solids.REACH
    assert np.abs(solid.grid.ravel() - wanted).max() < 3e-3


@pytest.mark.parametrize("change", ["turned inside out", "open", "doubled"])
def test_inside_of_meshes_that_are_not_closed_or_oriented(change):
    shape = ball()
    if change == "turned inside out":
        shape.invert()
    elif change == "open":
        shape = trimesh.Trimesh(shape.vertices, shape.faces[shape.triangles_center[:, 2] < 0.8])
    else:
        moved = shape.copy()
        moved.apply_translation([0.7, 0, 0])
        shape = trimesh.util.concatenate([shape, moved])
    frame, solid = Solid.of(mesh_of(shape))
    probes = frame.inward(np.array([[0.0, 0, 0], [0.5, 0.1, 0.2], [0, 3.0, 0], [-1.3, 0, 0]]))
    assert solid.inside(probes).tolist() == [True, True, False, False]


def test_key_spheres_of_a_ball_and_of_two():
    _, solid = Solid.of(mesh_of(ball()))
    one = find(solid.grid, 1)
    assert np.abs(one.centres()).max() < 1.5 / CELLS * 2
    assert abs(one.radii[0] / RADII - solids.REACH) < 3 / CELLS
    moved = ball()
    moved.apply_translation([4.0, 0, 0])
    _, solid = Solid.of(mesh_of(trimesh.util.concatenate([ball(), moved])))
    two = find(solid.grid, 2)
    assert sorted(np.sign(two.centres()[:, 0]).tolist()) == [-1, 1]
    assert np.abs(two.radii / RADII - 0.3).max() < 2 / CELLS


def test_key_spheres_lie_inside_and_are_as_many_as_asked():
    _, solid = Solid.of(mesh_of(trimesh.creation.torus(2.0, 0.7)))
    keys = find(solid.grid, 100)
    assert len(keys) == 100
    assert (np.diff(keys.cells) > 0).all()
    assert (solid.grid.ravel()[keys.cells] < 0).all()


def edges_of(triangles):
    edges = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    return np.unique(np.sort(edges, axis=1), axis=0, return_counts=True)[1]


def test_surface_of_a_ball_is_closed_round_and_turned_outwards():
    vertices, triangles = surface(lambda p: np.linalg.norm(p, axis=1) - 0.5, 128)
    assert (edges_of(triangles) == 2).all()
    assert np.abs(np.linalg.norm(vertices, axis=1) - 0.5).max() < 1e-4
    found = trimesh.Trimesh(vertices, triangles, process=False)
    assert found.is_winding_consistent
    assert found.volume == pytest.approx(np.pi / 6, rel=1e-3)


def test_surface_of_noise_has_no_hole():
    values = np.random.default_rng(0).normal(size=(34, 34, 34))

    def noise(points):
        return values[tuple(np.rint((points + 1) * 16).astype(int).T)]

    _, triangles = surface(noise, 32)
    assert len(triangles) > 10_000
    assert (edges_of(triangles) == 2).all()


def test_surface_is_followed_where_coarse_cells_say_nothing_is_near():
    def misleading(points):
        true = np.linalg.norm(points, axis=1) - 0.5
        return np.where(points[:, 0] > 0.1, np.sign(true) * 0.9, true)

    _, triangles = surface(misleading, 64)
    assert (edges_of(triangles) == 2).all()


def test_nothing_inside_gives_no_triangles():
    vertices, triangles = surface(lambda p: np.ones(len(p)), 64)
    assert vertices.shape == (0, 3)
    assert triangles.shape == (0, 3)


@pytest.mark.parametrize("number", range(0, bells.BELLS, 7))
def test_bells(number):
    table = bells.bell(number)
    assert table.sum() == 1 << 16
    assert table.min() >= 1
    assert (table == table[::-1]).all()
    assert (np.diff(table[bells.REACH :]) <= 0).all()


def test_a_bell_is_near_the_entropy_of_what_it_is_for():
    values = np.rint(np.random.default_rng(0).normal(scale=20, size=5000)).astype(np.int64)
    cost = bells.costs()[bells.best(values)][values + bells.REACH].mean()
    assert cost < np.log2(20 * np.sqrt(2 * np.pi * np.e)) * 1.01


def test_soap_solves_what_is_badly_scaled():
    torch.manual_seed(0)
    scales = torch.logspace(-2, 0, 8)
    inputs = torch.randn(512, 8) * scales
    wanted = inputs @ torch.randn(8, 3)
    weight = torch.zeros(8, 3, requires_grad=True)
    optimizer = Soap([weight], 0.03)
    for _ in range(400):
        loss = (inputs @ weight - wanted).square().mean()
        loss.backward()
        optimizer.step()
    assert float(loss.detach()) < 1e-3 * float(wanted.square().mean())


def example():
    rng = np.random.default_rng(0)
    plan = Plan(3, 5, 7, True, "leaky", 0.25, True)
    keys = Spheres(np.sort(rng.choice(CELLS**3, 7, replace=False)), rng.integers(0, 200, 7))
    layers = [
        Quantized(rng.integers(-127, 128, shape), (int(rng.integers(200)), 3))
        for shape in plan.shapes()
    ]
    return plan, Frame(np.array([1.5, -2e6, 0.1]), 3.75), keys, layers


def test_stream_gives_everything_back():
    plan, frame, keys, layers = example()
    found = stream.unpack(stream.pack(plan, frame, keys, layers))
    assert found.plan == plan
    assert (found.frame.centre == frame.centre).all()
    assert found.frame.radius == frame.radius
    assert (found.spheres.cells == keys.cells).all()
    assert (found.spheres.radii == keys.radii).all()
    for one, other in zip(found.layers, layers, strict=True):
        assert one.steps == other.steps
        assert (one.values == other.values).all()


def test_numbers_far_out_come_back_and_larger_ones_are_refused():
    *rest, layers = example()
    values = np.arange(-stream.LARGEST, stream.LARGEST)[: layers[1].values.size * 400 : 400]
    few = np.resize(values, layers[1].values.shape)
    layers[1] = Quantized(few, layers[1].steps)
    assert (stream.unpack(stream.pack(*rest, layers)).layers[1].values == few).all()
    layers[1] = Quantized(np.full_like(few, stream.LARGEST + bells.REACH), layers[1].steps)
    with pytest.raises(FormatError, match="too large"):
        stream.unpack(stream.pack(*rest, layers))


def test_a_stream_that_is_cut_is_refused():
    data = stream.pack(*example())
    # Behind its end a range coder reads zeros: what is cut off there is for checksums to notice.
    for length in range(90):
        with pytest.raises(FormatError):
            stream.unpack(data[:length])


def test_a_torus_comes_back(packed):
    data, shape = packed
    back = api.decompress(data)
    assert back.points.dtype == np.float32
    assert (edges_of(back.face_indices.reshape(-1, 3)) == 2).all()
    found = trimesh.Trimesh(back.points, back.face_indices.reshape(-1, 3), process=False)
    wanted = trimesh.Trimesh(shape.points, shape.face_indices.reshape(-1, 3), process=False)
    assert found.volume == pytest.approx(wanted.volume, rel=0.06)
    assert np.abs(found.bounds - wanted.bounds).max() < 0.15
    assert api.inspect(data)["lossless"] is False


def test_a_fresh_process_reads_it_and_checks_its_integers(packed, tmp_path):
    path = tmp_path / "a.dcz"
    path.write_bytes(packed[0])
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [
        sys.executable,
        "-m",
        "pcc_cli",
        "decompress",
        str(path),
        "-o",
        str(tmp_path / "a.off"),
    ]
    subprocess.run(command, env=environment, check=True, capture_output=True)
    assert (tmp_path / "a.off").read_bytes().startswith(b"OFF\n")


def test_damage_is_refused(packed):
    data, _ = packed
    genuine = api.decompress(data)
    for damaged in contract.resealed_damage(data, step=max(1, len(data) // 20)):
        contract.check_refused(damaged, genuine)


@pytest.mark.parametrize("latent", [False, True])
@pytest.mark.parametrize("activation", ["sine", "leaky"])
def test_every_kind_of_network_learns(latent, activation):
    settings = {**QUICK, "latent": latent, "activation": activation}
    payload = Keyspheres(**settings).encode(mesh_of(ball()))
    assert payload.quality["iou"] > 0.85
    assert len(Keyspheres(resolution=32).decode(payload)) > 100


def test_the_same_bytes_twice():
    codec = Keyspheres(**{**QUICK, "steps": 20})
    contract.check_same_bytes(codec, mesh_of(ball(2)))
    contract.check_config(codec)


@pytest.mark.parametrize("size", [1200, 3000])
def test_a_file_is_as_large_as_asked(size, monkeypatch):
    monkeypatch.setattr(codecs_of_keys, "TOUCH_UP", 10)
    settings = {**QUICK, "size": size, "width": None, "steps": 30}
    data = api.compress(mesh_of(ball(3)), api.Options(codec="keyspheres", settings=settings))
    assert 0.8 * size < len(data) <= size


def test_a_mesh_that_is_moved_and_scaled_is_the_same_mesh():
    shape = trimesh.creation.torus(2.0, 0.9)
    plain = mesh_of(shape)
    away = np.array([448_262.25, 5_411_932.5, 118.125])
    moved = Mesh(plain.points * 250.0 + away, plain.face_sizes, plain.face_indices)
    codec = Keyspheres(**QUICK)
    one, other = (codec.decode(codec.encode(mesh)) for mesh in (plain, moved))
    diagonal = float(np.linalg.norm(np.ptp(plain.points, axis=0)))
    assert len(one) == len(other)
    assert np.abs((other.points - away) / 250.0 - one.points).max() < 1e-6 * diagonal


@pytest.mark.parametrize(
    ("mesh", "words"),
    [
        (contract.mesh(np.zeros((0, 3))), "no face"),
        (contract.mesh(np.eye(3), (0, 1)), "no face"),
        (contract.mesh(np.eye(3), (0, 1, 2)), "encloses no volume"),
        (contract.mesh(np.ones((3, 3)), (0, 1, 2)), "no face"),
        (contract.mesh(np.diag([1.0, np.nan, 1]), (0, 1, 2)), "not finite"),
    ],
)
def test_what_has_no_inside_is_refused(mesh, words):
    with pytest.raises(InputError, match=words):
        Keyspheres(**QUICK).encode(mesh)


@pytest.mark.parametrize(
    "wrong",
    [{"layers": 0}, {"width": 9999}, {"size": 10}, {"quality": 0.0}, {"activation": "tanh"},
     {"size": 4096, "quality": 5.0}, {"band": -1.0}, {"steps": 0}],
)  # fmt: skip
def test_wrong_settings(wrong):
    with pytest.raises(InputError):
        Keyspheres(**wrong)


def test_another_resolution_gives_another_mesh_of_the_same_shape(packed):
    data, _ = packed
    coarse, fine = api.decompress(data), api.decompress(data, resolution=64)
    assert len(fine.face_sizes) > 3 * len(coarse.face_sizes)
    low, high = coarse.points.min(axis=0), coarse.points.max(axis=0)
    assert np.allclose([fine.points.min(axis=0), fine.points.max(axis=0)], [low, high], atol=0.1)
    with pytest.raises(InputError, match="resolution must be"):
        api.decompress(data, resolution=1 << 20)
    with pytest.raises(InputError, match="one resolution only"):
        api.decompress(api.compress(mesh_of(ball(1))), resolution=64)
