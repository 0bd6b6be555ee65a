"""Files that were written once decode to the same shape for ever (`golden_files.py`)."""

from __future__ import annotations

import json

import golden_files
import numpy as np
import pytest

from pcc_cli import api, codecs

CASES = sorted(path.parent for path in golden_files.FOLDER.glob("*/*/input.npz"))
EVERY = pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.parent.name}-{case.name}")


# A lossy encoder of volumes weighs its bits with logarithms, which differ in their last bit.
SAME_TODAY = [case for case in CASES if codecs.get(case.parent.name).lossless is not False]


@EVERY
def test_old_files_decode_to_the_same_shape(case):
    files = sorted(case.glob("v*.dcz"))
    assert files
    for file in files:
        assert golden_files.is_as_recorded(case, api.decompress(file.read_bytes(), "cpu"))


@pytest.mark.parametrize("case", SAME_TODAY, ids=lambda case: f"{case.parent.name}-{case.name}")
def test_what_is_written_today_decodes_to_it_too(case):
    options = json.loads((case / "options.json").read_text("utf-8"))
    with np.load(case / "input.npz") as arrays:
        shape = golden_files.shape_of(dict(arrays))
    choices = api.Options(codec=case.parent.name, device="cpu", fallback=False, **options)
    assert golden_files.is_as_recorded(case, api.decompress(api.compress(shape, choices), "cpu"))


def test_every_recorded_codec_is_still_known():
    for folder in {case.parent.name for case in CASES}:
        codecs.get(folder)


def test_the_files_stay_small():
    assert sum(path.stat().st_size for case in CASES for path in case.iterdir()) < 300_000
