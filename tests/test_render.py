"""Pictures: shapes appear where geometry says, and a PNG holds what was drawn."""

from __future__ import annotations

import struct
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest

from pcc_cli import formats
from pcc_cli.errors import InputError, OutputError
from pcc_cli.evaluation.report import compare
from pcc_cli.evaluation.report import triangles as triangles_module
from pcc_cli.evaluation.report.lettering import draw_text, text_width
from pcc_cli.evaluation.report.render import Camera, encode_png, render, write_png
from pcc_cli.evaluation.report.slices import render_slices
from pcc_cli.evaluation.report.surface import estimated_normals, spacing
from pcc_cli.evaluation.report.triangles import corner_normals, fan
from pcc_cli.geometry import Array, Mesh, PointCloud, VoxelCloud

FRONT = Camera(position=(0.0, -10.0, 0.0), target=(0.0, 0.0, 0.0), fov_deg=90.0,
               width=100, height=100)  # fmt: skip
# At a distance of 10 a pixel of FRONT is 0.2 wide.


def coloured(points: Array, colour: tuple[int, int, int]) -> PointCloud:
    columns = zip(("red", "green", "blue"), colour, strict=True)
    return PointCloud(
        points, {name: np.full(len(points), value, np.uint8) for name, value in columns}
    )


def joined(first: PointCloud, second: PointCloud) -> PointCloud:
    return PointCloud(
        np.concatenate([first.points, second.points]),
        {name: np.concatenate([column, second.attributes[name]])
         for name, column in first.attributes.items()},
    )  # fmt: skip


def wall(distance: float, half: float, step: float = 0.1) -> Array:
    """Points of a square across the view of FRONT, `distance` from it."""
    ticks = np.arange(-half, half + 1e-9, step)
    x, z = (axis.ravel() for axis in np.meshgrid(ticks, ticks))
    return np.stack([x, np.full(len(x), distance - 10.0), z], axis=1)


def reddish(image: Array) -> Array:
    values = image.astype(int)
    return values[..., 0] > values[..., 2] + 60


def square(y: float, half: float) -> Mesh:
    corners = [(-half, y, -half), (half, y, -half), (half, y, half), (-half, y, half)]
    return Mesh(np.array(corners), np.array([4], np.int32), np.arange(4))


def decoded(data: bytes) -> Array:
    """The image in a PNG of 8-bit RGB, by the specification: chunks, checks, filters."""
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    chunks: dict[bytes, bytes] = {}
    place = 8
    while place < len(data):
        size, kind = struct.unpack_from(">I4s", data, place)
        body = data[place + 8 : place + 8 + size]
        assert struct.unpack_from(">I", data, place + 8 + size)[0] == zlib.crc32(kind + body)
        chunks[kind] = body
        place += 12 + size
    assert list(chunks) == [b"IHDR", b"IDAT", b"IEND"]
    width, height, *kind_of = struct.unpack(">IIBBBBB", chunks[b"IHDR"])
    assert kind_of == [8, 2, 0, 0, 0]
    rows = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), np.uint8).reshape(height, -1)
    image = np.zeros((height + 1, 3 * (width + 1)), dtype=int)
    for row in range(height):
        assert rows[row, 0] == 4
        for k in range(3, 3 * (width + 1)):
            left, up, corner = image[row + 1, k - 3], image[row, k], image[row, k - 3]
            guess = left + up - corner
            nearest = min((left, up, corner), key=lambda value: abs(guess - value))
            image[row + 1, k] = (rows[row, k - 2] + nearest) % 256
    return image[1:, 3:].reshape(height, width, 3).astype(np.uint8)


@pytest.mark.parametrize("shape", [(1, 1), (5, 7), (16, 3)])
def test_png_holds_the_image(shape: tuple[int, int], tmp_path: Path) -> None:
    image = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    write_png(tmp_path / "noise.png", image)
    assert np.array_equal(decoded((tmp_path / "noise.png").read_bytes()), image)


def test_png_refuses_what_is_no_image(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="must be"):
        encode_png(np.zeros((4, 4), np.uint8))
    with pytest.raises(OutputError, match="cannot write"):
        write_png(tmp_path / "no" / "a.png", np.zeros((4, 4, 3), np.uint8))


def test_camera_projects_by_the_pinhole_formula() -> None:
    seen = FRONT.project(np.array([(0, 0, 0), (2, 0, 1), (0, -5, 1), (0, -20, 0)], float))
    assert seen[0] == pytest.approx([50.0, 50.0, 10.0])
    assert seen[1] == pytest.approx([60.0, 45.0, 10.0])
    assert seen[2] == pytest.approx([50.0, 40.0, 5.0])
    assert seen[3, 2] == -10.0


@pytest.mark.parametrize("elevation", [-90.0, -20.0, 0.0, 35.0, 90.0])
@pytest.mark.parametrize("up", [(0.0, 0.0, 1.0), (0.0, 1.0, 0.0), (1.0, 0.0, 0.0)])
def test_looking_at_fits_the_frame(elevation: float, up: tuple[float, float, float]) -> None:
    points = np.random.default_rng(1).normal(size=(500, 3)) * (5.0, 2.0, 1.0) + 100.0
    camera = Camera.looking_at(
        PointCloud(points), 70.0, elevation, up=up, width=200, height=100, margin=0.1
    )
    seen = camera.project(points)
    assert (seen[:, 2] > 0).all()
    part = seen[:, :2] / (200.0, 100.0)
    assert part.min() > 0.07 and part.max() < 0.93
    assert min(part[:, 0].min(), part[:, 1].min()) < 0.13  # and fills it one way


def test_looking_at_a_point_from_x() -> None:
    camera = Camera.looking_at(PointCloud(np.full((3, 3), 7.0)), 0.0, 0.0)
    assert camera.position[0] > 7.0 and camera.position[1:] == pytest.approx((7.0, 7.0))
    assert camera.project(np.full((1, 3), 7.0))[0, :2] == pytest.approx([400.0, 400.0])


def test_points_of_a_plane_fill_its_place() -> None:
    image = render(coloured(wall(10.0, 4.0), (200, 30, 20)), FRONT)
    red = reddish(image)
    rows, columns = np.nonzero(red)
    assert abs(rows.min() - 30) <= 1 and abs(rows.max() - 69) <= 1
    assert abs(columns.min() - 30) <= 1 and abs(columns.max() - 69) <= 1
    assert red[32:68, 32:68].all()
    assert np.abs(image[50, 50].astype(int) - (200, 30, 20)).max() <= 2


def test_points_of_a_sphere_make_a_disc() -> None:
    index = np.arange(4000) + 0.5
    z, turn = 1.0 - 2.0 * index / 4000, index * 2.399963
    level = np.sqrt(1.0 - z * z)
    points = 3.0 * np.stack([level * np.cos(turn), level * np.sin(turn), z], axis=1)
    red = reddish(render(coloured(points, (220, 30, 30)), FRONT))
    radius = 50.0 * 3.0 / np.sqrt(10.0**2 - 3.0**2)  # of the outline, in pixels
    away = np.hypot(*(np.indices(red.shape) + 0.5 - 50.0))
    assert red[away < radius - 1.0].all()
    assert not red[away > radius + 1.5].any()


def test_near_points_hide_far_ones() -> None:
    far = coloured(wall(14.0, 6.0), (20, 30, 220))
    near = coloured(wall(8.0, 2.0), (220, 30, 20))
    for cloud in (joined(far, near), joined(near, far)):
        image = render(cloud, FRONT).astype(int)
        assert image[50, 50, 0] > 200 and image[50, 50, 2] < 40
        assert image[50, 33, 2] > 200 and image[50, 33, 0] < 40


def test_a_picture_is_the_same_every_time_and_ignores_what_is_not_finite() -> None:
    cloud = coloured(wall(10.0, 4.0), (200, 30, 20))
    damaged = coloured(np.concatenate([cloud.points, [(np.nan, 0, 0), (0, np.inf, 0)]]),
                       (200, 30, 20))  # fmt: skip
    assert np.array_equal(render(cloud, FRONT), render(cloud, FRONT))
    assert np.array_equal(render(cloud, FRONT), render(damaged, FRONT))


def test_an_empty_cloud_is_background() -> None:
    image = render(PointCloud(np.zeros((0, 3))), FRONT)
    assert image.shape == (100, 100, 3) and image.min() > 200
    assert (image[0].astype(int).sum(1) > image[-1].astype(int).sum(1)).all()


def test_voxels_and_points_without_colours_are_clay() -> None:
    voxels = np.stack(np.meshgrid(*[np.arange(12)] * 2, [0]), axis=-1).reshape(-1, 3)
    camera = Camera.looking_at(VoxelCloud(voxels), 0.0, 80.0, width=60, height=60)
    image = render(VoxelCloud(voxels), camera)
    assert np.array_equal(image, render(PointCloud(voxels.astype(np.float32)), camera))
    middle = image[30, 30].astype(int)
    assert middle[0] > middle[1] > middle[2]


def test_normals_decide_the_light() -> None:
    points = wall(10.0, 4.0)
    images = []
    for normal in ((0.0, -1.0, 0.0), (0.3, -0.3, -0.9)):
        columns = zip(("nx", "ny", "nz"), normal, strict=True)
        cloud = PointCloud(points, {name: np.full(len(points), v) for name, v in columns})
        images.append(int(render(cloud, FRONT)[50, 50, 0]))
    assert images[0] > images[1] + 40


def test_a_mesh_fills_its_pixels() -> None:
    image = render(square(0.0, 4.0), FRONT, supersampling=1).astype(int)
    inside = image[:, :, 0] - image[:, :, 2] > 10  # clay is warmer than the background
    expected = np.zeros((100, 100), dtype=bool)
    expected[30:70, 30:70] = True
    assert np.array_equal(inside, expected)


def test_near_faces_hide_far_ones_and_colours_run_between_corners() -> None:
    near, far = square(-4.0, 1.0), square(4.0, 6.0)
    mesh = Mesh(
        np.concatenate([near.points, far.points]),
        np.array([4, 4], np.int32),
        np.arange(8),
        {"red": np.array([255] * 4 + [0] * 4, np.uint8),
         "green": np.array([0] * 4 + [0, 0, 255, 255], np.uint8),
         "blue": np.zeros(8, np.uint8)},
    )  # fmt: skip
    image = render(mesh, FRONT).astype(int)
    assert image[50, 50, 0] > 150 and image[50, 50, 1] < 10
    column = image[32:68, 36, 1]  # left of the near square, from the top down
    assert image[50, 36, 0] < 10 and (np.diff(column) <= 1).all() and np.ptp(column) > 100


def test_a_long_thin_triangle_takes_no_more_work_than_its_pixels() -> None:
    camera = FRONT.enlarged(4)
    ends = np.linspace(-9.0, 9.0, 2000)
    points = np.stack([ends, np.zeros(2000), ends[::-1]], axis=1)
    points[1::2, 0] += 0.01
    triangles = np.stack([np.arange(1, 1998), np.zeros(1997, int), np.full(1997, 1999)], axis=1)
    pairs = sum(
        len(rows)
        for rows, *_ in triangles_module._fragments(camera.project(points)[triangles], camera)
    )
    assert 0 < pairs < 4 * 400 * len(triangles)  # their boxes hold 100 times as many


def test_an_edge_of_a_box_is_sharp_and_a_gentle_fold_is_smooth() -> None:
    corners = np.array([(x, y, z) for x in (0.0, 1.0) for y in (0.0, 1.0) for z in (0.0, 1.0)])
    rings = np.array([(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1),
                      (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)])  # fmt: skip
    faces = fan(np.full(6, 4), rings.ravel())
    normals = corner_normals(corners, faces)
    assert np.allclose(np.abs(normals).max(axis=2), 1.0)  # each along an axis
    fan_of = np.array([(0.0, 0.0, 0.2), (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (-1.0, 0.0, 0.0)])
    smooth = corner_normals(fan_of, np.array([(0, 1, 2), (0, 2, 3)]))
    assert np.allclose(smooth[0, 0], smooth[1, 0])  # the vertex they share


def test_a_transparent_picture_leaves_the_background_to_the_page() -> None:
    cloud = coloured(wall(10.0, 4.0), (200, 30, 20))
    image = render(cloud, FRONT, transparent=True)
    assert image.shape == (100, 100, 4)
    assert image[50, 50].tolist() == pytest.approx([200, 30, 20, 255], abs=2)
    assert image[2, 2, 3] == 0


def test_points_that_thin_out_still_close_and_dust_stays_small() -> None:
    random = np.random.default_rng(5)
    across = random.uniform(-1.0, 1.0, 9000)
    points = np.stack([4.0 * np.sign(across) * across**2, np.zeros(9000),
                       random.uniform(-4.0, 4.0, 9000)], axis=1)  # fmt: skip
    red = reddish(render(coloured(points, (220, 30, 20)), FRONT))
    assert red[34:66, 34:66].mean() > 0.995
    dust = np.array([(9.0, 0.0, 9.0), (-9.0, 0.0, 9.0)])
    red = reddish(render(coloured(np.concatenate([points, dust]), (220, 30, 20)), FRONT))
    assert 1 <= red[:20, 60:].sum() < 40


def test_slices_show_where_a_volume_is_bright() -> None:
    volume = np.zeros((20, 30, 40), np.float32)
    volume[15:, :, :] = 1.0
    image = render_slices(volume, 80)
    assert image.shape[1] == 3 * 96
    panels = np.split(image, 3, axis=1)
    assert (panels[0][48, 30:60] < 40).all()  # across z, at its middle: z = 10 is dark
    panel = panels[1].astype(int)  # z runs upwards
    assert panel[30, 48, 0] > 200 and panel[60, 48, 0] < 40
    with pytest.raises(InputError, match="z, y, x"):
        render_slices(np.zeros((3, 3)))


def test_polygons_become_fans() -> None:
    sizes = np.array([3, 5, 2, 4], np.int32)
    triangles = fan(sizes, np.arange(14))
    assert triangles.tolist() == [[0, 1, 2], [3, 4, 5], [3, 5, 6], [3, 6, 7],
                                  [10, 11, 12], [10, 12, 13]]  # fmt: skip


def test_spacing_and_normals_of_a_plane() -> None:
    points = np.random.default_rng(2).uniform(0.0, 10.0, (4000, 3))
    points[:, 2] = 3.0
    assert spacing(points) == pytest.approx(10.0 / 4000**0.5, rel=0.35)
    assert spacing(points[:1]) == 1.0
    normals = estimated_normals(points)
    assert np.abs(normals[:, 2]).min() > 0.999


def test_text_has_its_width() -> None:
    image = np.full((40, 200, 3), 255, np.uint8)
    draw_text(image, "scan 12 kB?", 10.0, 30.0, 12.0, (0, 0, 0))
    columns = np.flatnonzero((image < 128).any(axis=(0, 2)))
    assert columns.min() >= 8 and columns.max() < 10 + text_width("scan 12 kB?", 12.0)
    draw_text(image, "outside", 150.0, -5.0, 12.0, (0, 0, 0))  # is cut, not an error


def test_two_files_side_by_side(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compare, "_PANEL", 120)
    first = coloured(wall(10.0, 4.0, 0.4).astype(np.float32), (200, 30, 20))
    second = PointCloud(first.points[::-1].copy(), first.attributes)
    for name, cloud in (("a.ply", first), ("b.ply", second)):
        (tmp_path / name).write_bytes(formats.write(".ply", cloud))
    paths = [str(tmp_path / name) for name in ("a.ply", "b.ply", "out.png")]
    monkeypatch.setattr(sys, "argv", ["compare", *paths])
    compare.main()
    width, height = struct.unpack(">II", (tmp_path / "out.png").read_bytes()[16:24])
    assert width == 240 and height > 120


def test_same_sees_the_last_bit_but_not_the_order() -> None:
    first = coloured(wall(10.0, 1.0), (1, 2, 3))
    assert compare.same(first, PointCloud(first.points[::-1], first.attributes))
    moved = first.points.copy()
    moved[3, 1] = np.nextafter(moved[3, 1], 9.0)
    assert not compare.same(first, PointCloud(moved, first.attributes))
    assert not compare.same(first, coloured(first.points, (1, 2, 4)))
    assert not compare.same(first, coloured(first.points.astype(np.float32), (1, 2, 3)))
    assert not compare.same(first, square(0.0, 1.0))
