"""docs/format-keyspheres.md is enough to decode a mesh: `keyspheres_decoder.py`, made from it."""

from __future__ import annotations

import keyspheres_decoder
import numpy as np
import pytest
import trimesh

from pcc_cli.codecs.keyspheres.codec import STREAM, Keyspheres
from pcc_cli.geometry import Mesh
from pcc_cli.levelset import solid as solids

FAST = {"width": 12, "layers": 3, "steps": 150, "batch": 256, "restarts": 1, "device": "cpu"}
CASES = {
    "as it is": {"spheres": 5},
    "no spheres": {"spheres": 0, "layers": 1},
    "latent": {"spheres": 6, "latent": True},
    "as published": {"spheres": 20, "activation": "leaky", "band": 0.0},
}


@pytest.fixture(autouse=True)
def few_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(solids, "NEAR", 12_000)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_a_decoder_written_from_the_document_agrees(name: str, kind: type) -> None:
    torus = trimesh.creation.torus(20.0, 9.0)
    faces = torus.faces.astype(np.int64)
    points = (torus.vertices + (4000, -70, 0)).astype(kind)
    codec = Keyspheres(**{**FAST, **CASES[name]})  # type: ignore[arg-type]
    payload = codec.encode(Mesh(points, np.full(len(faces), 3, np.int32), faces.ravel()))
    found = keyspheres_decoder.Surface(payload.streams[STREAM])
    for one, other in zip(found.integers(), codec.integers(payload), strict=True):
        assert np.array_equal(one, other)
    assert found.double == (kind is np.float64)
    check_surface(found, codec.decode(payload))


def check_surface(found: keyspheres_decoder.Surface, mesh: Mesh) -> None:
    """That `mesh` is where the distances of the other decoder are 0, and only there."""
    size = float(np.ptp(mesh.points, axis=0).max())
    assert np.abs(found.distances(mesh.points.astype(float))).max() < 2e-3
    low, high = mesh.points.min(axis=0) - 0.02 * size, mesh.points.max(axis=0) + 0.02 * size
    probes = np.random.default_rng(3).uniform(low, high, (20_000, 3))
    inside = float((found.distances(probes) < 0).mean() * np.prod(high - low))
    volume = trimesh.Trimesh(mesh.points, mesh.triangles(), process=False).volume
    assert volume == pytest.approx(inside, rel=0.05)
