"""The promise: the same cloud gives the same bytes, and they decode, whatever does the work.

Here on CPUs: threads, instruction sets, backends of the integer layers, and range coders.
`test_gpu.py` says the same of CUDA.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys

import contract
import numpy as np
import pytest
import tiny_models
import torch
import trees

from pcc_cli.codecs.occupancy import codec as codecs
from pcc_cli.codecs.occupancy import model as models
from pcc_cli.codecs.occupancy.codec import Occupancy
from pcc_cli.entropy import rangecoder, reference
from pcc_cli.exact.layers import BACKENDS
from pcc_cli.nn import layers as nn_layers

CODEC = Occupancy(tiny_models.OCCUPANCY, "cpu")
SURFACE = contract.voxel_cloud(trees.surface(5))
CLOUDS = {
    "surface": SURFACE,
    "lidar": contract.voxel_cloud(trees.lidar()[::2]),
    "wide": contract.voxel_cloud(np.random.default_rng(33).integers(0, 1 << 22, (9, 3))),
}


@pytest.fixture(scope="module", autouse=True)
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("models")
    tiny_models.write(made)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PCC_MODELS", str(made))
        yield made


@pytest.fixture(scope="module")
def payloads(folder):
    """As this machine codes when it is asked for nothing special."""
    return {name: CODEC.encode(cloud) for name, cloud in CLOUDS.items()}


def use_backend(backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    load_model = models.load_model
    monkeypatch.setattr(
        codecs,
        "load_model",
        lambda model_id, sha256, device: load_model(model_id, sha256, device, backend),
    )


def check_same(payloads) -> None:
    for name, cloud in CLOUDS.items():
        assert CODEC.encode(cloud) == payloads[name]
        assert np.array_equal(CODEC.decode(payloads[name]).voxels, cloud.voxels)


@pytest.mark.parametrize("backend", BACKENDS)
def test_backends(payloads, backend, monkeypatch):
    use_backend(backend, monkeypatch)
    check_same(payloads)


def test_two_threads(payloads):
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        check_same(payloads)
    finally:
        torch.set_num_threads(before)


def test_the_range_coder_in_python(payloads, monkeypatch):
    """Both ways: what constriction wrote is read, and the same is written."""
    monkeypatch.setattr(rangecoder, "coders", reference)
    check_same(payloads)


def test_chunks_of_rows(payloads, monkeypatch):
    monkeypatch.setattr("pcc_cli.exact.layers._CHUNK", 37)
    monkeypatch.setattr(nn_layers, "_CHUNK", 37)
    monkeypatch.setattr("pcc_cli.tree.neighbours._CHUNK", 41)
    check_same(payloads)


def test_the_state_of_the_program_does_not_matter(payloads):
    """Default types, seeds, and settings that make float products inexact."""
    torch.manual_seed(99)
    before = torch.get_float32_matmul_precision()
    torch.set_default_dtype(torch.float64)
    torch.set_float32_matmul_precision("medium")
    try:
        check_same(payloads)
    finally:
        torch.set_default_dtype(torch.float32)
        torch.set_float32_matmul_precision(before)


FRESH = """
import numpy as np, torch, tiny_models, test_reproducible as here
load_model = here.models.load_model
for backend in (None, "int8", "float32"):
    here.codecs.load_model = lambda i, s, d: load_model(i, s, d, backend)
    for name, cloud in here.CLOUDS.items() if backend is None else [("surface", here.SURFACE)]:
        payload = here.CODEC.encode(cloud)
        assert np.array_equal(here.CODEC.decode(payload).voxels, cloud.voxels)
        print(name, here.fingerprint(payload))
"""


def fingerprint(payload) -> str:
    total = hashlib.sha256(repr(payload.meta).encode())
    for data in payload.streams.values():
        total.update(data)
    return total.hexdigest()


@pytest.mark.parametrize(("isa", "capability"), [("AVX2", "avx2"), ("SSE41", "default")])
def test_instruction_sets(payloads, folder, isa, capability):
    """Without VNNI oneDNN saturates int8 x int8, which is why activations are uint8. In a process
    of its own, for the limits are read when torch starts."""
    environment = os.environ | {
        "ONEDNN_MAX_CPU_ISA": isa,
        "ATEN_CPU_CAPABILITY": capability,
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        "PCC_MODELS": str(folder),
    }
    command = [sys.executable, "-c", FRESH]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    expected = [f"{name} {fingerprint(payload)}" for name, payload in payloads.items()]
    assert result.stdout.splitlines() == expected + expected[:1] * 2
