"""Training in several processes: gradients are averaged, and all stay equal."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from dataclasses import asdict

import numpy as np
import pytest
import torch
import trees
from torch import nn

from pcc_cli import formats
from pcc_cli.geometry import Mesh, PointCloud
from pcc_cli.parallel.distributed import ALONE, Workers, join
from pcc_cli.training.run import Settings

# A process belongs to one group in its life, as under torchrun. What it says is said before it
# ends, and it ends at once: at the end of an interpreter torch's threads may abort (seen once).
BEGIN = """
import faulthandler, json, os, sys
faulthandler.enable(all_threads=True)
def say(*values):
    print(json.dumps(values), flush=True)
    os._exit(0)
"""

MEET = """
import torch
from torch import nn
from pcc_cli.parallel.distributed import join

group = join()
layer = nn.Linear(2, 2)
with torch.no_grad():
    layer.weight.fill_(group.rank + 1.0)
group.share(layer.parameters())
shared = layer.weight[0, 0].item()
layer.weight.grad = torch.full((2, 2), 2.0 * group.rank)  # and none for the bias
if group.is_first:
    layer.bias.grad = torch.ones(2)
group.average_gradients(layer.parameters())
agreed = group.agree(group.rank + 0.1)
group.leave()
say(group.rank, group.count, group.is_first, shared,
    layer.weight.grad.tolist(), layer.bias.grad.tolist(), agreed)
"""

TRAIN = """
from pathlib import Path
import torch
from pcc_cli.training import loop, run

folder = Path(sys.argv[1])
last = []
real = loop._step
def step(task, *rest):
    last[:] = [task]
    return real(task, *rest)
loop._step = step
settings = run.Settings().updated(json.loads((folder / "wanted.json").read_text()), "test")
progress = run.start(settings, [folder / "data"], folder / "run", device="cpu")
weights = torch.cat([p.detach().flatten() for p in last[0].layers.parameters()])
say(progress.step, weights.double().sum().item(), weights[:5].tolist())
"""


def pair(script: str, *arguments: str) -> list:
    """What each of two processes of one run says, by rank."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": port,
        "WORLD_SIZE": "2",
    }
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", BEGIN + script, *arguments],
            env=environment | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    try:
        results = [process.communicate(timeout=120) for process in processes]
    finally:
        for process in processes:
            process.kill()
    for process, (_, errors) in zip(processes, results, strict=True):
        assert process.returncode == 0, errors
    return [json.loads(printed.splitlines()[-1]) for printed, _ in results]


OCCUPANCY = {
    "data": {"samples": 2},
    "recipe": {"nodes": 200},
    "network": {"channels": 8, "hidden": 16, "blocks": 1},
    "train": {"steps": 100_000, "minutes": 0.015, "warmup": 1, "decay_from": 0.0},
}


NECGS = {
    "codec": "necgs.1",
    "network": {"side": 16, "channels": [4, 4]},
    "recipe": {"tensor_steps": 0, "coarse_steps": 1},
    "train": {"steps": 100_000, "minutes": 0.015, "warmup": 1, "decay_from": 0.0},
}


def tetrahedron() -> Mesh:
    corners = np.array([[0, 0, 0], [1, 0, 0], [0, 2, 0], [0, 0, 3]], np.float32)
    faces = np.array([0, 2, 1, 0, 1, 3, 0, 3, 2, 1, 2, 3])
    return Mesh(corners, np.full(4, 3, np.int32), faces)


def test_two_processes_share_average_and_agree():
    for rank, found in enumerate(pair(MEET)):
        assert found == [
            rank, 2, rank == 0, 1.0, [[1.0, 1.0], [1.0, 1.0]], [0.5, 0.5], pytest.approx(0.1)
        ]  # fmt: skip


@pytest.mark.parametrize("sections", [OCCUPANCY, NECGS], ids=["occupancy", "necgs"])
def test_two_processes_train_one_network(tmp_path, sections):
    """Each on its own samples, by a budget in minutes: every process has its own clock, and still
    all do the same steps at the same rates. One set of files, made once."""
    (tmp_path / "data").mkdir()
    cloud = PointCloud(trees.surface(4).astype("f4"))
    shape = cloud if sections is OCCUPANCY else tetrahedron()
    (tmp_path / "data" / "shape.ply").write_bytes(formats.write(".ply", shape))
    (tmp_path / "wanted.json").write_text(json.dumps(sections))
    first, second = pair(TRAIN, str(tmp_path))
    folder = tmp_path / "run"
    assert first == second and first[0] >= 1
    assert sorted(path.name for path in folder.iterdir()) == [
        "checkpoint.safetensors", "log.csv", "model", "settings.json", "train.pack",
    ]  # fmt: skip
    wanted = Settings().updated(sections, "test")
    assert json.loads((folder / "settings.json").read_text()) == json.loads(
        json.dumps(asdict(wanted))
    )


def test_one_process_is_alone(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    assert join() is ALONE and Workers() == ALONE and ALONE.is_first
    layer = nn.Linear(2, 1)
    layer.weight.grad = torch.tensor([[3.0, 4.0]])
    ALONE.share(layer.parameters())
    ALONE.average_gradients(layer.parameters())
    assert layer.weight.grad.tolist() == [[3.0, 4.0]] and layer.bias.grad is None
    assert ALONE.agree(0.3) == 0.3
    ALONE.wait()
    ALONE.leave()
