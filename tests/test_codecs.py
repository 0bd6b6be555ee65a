"""The contract of `contract.py`, over the whole registry."""

from __future__ import annotations

import contract
import pytest
import tiny_models

from pcc_cli import api, codecs
from pcc_cli.codecs.plain import Plain
from pcc_cli.errors import FormatError, InputError, PccError, UnsupportedError

# Those that restore with floats have tests of their own, on shapes that they are meant for.
EVERY = pytest.mark.parametrize("name", [n for n in codecs.CODECS if codecs.get(n).exact])
# Of codecs that need one.
MODELS = {"occupancy.1": tiny_models.OCCUPANCY, "deepcompress.1": tiny_models.DEEPCOMPRESS}


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    tiny_models.write(folder)
    return folder


@pytest.fixture
def codec(name, models, monkeypatch):
    monkeypatch.setenv("PCC_MODELS", str(models))
    config = {"model": MODELS[name]} if name in MODELS else {}
    return codecs.create(name, config, "cpu")


@EVERY
def test_round_trip(codec):
    for shape in contract.cases(codec).values():
        contract.check_round_trip(codec, shape)


@EVERY
def test_same_bytes_twice(codec):
    for shape in contract.cases(codec).values():
        contract.check_same_bytes(codec, shape)


@EVERY
def test_config(codec):
    contract.check_config(codec)


@EVERY
def test_decodes_in_a_fresh_process(codec, tmp_path):
    files = {name: contract.file_of(codec, shape) for name, shape in contract.cases(codec).items()}
    contract.check_fresh_process(files, tmp_path)


@EVERY
def test_any_damage_is_noticed(codec):
    kind = codec.accepts[0].__name__
    data = contract.file_of(codec, contract.cases(codec)[f"{kind}, duplicates"])
    for damaged in contract.damaged_files(data):
        with pytest.raises(PccError):
            api.decompress(damaged, device="cpu")


@EVERY
def test_damage_behind_right_checksums_never_gives_a_wrong_shape(codec):
    for name, shape in contract.cases(codec).items():
        if name.endswith(("duplicates", "surface", "fan")):
            data = contract.file_of(codec, shape)
            genuine = api.decompress(data, device="cpu")
            for damaged in contract.resealed_damage(data, step=max(1, len(data) // 60)):
                contract.check_refused(damaged, genuine)


@EVERY
@pytest.mark.parametrize(
    "case", ["duplicates", pytest.param("sparse, 32 bits", marks=pytest.mark.slow)]
)
def test_lies_in_what_a_codec_reads_never_give_a_wrong_shape(codec, case):
    for name, shape in contract.cases(codec).items():
        if name.endswith(case):
            data = contract.file_of(codec, shape)
            genuine = api.decompress(data, device="cpu")
            for _, _, damaged in contract.lies(data, "tile", below=("meta",)):
                contract.check_refused(damaged, genuine)


def test_names_and_ids():
    assert codecs.resolve("plain") == "plain.1"
    assert codecs.resolve("plain.1") == "plain.1"
    assert {codecs.default_for(kind) for kind in ("points", "mesh")} <= set(codecs.CODECS)
    for unknown in ("plain.9", "zip", ""):
        with pytest.raises(UnsupportedError, match=r"plain\.1"):
            codecs.resolve(unknown)
        with pytest.raises(UnsupportedError, match="newer pcc"):
            codecs.get(unknown)


def test_settings_from_a_file_are_checked():
    assert codecs.create("plain.1", {"level": 3}) == Plain(3)
    with pytest.raises(UnsupportedError, match="speed"):
        codecs.create("plain.1", {"speed": 3})
    for level in (0, 20, "9", None):
        with pytest.raises(InputError, match="level"):
            codecs.create("plain.1", {"level": level})


@pytest.mark.parametrize("member", ["points", "depth", "nodes"])
@pytest.mark.parametrize("value", [-1, 1 << 31, 1 << 80, "7", None, True, 1.5])
def test_plain_refuses_hostile_counts_before_it_allocates(member, value):
    payload = Plain().encode(contract.voxel_cases()["surface"])
    payload.meta[member] = value
    with pytest.raises(FormatError):
        Plain().decode(payload)


def test_plain_refuses_attributes():
    coloured = contract.mesh([[0.0, 0, 0]])
    coloured.attributes["red"] = coloured.points[:, 0]
    with pytest.raises(InputError, match="without attributes"):
        Plain().encode(coloured)
