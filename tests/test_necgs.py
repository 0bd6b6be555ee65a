"""necgs.1: fields and bands of meshes, marching cubes that are shifted, streams, and set files."""

from __future__ import annotations

import contract
import numpy as np
import pytest
import torch
import trimesh

import pcc_cli
from pcc_cli import api, container
from pcc_cli.codecs.necgs import band as bands
from pcc_cli.codecs.necgs import contour, field, network, stream
from pcc_cli.codecs.necgs.codec import MESH, NETWORK, Necgs
from pcc_cli.codecs.necgs.deform import Deform
from pcc_cli.codecs.necgs.example import Example
from pcc_cli.codecs.necgs.fit import Fit
from pcc_cli.codecs.necgs.network import Plan, Table
from pcc_cli.codecs.necgs.subject import subjects
from pcc_cli.errors import FormatError, InputError, PccError, UnsupportedError
from pcc_cli.geometry import Mesh, MeshSet
from pcc_cli.levelset.solid import Frame, Solid

QUICK = {"grid": 16, "effort": 1, "width": 6}


def mesh_of(shape, dtype=np.float64) -> Mesh:
    faces = np.asarray(shape.faces, np.int64)
    return Mesh(np.asarray(shape.vertices, dtype), np.full(len(faces), 3, np.int32), faces.ravel())


def ball(size=1.0) -> Mesh:
    return mesh_of(trimesh.creation.icosphere(subdivisions=3, radius=size))


def ring() -> Mesh:
    return mesh_of(trimesh.creation.torus(2.0, 0.9), np.float32)


def toys() -> MeshSet:
    return MeshSet({"ball.obj": ball(), "box.ply": mesh_of(trimesh.creation.box((1, 2, 1.5)))})


@pytest.fixture(scope="module")
def packed() -> bytes:
    return api.compress(toys(), api.Options(settings=QUICK))


def edges_of(triangles):
    edges = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    return np.unique(np.sort(edges, axis=1), axis=0, return_counts=True)[1]


def values_of(measured: field.Field) -> np.ndarray:
    values = np.zeros((len(measured.values), 4))
    values[:, 0] = measured.values
    return values


# Marching cubes


@pytest.mark.parametrize("shift", [0.0, 1.0])
def test_random_fields_give_closed_surfaces(shift):
    rng = np.random.default_rng(1)
    values = rng.normal(size=(16**3, 4)).clip(-1, 1)
    values[:, 1:] *= shift
    points, triangles = contour.whole(values, bands.all_nodes(16), np.zeros((16,) * 3, bool))
    assert len(triangles) > 3000
    assert (edges_of(triangles) == 2).all()
    assert np.isfinite(points).all()
    assert np.abs(points).max() <= 1 + 1.5 / 16
    assert trimesh.Trimesh(points, triangles, process=False).is_winding_consistent


def test_a_ball_is_round_and_turned_outwards_also_where_the_band_ends():
    _, solid = Solid.of(ball())
    measured = field.sampled(solid, 64)
    points, triangles = contour.whole(values_of(measured), measured.band.nodes, measured.beyond())
    assert (edges_of(triangles) == 2).all()
    assert np.abs(np.linalg.norm(points, axis=1) - 0.9).max() < 0.01
    assert trimesh.Trimesh(points, triangles, process=False).volume > 0


def test_nothing_inside_gives_no_triangles():
    values = np.ones((16**3, 4))
    points, triangles = contour.whole(values, bands.all_nodes(16), np.zeros((16,) * 3, bool))
    assert points.shape == (0, 3)
    assert triangles.shape == (0, 3)


# Bands and fields


def test_a_band_holds_all_nodes_beside_the_surface():
    _, solid = Solid.of(ring())
    measured = field.sampled(solid, 64)
    everywhere = bands.points(bands.all_nodes(64), 64)
    near = solid.distance(everywhere) < 1.2 * 2 / 64
    assert near[measured.band.nodes].sum() == near.sum()
    assert len(measured.band.nodes) < 0.2 * 64**3


def test_fields_of_a_band_are_those_of_all_nodes():
    _, solid = Solid.of(ring())
    measured = field.sampled(solid, 32)
    points = bands.points(measured.band.nodes, 32)
    wanted = np.where(solid.inside(points), -1, 1) * solid.distance(points) * 32 / 4
    assert np.abs(measured.values - wanted.clip(-1, 1)).max() < 1e-5


def test_tables_name_neighbours():
    nodes = np.array([0, 1, 16, 4095])
    table = bands.neighbours(nodes, np.arange(4), 16)
    assert table[0].tolist().count(4) == 24
    assert table[:, 13].tolist() == [0, 1, 2, 3]
    assert table[0, bands.AROUND.tolist().index([0, 0, 1])] == 1
    assert table[0, bands.AROUND.tolist().index([0, 1, 0])] == 2


def test_an_open_sheet_becomes_a_shell():
    sheet = contract.mesh([[0.0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]], (0, 1, 2, 3))
    _, solid = Solid.of(sheet)
    measured = field.sampled(solid, 64)
    points, triangles = contour.whole(values_of(measured), measured.band.nodes, measured.beyond())
    assert (edges_of(triangles) == 2).all()
    assert np.abs(points[:, 2]).max() < 2 / 64


# Fitting


def errors(solid: Solid, measured: field.Field, values: np.ndarray) -> float:
    points, triangles = contour.whole(values, measured.band.nodes, measured.beyond())
    rng = np.random.default_rng(0)
    there = solid.distance(Solid(points, triangles).on_surface(5000, rng)[0]).mean()
    back = Solid(points, triangles).distance(solid.on_surface(5000, rng)[0]).mean()
    return float(there + back) / 2


def test_shifted_nodes_keep_edges_that_distances_alone_round_off():
    _, solid = Solid.of(mesh_of(trimesh.creation.box((1, 2, 1.5))))
    measured = field.sampled(solid, 32)
    found = [
        errors(solid, measured, how.fit(solid, measured, 0).astype(np.float64))
        for how in (Deform(0), Deform(60, free=False), Deform(60))
    ]
    assert found[2] < found[1] < found[0]


def test_values_are_multiples_of_a_step_of_8_bits():
    _, solid = Solid.of(ball())
    values = Deform(3).fit(solid, field.sampled(solid, 16), 0)
    assert (values * 128 == np.rint(values * 128)).all()
    assert np.abs(values).max() <= 1


def test_gathering_has_the_gradient_of_its_definition():
    rng = np.random.default_rng(0)
    columns = [np.concatenate([rng.permutation(9)[:5], [9]]) for _ in range(27)]
    table = Table.of(np.stack(columns, 1).astype(np.int32), 9, torch.device("cpu"))
    x = torch.randn(9, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(table.gathered, (x,))


def test_children_with_eight_taps_see_the_nodes_beside_them():
    """Trilinear weights on a linear field give that field at the children."""
    plan = Plan(16, (1, 1), 8)
    taps = np.array([[i & 1, i >> 1 & 1, i >> 2 & 1] for i in range(8)])
    weight = torch.zeros(8, 1, 8, 1)
    for tap, steps in enumerate(taps):
        for child, corner in enumerate(taps):
            nearer = np.where(steps == 1 - corner, 0.75, 0.25)
            weight[tap, 0, child, 0] = float(nearer.prod())
    weights = network.initial(Plan(16, (1, 1), 8), torch.Generator())
    found = network._all_taps(weight.view(8, 8), plan.taps)
    level = bands.level(8, bands.all_nodes(8), np.ones(512, bool))
    x = torch.from_numpy(bands.points(bands.all_nodes(8), 8) @ [1.0, 0.5, -0.3]).float()[:, None]
    out = Table.of(level.table, 512, torch.device("cpu")).gathered(x) @ found
    points = bands.points(level.nodes, 16)
    inner = np.abs(points).max(axis=1) < 1 - 2 / 8
    assert np.abs(out.reshape(-1).numpy() - points @ [1.0, 0.5, -0.3])[inner].max() < 1e-6
    assert set(weights) == set(plan.shapes())


def test_a_fit_that_was_kept_goes_on_to_the_same_end(tmp_path):
    chosen = subjects(toys(), 16)
    examples = [
        Example.of(one.field, one.tensor(0, True, 0), torch.device("cpu")) for one in chosen
    ]
    plan = Plan(16, (5, 4))

    def fresh() -> Fit:
        return Fit(plan, examples, 8.0, 3, torch.device("cpu"))

    whole, first, second = fresh(), fresh(), fresh()
    silent = lambda done, error: None  # noqa: E731
    whole.run(0.0, 0.5, 40, None, silent)
    whole.run(0.5, 1.0, 40, None, silent)
    first.run(0.0, 0.5, 40, None, silent)
    first.save(tmp_path / "fit", 0.5)
    assert second.restore(tmp_path / "fit") == 0.5
    second.run(0.5, 1.0, 40, None, silent)
    assert (whole.rounded_features() == second.rounded_features()).all()
    assert all((a == second.rounded()[n]).all() for n, a in whole.rounded().items())
    other = Fit(Plan(16, (6, 4)), examples, 8.0, 3, torch.device("cpu"))
    with pytest.raises(InputError, match="another set"):
        other.restore(tmp_path / "fit")


# Streams


def example_network() -> stream.Network:
    rng = np.random.default_rng(0)
    plan = Plan(64, (5, 4, 4, 3), 27)
    weights = {n: rng.integers(-127, 128, shape) for n, shape in plan.shapes().items()}
    codes = {name: int(rng.integers(200)) for name in weights}
    return stream.Network(plan, weights, codes, 77, tuple(rng.integers(0, 64, 16).tolist()))


def test_streams_give_everything_back():
    there = example_network()
    back = stream.unpack_network(stream.pack_network(there))
    assert (back.plan, back.codes, back.feature_code) == (there.plan, there.codes, 77)
    assert back.bells == there.bells
    assert all((back.weights[name] == values).all() for name, values in there.weights.items())
    features = np.random.default_rng(1).integers(-127, 128, (64, 16))
    place = stream.Place(Frame(np.array([1.5, -2e6, 0.1]), 3.75), True)
    found, rows = stream.unpack_mesh(there, stream.pack_mesh(there, place, features))
    assert (found.frame.centre == place.frame.centre).all()
    assert (found.frame.radius, found.double) == (3.75, True)
    assert (rows == features).all()


def test_streams_that_are_cut_are_refused():
    there = example_network()
    data = stream.pack_network(there)
    for length in range(3 + 4 + 2 * len(there.weights) + 17):
        with pytest.raises(FormatError):
            stream.unpack_network(data[:length])
    place = stream.Place(Frame(np.zeros(3), 1.0), True)
    mesh = stream.pack_mesh(there, place, np.zeros((64, 16), np.int64))
    for length in range(33):
        with pytest.raises(FormatError):
            stream.unpack_mesh(there, mesh[:length])


# Set files


def test_a_set_comes_back(packed):
    back = api.decompress(packed)
    assert isinstance(back, MeshSet)
    assert list(back) == list(toys())
    for name, mesh in back.items():
        assert (edges_of(mesh.face_indices.reshape(-1, 3)) == 2).all()
        assert mesh.points.dtype == toys()[name].points.dtype
        bounds = [np.array([m.points.min(0), m.points.max(0)]) for m in (mesh, toys()[name])]
        assert np.abs(bounds[0] - bounds[1]).max() < 0.25
    about = api.inspect(packed)
    assert [mesh["name"] for mesh in about["meshes"]] == ["ball.obj", "box.ply"]
    assert all(0 < mesh["error"] < 0.1 for mesh in about["meshes"])
    assert (about["kind"], about["lossless"], about["count"]) == ("meshes", False, toys().points)


def test_the_same_bytes_twice_and_a_config_that_comes_back():
    codec = Necgs(**QUICK)
    one, other = (codec.encode_set(toys(), 0) for _ in range(2))
    assert [payload.streams for payload in one] == [payload.streams for payload in other]
    contract.check_config(codec)


def test_one_mesh_is_decoded_without_reading_the_others(packed):
    record, sections = container.read(packed)
    broken = bytearray(packed)
    at = packed.index(next(s.data for s in sections if s.kind == MESH and s.tile == 0))
    broken[at + 40] ^= 1
    with pcc_cli.open(bytes(broken)) as file:
        assert file.kind == "meshes"
        assert contract.same(file.meshes["box.ply"], api.decompress(packed)["box.ply"])
        assert file.mesh_name("box") == "box.ply"
        with pytest.raises(FormatError):
            file.meshes["ball.obj"]
        with pytest.raises(InputError, match="no mesh 'cone'"):
            file.mesh_name("cone")
    with pytest.raises(FormatError):
        api.decompress(bytes(broken))
    assert record["tiles"] == 2


def test_add_and_remove_leave_the_others_as_they_are(packed):
    grown, error = api.add(packed, MeshSet({"ring.ply": ring()}), {"effort": 1})
    assert set(error) == {"ring.ply"}
    before, after = api.decompress(packed), api.decompress(grown)
    assert list(after) == ["ball.obj", "box.ply", "ring.ply"]
    assert all(contract.same(before[name], after[name]) for name in before)
    back = api.remove(grown, ["ring"])
    assert back == packed
    less = api.remove(grown, ["ball.obj", "ring"])
    assert contract.same(api.decompress(less)["box.ply"], before["box.ply"])
    assert api.inspect(less)["count"] == 8
    with pytest.raises(InputError, match="already"):
        api.add(packed, MeshSet({"box.ply": ring()}))
    with pytest.raises(InputError, match="nothing would be left"):
        api.remove(packed, ["ball", "box"])


def test_a_file_with_something_else_has_no_meshes():
    data = api.compress(ball())
    with pytest.raises(InputError, match="no set of meshes"):
        api.add(data, toys())
    with pytest.raises(InputError, match="no set of meshes"):
        api.remove(data, ["ball"])


def test_a_size_is_kept():
    for settings in ({"size": 4200}, {"ratio": 9.0}):
        sized = {"grid": 16, "effort": 1, "model": "none", **settings}
        data = api.compress(toys(), api.Options(settings=sized))
        assert len(data) <= settings.get("size", toys().raw_bytes / 9)


def test_a_size_that_is_too_small_is_refused_at_once():
    for model in ("none", "necgs-1"):
        sized = {"grid": 64, "model": model, "size": 700}
        with pytest.raises(InputError, match=r"2 meshes need .* bytes more"):
            api.compress(toys(), api.Options(settings=sized))


def test_any_damage_is_noticed(packed):
    step = len(packed) // 150
    for place in range(0, len(packed), step):
        for damaged in (packed[:place], packed[:place] + bytes([packed[place] ^ 8]) +
                        packed[place + 1 :]):  # fmt: skip
            with pytest.raises(PccError) as error:
                api.decompress(damaged)
            assert "\n" not in str(error.value)


def test_damage_behind_right_checksums_is_refused(packed):
    for damaged in contract.resealed_damage(packed, step=len(packed) // 25):
        with pytest.raises(PccError):
            api.decompress(damaged)


@pytest.mark.parametrize("where", ["header", "tile"])
def test_lies_are_refused(packed, where):
    names = ("meshes",) if where == "header" else ("streams",)
    for _, _, damaged in contract.lies(packed, where, below=names):
        with pytest.raises(PccError):
            api.decompress(damaged)


@pytest.mark.parametrize("name", ["", "/a.obj", "../a.obj", "a/../b.obj", "a\\b.obj", "a\n.obj"])
def test_names_stay_below_a_folder(packed, name):
    with pytest.raises(InputError, match="name"):
        MeshSet({name: ball()})
    with pytest.raises(FormatError, match="name"):
        api.decompress(
            contract.edited(packed, "header", lambda h: h["meshes"][0].__setitem__(0, name))
        )


@pytest.mark.parametrize(
    ("mesh", "words"),
    [
        (contract.mesh(np.zeros((0, 3))), "no face"),
        (contract.mesh(np.ones((3, 3)), (0, 1, 2)), "no face"),
        (contract.mesh(np.diag([1.0, np.nan, 1]), (0, 1, 2)), "not finite"),
    ],
)
def test_a_mesh_without_a_surface_is_named(mesh, words):
    with pytest.raises(InputError, match=f"bad.obj: .*{words}"):
        Necgs(**QUICK).encode_set(MeshSet({"good.obj": ball(), "bad.obj": mesh}), 0)


@pytest.mark.parametrize(
    "wrong",
    [{"grid": 48}, {"taps": 9}, {"effort": 0}, {"width": 0}, {"quality": 0.0}, {"ratio": -1.0},
     {"quality": 5.0, "size": 4000}, {"device": "tpu"}],
)  # fmt: skip
def test_wrong_settings(wrong):
    with pytest.raises(InputError):
        Necgs(**wrong)


def test_sets_from_python():
    data = pcc_cli.compress([ball(), ring()], codec="necgs", **QUICK)
    assert list(pcc_cli.decompress(data)) == ["1.ply", "2.ply"]
    with pytest.raises(UnsupportedError, match="does not take"):
        pcc_cli.compress({"a.obj": ball()}, codec="plain")
    with pytest.raises(InputError, match="never lossless"):
        pcc_cli.compress([ball()], codec="necgs", lossless=True)
    assert NETWORK in {section.kind for section in container.read(data)[1]}
