"""docs/format-deepcompress.md is enough to decode a tile: `deepcompress_decoder.py` shows it.

The networks are tiny untrained ones: every layer counts here, but not what it has learned.
"""

from __future__ import annotations

import json

import deepcompress_decoder
import numpy as np
import pytest
import tiny_models
import trees

from pcc_cli.codecs.deepcompress import priors
from pcc_cli.codecs.deepcompress.codec import DeepCompress
from pcc_cli.geometry import VoxelCloud

CASES = [
    *({"entropy_model": name, "quality": 55, "exact_levels": 0} for name in priors.PRIORS),
    {"quality": 1},
    {"quality": 20, "block_size": 16},
    {"quality": 45, "metric": "d2"},
    {"quality": 80, "block_size": 8},
    {"quality": 100},
]


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    tiny_models.write(folder)
    return folder


def decoded_twice(cloud, models, model, **settings):
    """By pcc, and by the decoder made from the document; with what is in the header."""
    codec = DeepCompress(model=model, device="cpu", **settings)
    payload = codec.encode(cloud)
    meta = json.loads(json.dumps(payload.meta))
    names = "config.json", "weights.safetensors"
    files = [(models / model / name).read_bytes() for name in names]
    voxels = deepcompress_decoder.decode(meta, payload.streams, *files)
    return codec.decode(payload).voxels, np.reshape(voxels, (-1, 3)), meta


@pytest.mark.parametrize("settings", CASES, ids=str)
def test_a_decoder_written_from_the_document_agrees(settings, models, monkeypatch):
    monkeypatch.setenv("PCC_MODELS", str(models))
    cloud = VoxelCloud(trees.surface(5) + 1024)
    ours, theirs, meta = decoded_twice(cloud, models, tiny_models.DEEPCOMPRESS, **settings)
    assert np.array_equal(ours, theirs)
    assert (settings["quality"] in (20, 45, 80, 100)) == any(meta["sure"])


@pytest.mark.parametrize("activation", ["gdn", "cenic_gdn"])
def test_it_agrees_with_normalization_and_separable_convolutions(activation, tmp_path, monkeypatch):
    config = {"activation": activation, "conv_type": "separable"}
    name = f"tiny-{activation.replace('_', '-')}"
    tiny_models.write_deepcompress(tmp_path / name, **config)
    monkeypatch.setenv("PCC_MODELS", str(tmp_path))
    cloud = VoxelCloud(trees.surface(5))
    ours, theirs, _ = decoded_twice(cloud, tmp_path, name, quality=80, exact_levels=0)
    assert np.array_equal(ours, theirs)


def test_it_knows_a_cloud_without_points():
    assert deepcompress_decoder.decode({"cells": 0}, {}, b"", b"") == []
