"""Files that every later pcc must decode to the same shape: `golden/<codec>/<case>/`.

    input.npz       the shape; options.json how it was compressed
    v1.dcz          the file, named after the major version of the format
    decoded.sha256  of what it decodes to; where floats restore it, decoded.npz, which is near to it
                    (of a mesh every 16th vertex)

They are written once, with `python tests/golden_files.py CODEC`, and never again: a file that no
longer decodes is a bug, not an old file. A new major version of the format adds `v2.dcz`.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

import numpy as np
import volumes
from scipy.spatial import cKDTree

from pcc_cli import api, codecs, container
from pcc_cli.codecs.deepcompress.priors import PRIORS
from pcc_cli.geometry import Mesh, MeshSet, PointCloud, Volume, VoxelCloud, Whole

FOLDER = Path(__file__).parent / "golden"
FILE = f"v{container.VERSION[0]}.dcz"

Case = tuple[Whole | MeshSet, dict]
NEAR = 1e-4  # of the range of a volume, or the size of one mesh, that floats restore
BESIDE = 1e-3  # of the extent of a mesh of a set that floats restore, for its vertices


def point_cases() -> dict[str, Case]:
    rng = np.random.default_rng(11)
    x, y = (axis.ravel() for axis in np.meshgrid(np.arange(-14, 14), np.arange(30)))
    sheet = np.stack([x, y, np.rint(6 * np.sin(x / 5) * np.cos(y / 7))], axis=1)
    sheet = np.concatenate([sheet, sheet[:25]])  # some points twice, with colours of their own
    shade = (120 + 4 * sheet[:, 2] + rng.integers(0, 5, len(sheet))).astype(np.uint8)
    colours = {"red": shade, "green": shade + np.uint8(9), "blue": np.uint8(255) - shade}
    laser = rng.normal(scale=20, size=(120, 3))
    time = {"gps_time": 1e9 + np.cumsum(rng.random(120)), "ring": rng.integers(0, 64, 120)}
    x, y = (axis.ravel() for axis in np.meshgrid(np.arange(48), np.arange(48)))
    slope = np.stack([x, y, x // 3 + y // 4], axis=1).astype(np.int16)
    slope = np.concatenate([slope, slope[::40]])
    light = 90 + 3 * slope[:, 0] + rng.normal(0, 1.5, len(slope))
    shaded = {"red": light, "green": 0.8 * light + rng.normal(0, 1, len(slope)), "blue": light / 2}
    shaded = {name: values.astype(np.uint8) for name, values in shaded.items()}
    shaded["intensity"] = (slope[:, 1] / 7).astype(np.float32)
    pulse = np.arange(400) // 2
    line = np.stack([pulse % 50, pulse // 50 * 9, pulse % 7], axis=1) * 0.01
    echo = {"gps_time": 3e5 + np.round(pulse * 14e-6, 6), "return": np.arange(400) % 2 + 1}
    holes = (sheet * 0.01).astype(np.float32)
    holes[::7] = np.nan
    holes[3, 1] = np.float32(-np.inf)
    holes[:, 2][holes[:, 2] == 0] *= -1  # zeros of either sign
    origin = {"format": "other", "suffix": ".oth", "head": b"\0\1\xff" * 90, "note": "é" * 300}
    return {
        "holes": (PointCloud(holes, {"red": shade}, origin), {"keep_invalid": True}),
        "colours": (PointCloud((sheet * 0.01).astype(np.float32), colours), {}),
        "neighbours": (PointCloud(slope, shaded), {}),
        "shades": (PointCloud(slope, shaded), {"attribute_quality": 60}),
        "scan": (PointCloud(line, echo), {"keep_order": True}),
        "rounded": (PointCloud(laser, time), {"step": 0.02, "keep_order": True}),
        "floats": (PointCloud(laser.astype(np.float32)), {"lossless": True}),
        "doubles": (PointCloud(laser, time), {"lossless": True, "keep_order": True}),
        "wide": (PointCloud(rng.integers(0, 1 << 32, (40, 3))), {}),
        "one": (PointCloud(np.array([[7, -7, 70]], np.int16)), {}),
        "empty": (PointCloud(np.zeros((0, 3)), {"red": np.zeros(0, np.uint8)}), {}),
    }


def mesh_cases() -> dict[str, Case]:
    ring = np.arange(40) * np.pi / 20
    points = np.stack([np.cos(ring), np.sin(ring), np.arange(40) % 2], axis=1).astype(np.float32)
    faces = [[i, (i + 1) % 40, (i + 2) % 40] for i in range(40)] + [list(range(0, 40, 2))]
    sizes = np.array([len(face) for face in faces], np.int32)
    corners = np.concatenate([np.array(face, np.int64) for face in faces])
    part = {"part": np.arange(41, dtype=np.uint8) // 20}
    return {"band": (Mesh(points, sizes, corners, {"u": ring.astype(np.float32)}, part), {})}


def solid_cases() -> dict[str, Case]:
    """Closed meshes; the settings are those of a fit of a second."""
    across, around = np.meshgrid(np.arange(16), np.arange(24), indexing="ij")
    u, v = across.ravel() * np.pi / 8, around.ravel() * np.pi / 12
    far = 2 + 0.9 * np.cos(u)
    points = np.stack([far * np.cos(v), far * np.sin(v), 0.9 * np.sin(u)], axis=1)
    one, other = across * 24 + around, (across + 1) % 16 * 24 + around
    after, opposite = np.roll(one, -1, axis=1), np.roll(other, -1, axis=1)
    corners = np.stack([one, after, opposite, other], axis=-1).ravel()
    sizes = np.full(384, 4, np.int32)
    ring = Mesh(points.astype(np.float32), sizes, corners)
    away = Mesh(points * 250 + (448_262.25, 5_411_932.5, 118.125), sizes, corners)
    fast = {"layers": 3, "width": 12, "steps": 300, "batch": 256, "restarts": 1, "resolution": 32}
    published = {"activation": "leaky", "band": 0.0}
    return {
        "ring": (ring, {"settings": {**fast, "spheres": 5}}),
        "away": (away, {"settings": {**fast, "spheres": 0}}),
        "latent": (ring, {"settings": {**fast, "spheres": 6, "latent": True}}),
        "published": (ring, {"settings": {**fast, "spheres": 20, **published}}),
    }


def volume_cases(codec: str) -> dict[str, Case]:
    ct = volumes.blobs((12, 14, 13), "int16")
    field = volumes.blobs((11, 10, 12))
    field[3:5, 2:6, 7:] = np.nan
    field[0, 0, :2] = np.inf, -np.inf
    place = {"spacing": (0.5, 1.0, 2.0), "origin": (-3.0, 0.0, 7.5)}
    flow = np.stack([np.stack([volumes.blobs((6, 7, 8))] * 2, axis=-1)] * 2)
    network = {"profile": "published", "n_layers": 3, "n_passes": 4, "compression_ratio": 2.0}
    if codec == "plain.1":
        return {"ct": (Volume(ct, **place), {}), "field": (Volume(field), {})}
    return {
        "ct": (Volume(ct, **place), {"settings": {"bpp": 3.0}}),
        "field": (Volume(field), {"settings": {"psnr": 40.0}}),
        "bounded": (Volume(field), {"settings": {"max_error": 0.5}}),
        "flow": (Volume(flow, "tzyxc"), {"settings": {"bpp": 4.0}}),
        "long": (Volume(volumes.blobs((3, 5, 280), "uint8")), {"settings": {"bpp": 3.0}}),
        "few": (Volume(volumes.blobs((2, 3, 4))), {"settings": {"psnr": 30.0}}),
        "constant": (Volume(np.full((4, 3, 5), 2.5)), {"settings": {"bpp": 99.0}}),
        "network": (Volume(volumes.blobs((9, 8, 7))), {"settings": network}),
    }


def set_cases() -> dict[str, Case]:
    corners = np.array([[x, y, z] for x in (0, 1) for y in (0, 2) for z in (0, 1.5)])
    quads = np.array([[0, 1, 3, 2], [4, 6, 7, 5], [0, 4, 5, 1], [2, 3, 7, 6], [0, 2, 6, 4],
                      [1, 5, 7, 3]])  # fmt: skip
    sizes = np.full(6, 4, np.int32)
    box = Mesh(corners, sizes, quads.ravel())
    lens = Mesh((corners * [3, 1, 0.4]).astype(np.float32), sizes, quads.ravel())
    small = {"grid": 16, "effort": 1, "width": 5}
    close = {"grid": 16, "effort": 1, "quality": 1.0}  # to the model
    return {
        "boxes": (MeshSet({"box.obj": box, "lens.ply": lens}), {"settings": small}),
        "known": (MeshSet({"box.obj": box}), {"settings": close}),
    }


def lossy_point_cases() -> dict[str, Case]:
    """All entropy models, and qualities at which nothing, a part, and all below is coded."""
    x, y = (axis.ravel() for axis in np.meshgrid(np.arange(40), np.arange(36)))
    sheet = np.stack([x, y, np.rint(20 + 9 * np.sin(x / 6) * np.cos(y / 8))], axis=1)
    cloud = PointCloud(sheet.astype(np.int16))
    qualities = {f"quality{q}": {"quality": float(q)} for q in (1, 20, 45, 100)}
    models = {name: {"entropy_model": name, "exact_levels": 0} for name in PRIORS}
    return {name: (cloud, {"settings": given}) for name, given in (qualities | models).items()}


def cases(codec: str) -> dict[str, Case]:
    """name -> (shape, options) for the kinds of shape that `codec` takes."""
    if codec == "keyspheres.1":
        return solid_cases()
    if codec == "deepcompress.1":
        return lossy_point_cases()
    accepts = codecs.get(codec).accepts
    points = point_cases() if VoxelCloud in accepts else {}
    meshes = mesh_cases() if Mesh in accepts else {}
    meshes |= set_cases() if MeshSet in accepts else {}
    return points | meshes | (volume_cases(codec) if Volume in accepts else {})


def arrays(shape: Whole | MeshSet) -> dict[str, np.ndarray]:
    if isinstance(shape, MeshSet):
        found = {name: arrays(mesh) for name, mesh in shape.items()}
        return {f"{name}/{key}": a for name, named in found.items() for key, a in named.items()}
    if isinstance(shape, Volume):
        place = np.array([*shape.spacing, *shape.origin, *shape.direction])
        return {f"values.{shape.axes}": shape.values, "place": place}
    named = {"points": shape.points}
    named |= {f"attribute.{name}": column for name, column in shape.attributes.items()}
    for name, value in sorted(shape.source.items()):
        data = value.encode() if isinstance(value, str) else value
        named[f"{type(value).__name__}.{name}"] = np.frombuffer(data, np.uint8)
    if isinstance(shape, Mesh):
        named |= {"face_sizes": shape.face_sizes, "face_indices": shape.face_indices}
        named |= {f"face.{name}": column for name, column in shape.face_attributes.items()}
    return named


def shape_of(named: dict[str, np.ndarray]) -> Whole | MeshSet:
    """The shape that `arrays` took apart."""
    if any("/" in name for name in named):
        parts: dict[str, dict[str, np.ndarray]] = {}
        for name, array in named.items():
            whose, _, key = name.partition("/")
            parts.setdefault(whose, {})[key] = array
        return MeshSet({name: shape_of(part) for name, part in parts.items()})
    if "place" in named:
        place = named.pop("place").tolist()
        ((name, values),) = named.items()
        axes = name.removeprefix("values.")
        return Volume(values, axes, tuple(place[:3]), tuple(place[3:6]), tuple(place[6:]))

    def below(prefix: str) -> dict[str, np.ndarray]:
        return {n.removeprefix(prefix): a for n, a in named.items() if n.startswith(prefix)}

    if "face_sizes" not in named:
        texts = {name: data.tobytes().decode() for name, data in below("str.").items()}
        source = texts | {name: data.tobytes() for name, data in below("bytes.").items()}
        return PointCloud(named["points"], below("attribute."), source)
    return Mesh(
        named["points"],
        named["face_sizes"],
        named["face_indices"],
        below("attribute."),
        below("face."),
    )


def digest(shape: Whole | MeshSet) -> str:
    """SHA-256 over names, types, shapes and bytes of all arrays."""
    total = hashlib.sha256()
    for name, array in arrays(shape).items():
        little = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
        total.update(f"{name} {little.dtype.str} {little.shape}\n".encode() + little.tobytes())
    return total.hexdigest()


def restored_by_floats(data: bytes) -> bool:
    """Whether the file may decode to slightly other numbers on another machine."""
    tiles = api.inspect(data)["tiles"]
    return not all(codecs.create(tile["codec"], tile["config"], "cpu").exact for tile in tiles)


def is_as_recorded(case: Path, shape: Whole | MeshSet) -> bool:
    """Whether `shape` is what the file of `case` decoded to when it was written."""
    if (case / "decoded.sha256").exists():
        return digest(shape) == (case / "decoded.sha256").read_text("utf-8").strip()
    with np.load(case / "decoded.npz") as file:
        named = dict(file)
    if isinstance(shape, MeshSet):
        return are_beside(named, shape)
    if isinstance(shape, Mesh):
        return near_to_vertices(shape, **named)
    before = shape_of(named)
    assert isinstance(before, Volume) and isinstance(shape, Volume)
    return np.allclose(shape.values, before.values, rtol=0, atol=NEAR * np.ptp(before.values))


def vertices(shape: MeshSet) -> dict[str, np.ndarray]:
    """(n, 3) float32 of each mesh: what is kept of a set that was decoded."""
    return {name: mesh.points.astype(np.float32) for name, mesh in shape.items()}


def are_beside(before: dict[str, np.ndarray], shape: MeshSet) -> bool:
    """Whether all meshes are there, each vertex beside one of before, and the reverse."""

    def near(one: np.ndarray, other: np.ndarray) -> bool:
        pairs = ((one, other), (other, one))
        farthest = max(cKDTree(there).query(here)[0].max() for here, there in pairs)
        return bool(farthest < BESIDE * np.ptp(one, axis=0).max())

    now = vertices(shape)
    return list(before) == list(now) and all(near(before[name], now[name]) for name in now)


def some_vertices(mesh: Mesh) -> dict[str, np.ndarray]:
    return {"points": mesh.points[::16], "count": np.array(len(mesh))}


def near_to_vertices(mesh: Mesh, points: np.ndarray, count: np.ndarray) -> bool:
    """Whether a mesh has these vertices, and about so many in all.

    Where a distance is nearly 0 its sign may differ, and vertices come and go beside others.
    """
    gaps, _ = cKDTree(mesh.points).query(points)
    near: bool = gaps.max() < NEAR * np.ptp(points, axis=0).max()
    return near and abs(len(mesh) - count) < 0.02 * count and mesh.points.dtype == points.dtype


def restored(shape: Whole | MeshSet) -> dict[str, np.ndarray]:
    """What is kept of a shape that floats restore."""
    if isinstance(shape, MeshSet):
        return vertices(shape)
    return some_vertices(shape) if isinstance(shape, Mesh) else arrays(shape)


def record(codec: str) -> None:
    """Write the files of `codec` that are not there yet."""
    for name, (shape, options) in cases(codec).items():
        target = FOLDER / codec / name
        if (target / FILE).exists():
            continue
        target.mkdir(parents=True, exist_ok=True)
        if (target / "input.npz").exists():  # a new format keeps the old shapes
            with np.load(target / "input.npz") as named:
                shape = shape_of(dict(named))
        data = api.compress(shape, api.Options(codec=codec, fallback=False, **options))
        np.savez_compressed(target / "input.npz", **arrays(shape))
        (target / "options.json").write_text(json.dumps(options) + "\n", "utf-8")
        decoded = api.decompress(data, "cpu")
        if restored_by_floats(data):
            np.savez_compressed(target / "decoded.npz", **restored(decoded))
        else:
            (target / "decoded.sha256").write_text(digest(decoded) + "\n", "utf-8")
        (target / FILE).write_bytes(data)


if __name__ == "__main__":
    for wanted in sys.argv[1:]:
        record(codecs.resolve(wanted))
