"""What every codec must keep, whatever it is. `test_codecs.py` runs this over the registry.

A new codec gets all of it by its line in the table. Shapes are small: the contract is about
corners, not about size.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import numpy as np

from pcc_cli import api, codecs, container, records
from pcc_cli.codecs.base import Codec, Payload
from pcc_cli.container import Section
from pcc_cli.errors import PccError
from pcc_cli.geometry import Mesh, PointCloud, Shape, Volume, VoxelCloud, Whole
from pcc_cli.spine.digest import arrays_of
from pcc_cli.tree.morton import morton_order

TOP = (1 << 32) - 1


def voxel_cloud(rows) -> VoxelCloud:
    """The VoxelCloud of `rows`, sorted."""
    voxels = np.asarray(rows, dtype=np.int64).reshape(-1, 3)
    return VoxelCloud(voxels[morton_order(voxels)])


def _surface(rng: np.random.Generator) -> np.ndarray:
    """Voxels of a bumpy sheet, with a few duplicates: what codecs are made for."""
    x, y = np.meshgrid(np.arange(24), np.arange(24))
    z = 12 + 5 * np.sin(x / 4) * np.cos(y / 5)
    rows = np.stack([x, y, z], axis=-1).reshape(-1, 3).astype(np.int64)
    return np.concatenate([rows, rows[rng.integers(0, len(rows), 20)]])


def voxel_cases() -> dict[str, VoxelCloud]:
    rng = np.random.default_rng(1)
    corners = [[x, y, z] for x in (0, TOP) for y in (0, TOP) for z in (0, TOP)]
    cases = {
        "empty": [],
        "origin": [0, 0, 0],
        "one point": [5, 6, 7],
        "last voxel": [TOP, TOP, TOP],
        "two neighbours": [[3, 3, 3], [3, 3, 4]],
        "duplicates": [[1, 2, 3]] * 2 + [[1, 2, 4]] + [[9, 9, 9]] * 300,
        "all equal": [[77, 0, 1]] * 1000,
        "collinear": np.arange(200)[:, None] * [1, 2, 3],
        "along one axis": np.arange(64)[:, None] * [0, 0, 1],
        "full cube": np.argwhere(np.ones((4, 4, 4))),
        "corners of 32 bits": corners * 2,
        "sparse, 32 bits": rng.integers(0, 1 << 32, (100, 3)),
        "17 bits": rng.integers(0, 1 << 17, (100, 3)),
        "far from the origin": rng.integers(0, 8, (100, 3)) + 4_000_000_000,
        "surface": _surface(rng),
    }
    return {name: voxel_cloud(rows) for name, rows in cases.items()}


def mesh(points, *faces) -> Mesh:
    sizes = np.array([len(face) for face in faces], dtype=np.int32)
    indices = np.array([corner for face in faces for corner in face], dtype=np.int64)
    return Mesh(np.asarray(points), sizes, indices)


def mesh_cases() -> dict[str, Mesh]:
    rng = np.random.default_rng(2)
    odd = [[-0.0, 0.0, 1e-45], [np.inf, -np.inf, np.nan], [3.4e38, -1e-38, 7.0]]
    grid = rng.normal(size=(400, 3)).astype(np.float32)
    fan = [(0, k, k + 1) for k in range(1, 399)]
    return {
        "empty": mesh(np.zeros((0, 3), np.float32)),
        "one vertex": mesh(np.ones((1, 3), np.float32)),
        "vertices alone": mesh(rng.normal(size=(10, 3))),
        "odd floats": mesh(np.array(odd, np.float32), (0, 1, 2)),
        "integers": mesh(rng.integers(-5, 5, (9, 3)).astype(np.int16), (0, 4, 8), (8, 8, 8)),
        "polygons": mesh(np.round(rng.normal(size=(9, 3)), 3), (0, 1, 2), (), (5, 4, 3, 2), (8,)),
        "duplicates": mesh(np.zeros((50, 3)), *[(1, 2, 3)] * 40),
        "fan": mesh(grid, *fan),
    }


def volume_cases() -> dict[str, Volume]:
    rng = np.random.default_rng(3)
    smooth = np.sin(np.arange(12 * 10 * 8).reshape(12, 10, 8) / 97)
    odd = smooth.astype(np.float32)
    odd[3, 4] = np.nan
    odd[0, 0, :3] = np.inf, -np.inf, -0.0
    cases = {
        "empty": np.zeros((0, 4, 4), np.float32),
        "one sample": np.full((1, 1, 1), 7, np.uint8),
        "constant": np.full((5, 6, 7), -3.5),
        "thin": rng.integers(0, 200, (1, 30, 1)).astype(np.uint8),
        "odd floats": odd,
        "duplicates": np.repeat(rng.integers(-900, 900, (4, 5, 6)), 2, axis=2).astype(np.int16),
        "smooth": smooth,
        "bytes": (100 + 80 * smooth).astype(np.uint8),
    }
    shapes = {name: Volume(values) for name, values in cases.items()}
    vectors = np.stack([smooth, -smooth], axis=-1).astype(np.float32)
    shapes["time and components"] = Volume(np.stack([vectors] * 2), "tzyxc", (0.5, 1.0, 2.0))
    return shapes


def cases(codec: Codec) -> dict[str, Shape]:
    """The shapes of all kinds that `codec` accepts."""
    kinds = {VoxelCloud: voxel_cases, Mesh: mesh_cases, Volume: volume_cases}
    return {
        f"{kind.__name__}, {name}": shape
        for kind in codec.accepts
        for name, shape in kinds[kind]().items()
    }


def same(one: Shape, other: Shape) -> bool:
    """Whether two shapes are equal bit for bit, types included."""
    pairs = list(zip(arrays_of(one), arrays_of(other), strict=True))
    return type(one) is type(other) and all(
        a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes() for a, b in pairs
    )


def check_round_trip(codec: Codec, shape: Shape) -> None:
    """Decoding gives the very shape, from a payload that went through JSON; of a lossy codec, one
    of its kind, and of a volume one as large and of the same type."""
    payload = codec.encode(shape)
    meta = json.loads(records.dump_json(payload.meta))
    decoded = codec.decode(Payload(meta, dict(payload.streams)))
    if codec.lossless:
        assert same(decoded, shape)
    elif isinstance(shape, Volume):
        assert (decoded.axes, decoded.values.dtype) == (shape.axes, shape.values.dtype)
        assert decoded.values.shape == shape.values.shape
        odd = ~np.isfinite(shape.values)
        assert np.array_equal(decoded.values[odd], shape.values[odd], equal_nan=True)
        assert np.isfinite(decoded.values[~odd]).all()
    else:
        assert type(decoded) is type(shape) and (len(decoded) > 0) == (len(shape) > 0)


def check_same_bytes(codec: Codec, shape: Shape) -> None:
    """Encoding twice, the second time with an equal codec made anew, gives equal payloads."""
    again = type(codec)(**asdict(codec))
    assert codec.encode(shape) == again.encode(shape)


def check_config(codec: Codec) -> None:
    """Settings survive JSON and make a codec with the same, whose id leads back to its class."""
    config = json.loads(records.dump_json(codec.config()))
    assert type(codec)(**config).config() == config
    assert codecs.get(codec.id) is type(codec)


def whole(shape: Shape) -> Whole:
    """`shape` as a user would hand it in."""
    return PointCloud(shape.voxels) if isinstance(shape, VoxelCloud) else shape


def file_of(codec: Codec, shape: Shape) -> bytes:
    """A file with `shape`, coded by `codec` and nothing else."""
    config = {"model": codec.model} if hasattr(codec, "model") else {}
    options = api.Options(codec=codec.id, device="cpu", fallback=False, settings=config)
    return api.compress(whole(shape), options)


def check_fresh_process(files: dict[str, bytes], folder: Path) -> None:
    """Another process, with nothing in its memory, decodes every file to the same shape."""
    for number, data in enumerate(files.values()):
        (folder / f"{number}.dcz").write_bytes(data)
    code = (
        "import sys; from pathlib import Path; from pcc_cli import api\n"
        "from pcc_cli.spine.digest import Digest, arrays_of\n"
        "for path in sys.argv[1:]:\n"
        "    digest = Digest()\n"
        "    digest.update(arrays_of(api.decompress(Path(path).read_bytes(), device='cpu')))\n"
        "    print(digest.value().hex())\n"
    )
    paths = [str(folder / f"{number}.dcz") for number in range(len(files))]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", code, *paths]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert result.stdout.split() == [api.inspect(data)["digest"] for data in files.values()]


def damaged_files(data: bytes) -> Iterator[bytes]:
    """`data` cut at every place, with every single bit turned, and with a byte more."""
    for length in range(len(data)):
        yield data[:length]
    for position in range(len(data)):
        for bit in range(8):
            yield data[:position] + bytes([data[position] ^ (1 << bit)]) + data[position + 1 :]
    yield data + b"\0"


def rewritten(data: bytes, edit) -> bytes:
    """The file after `edit(header, sections)`, with all checksums right."""
    header, sections = container.read(data)
    stream = io.BytesIO()
    container.write(stream, header, edit(header, sections) or sections)
    return stream.getvalue()


def read_record(section: Section):
    """The description in a section `TILE`."""
    return records.unpack(section.data, "the description", records.RECORD_LIMIT)


def edited(data: bytes, where: str, edit) -> bytes:
    """The file after `edit` of the JSON of its header or of its first tile."""

    def apply(header, sections):
        if where == "header":
            edit(header)
            return sections
        index = next(i for i, section in enumerate(sections) if section.kind == "TILE")
        record = read_record(sections[index])
        edit(record)
        sections[index] = Section("TILE", 0, records.pack(record))
        return sections

    return rewritten(data, apply)


def leaves(value, path=()):
    """The path of every member of a JSON value, inner ones too."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in items:
        yield (*path, key)
        if isinstance(inner, (dict, list)):
            yield from leaves(inner, (*path, key))


def replaced(path, value):
    """An edit that puts `value` at `path`; KeyError takes the member away."""

    def edit(record):
        for key in path[:-1]:
            record = record[key]
        if value is KeyError:
            del record[path[-1]]
        else:
            record[path[-1]] = value

    return edit


def lies(data: bytes, where: str, below: tuple = ()) -> Iterator[tuple]:
    """(path, value, file) for every member of the header or the first tile replaced by much else.

    below : only members behind this path
    """
    header, sections = container.read(data)
    first = next((read_record(s) for s in sections if s.kind == "TILE"), {})
    values = (KeyError, None, True, -1, 0, 1, 3.5, 1 << 31, 1 << 70, "", "x", [], [[]], {})
    for path in leaves(header if where == "header" else first):
        if path[: len(below)] == below:
            for value in values:
                yield path, value, edited(data, where, replaced(path, value))


def resealed(data: bytes, number: int, change: bytes) -> bytes:
    """The file with other bytes in section `number` and with the right checksums."""

    def edit(_, sections):
        section = sections[number]
        sections[number] = Section(section.kind, section.tile, change, section.critical)

    return rewritten(data, edit)


def resealed_damage(data: bytes, step: int) -> Iterator[bytes]:
    """Files whose checksums are right although a stream is cut short or every `step`-th byte
    of it is another: what an attacker makes, or a faulty machine."""
    _, sections = container.read(data)
    for number, section in enumerate(sections):
        if section.kind == "TILE":
            continue
        for position in range(0, len(section.data), step):
            yield resealed(data, number, section.data[:position])
            byte = bytes([section.data[position] ^ (1 << position % 8)])
            after = section.data[position + 1 :]
            yield resealed(data, number, section.data[:position] + byte + after)


def check_refused(data: bytes, genuine: Shape) -> None:
    """`data` is refused with a PccError. Only if its damage does not matter may it decode."""
    try:
        decoded = api.decompress(data, device="cpu")
    except PccError as error:
        assert "\n" not in str(error)
        return
    assert same(decoded, genuine)
