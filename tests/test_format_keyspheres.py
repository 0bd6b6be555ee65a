"""docs/format-keyspheres.md is enough to decode a mesh: `keyspheres_decoder.py`, made from it."""

from __future__ import annotations

import keyspheres_decoder
import numpy as np
import pytest
import trimesh
from test_keyspheres import example

from pcc_cli.codecs.keyspheres import codec as codecs_of_keys
from pcc_cli.codecs.keyspheres import stream
from pcc_cli.codecs.keyspheres.codec import STREAM, Keyspheres
from pcc_cli.codecs.keyspheres.stream import Quantized
from pcc_cli.geometry import Array, Mesh
from pcc_cli.levelset import solid as solids
from pcc_cli.levelset.surface import Function, surface

FAST = {"width": 12, "layers": 3, "steps": 200, "batch": 256, "restarts": 1, "resolution": 32}
CASES = {
    "as it is": ("float32", {"spheres": 5}),
    "no spheres": ("float64", {"spheres": 0, "layers": 1}),
    "latent": ("float32", {"spheres": 6, "latent": True}),
    "as published": ("float64", {"spheres": 20, "activation": "leaky", "band": 0.0}),
}


@pytest.fixture(autouse=True)
def few_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(solids, "NEAR", 12_000)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Function]:
    """The functions whose zero levels are decoded."""
    functions: list[Function] = []

    def watched(function: Function, resolution: int) -> tuple[Array, Array]:
        functions.append(function)
        return surface(function, resolution)

    monkeypatch.setattr(codecs_of_keys, "surface", watched)
    return functions


@pytest.mark.parametrize("name", CASES)
def test_a_decoder_written_from_the_document_agrees(name: str, asked: list[Function]) -> None:
    kind, settings = CASES[name]
    torus = trimesh.creation.torus(20.0, 9.0)
    faces = torus.faces.astype(np.int64)
    points = (torus.vertices + np.array([4000, -70, 0])).astype(kind)
    codec = Keyspheres(**{**FAST, **settings})  # type: ignore[arg-type]
    payload = codec.encode(Mesh(points, np.full(len(faces), 3, np.int32), faces.ravel()))
    found = keyspheres_decoder.Surface(payload.streams[STREAM])
    for one, other in zip(found.integers(), codec.integers(payload), strict=True):
        assert np.array_equal(one, other)
    mesh = codec.decode(payload)
    assert mesh.points.dtype == kind and found.double == (kind == "float64")
    probes = np.random.default_rng(3).uniform(-0.55, 0.55, (20_000, 3))  # in the ball of 0.97
    distances = found.distances(probes * found.radius / 0.9 + found.centre)
    assert np.abs(distances - asked[0](probes)).max() < 1e-4
    check_volume(found, mesh)


def test_it_agrees_on_numbers_far_out() -> None:
    *rest, layers = example()
    far = [Quantized(layer.values * 9, layer.steps) for layer in layers]
    found = keyspheres_decoder.Surface(stream.pack(*rest, far))
    assert all(
        np.array_equal(one, layer.values) for one, layer in zip(found.numbers, far, strict=True)
    )
    assert max(abs(layer.values).max() for layer in far) > 1000


def check_volume(found: keyspheres_decoder.Surface, mesh: Mesh) -> None:
    """That `mesh` encloses as much as is inside for the other decoder."""
    low, high = mesh.points.min(axis=0) - 0.1, mesh.points.max(axis=0) + 0.1
    probes = np.random.default_rng(3).uniform(low, high, (20_000, 3))
    inside = float((found.distances(probes) < 0).mean() * np.prod(high - low))
    volume = trimesh.Trimesh(mesh.points, mesh.triangles(), process=False).volume
    assert volume == pytest.approx(inside, rel=0.05)
