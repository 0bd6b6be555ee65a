"""The page about a run: whole, safe, small, and true to the rows."""

from __future__ import annotations

import base64
import json
import math
import re
import sys
import zlib
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import runs

from pcc_cli.errors import InputError, OutputError, UnsupportedError
from pcc_cli.evaluation import pictures
from pcc_cli.evaluation.case import Case
from pcc_cli.evaluation.report import deviation, exhibits, images
from pcc_cli.evaluation.report.camera import Camera
from pcc_cli.evaluation.report.glance import headline, lossless_rates
from pcc_cli.evaluation.report.html import write_report
from pcc_cli.evaluation.report.markup import Html, join, tag
from pcc_cli.evaluation.report.packing import packed
from pcc_cli.evaluation.report.plots import plot
from pcc_cli.evaluation.report.ramp import ERROR, HEIGHT, Ramp
from pcc_cli.evaluation.report.slices import middle, middle_of, plate
from pcc_cli.evaluation.rows import Row
from pcc_cli.evaluation.summary import standings
from pcc_cli.geometry import Array, Mesh, PointCloud, Volume


class Page(HTMLParser):
    """Text and tags of a page; fails when tags do not close."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.scripts: list[str] = []
        self.feed(path.read_text("utf-8"))
        assert not self.open

    def handle_starttag(self, name: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((name, dict(attributes)))
        if name not in ("meta", "link", "img", "input", "br"):
            self.open.append(name)

    def handle_endtag(self, name: str) -> None:
        assert self.open.pop() == name

    def handle_data(self, text: str) -> None:
        inside = self.open and self.open[-1] in ("script", "style")
        (self.scripts if inside else self.words).append(text)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.words))

    @property
    def data(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(
            next(s for s in self.scripts if s.startswith('{"codecs"'))
        )
        return found


@pytest.fixture(scope="module", autouse=True)
def small_pictures() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        runs.shrink(patch)
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("report") / "run"


@pytest.fixture(scope="module")
def rows(folder: Path) -> list[Row]:
    return runs.made(folder)


@pytest.fixture(scope="module")
def page(rows: list[Row], folder: Path) -> Page:
    return Page(write_report(rows, folder, "pcc eval scans/ --against gpcc"))


def test_the_page_is_one_file_that_needs_no_network(page: Page, folder: Path) -> None:
    assert (folder / "index.html").stat().st_size < 10_000_000
    for name, attributes in page.tags:
        assert name not in ("iframe", "object", "embed")
        for key in ("src", "href"):
            link = attributes.get(key)
            assert link is None or link.startswith(("data:", "#")), link
    assert not re.search(r"url\(|@import|https?://(?!www\.w3\.org/2000/svg)", "".join(page.scripts))
    (policy,) = [
        a["content"] for n, a in page.tags if n == "meta" and "content" in a and "http-equiv" in a
    ]
    assert policy and policy.startswith("default-src 'none'")


def test_the_page_says_who_is_smallest_and_how_it_was_measured(page: Page) -> None:
    assert "occupancy.1 makes the smallest lossless files: 25.0 % smaller than gpcc." in page.text
    assert "pcc eval scans/ --against gpcc" in page.text
    assert "--step=x0.08 <i>" in page.text  # every configuration
    assert "0" * 63 + "1" in page.text  # every digest
    for word in ("Processor", "Python", "torch", "point to plane", "rows.csv"):
        assert word in page.text


def test_everything_has_a_name_for_those_who_do_not_see_it(page: Page) -> None:
    assert [name for name, _ in page.tags if name == "h1"] == ["h1"]
    headings = [int(name[1]) for name, _ in page.tags if re.fullmatch("h[1-6]", name)]
    assert all(after - before <= 1 for before, after in pairwise(headings))
    assert all(attributes.get("alt") for name, attributes in page.tags if name == "img")
    names = [name for name, _ in page.tags]
    assert names.count("label") == names.count("select") + names.count("input")
    assert ("html", {"lang": "en"}) in page.tags


def test_the_scripts_get_every_row_and_what_is_shown(page: Page, rows: list[Row]) -> None:
    data = page.data
    assert len(data["rows"]) == len(rows)
    assert data["codecs"] == [runs.OURS, runs.PEER]
    assert {look["file"] for look in data["exhibits"]} == {runs.SCAN, runs.FIELD, runs.BALL}
    for look in data["exhibits"]:
        assert {look["original"], look["reconstruction"]} <= data["shapes"].keys()
    assert sum(row["metrics"]["d1_psnr_db"] is None for row in data["rows"]) == 6  # lossless


def test_no_text_can_become_markup(tmp_path: Path) -> None:
    rows = [
        replace(row, codec=row.codec + "<i>") for row in runs.made(tmp_path / "r", (runs.HOSTILE,))
    ]
    path = write_report(rows, tmp_path / "r", "pcc eval '<img src=x>'")
    found = Page(path)
    assert runs.HOSTILE in found.text and "<img src=x>" in found.text
    assert not [n for n, a in found.tags if n in ("b", "i") and a.get("onerror")]
    assert [a for n, a in found.tags if n == "img" and not str(a["src"]).startswith("data:")] == []
    assert found.data["rows"][0]["file"] == runs.HOSTILE


def test_rows_without_shapes_curves_or_numbers_make_a_page(tmp_path: Path) -> None:
    lossless = Row("a.ply", "0" * 64, "points", 5, runs.OURS, setting="lossless", bytes=9, bpp=14.4,
                   lossless=True, metrics={"d1_psnr_db": math.inf}, original="shapes/gone.ply",
                   reconstruction="shapes/gone.ply")  # fmt: skip
    skipped = Row("a.ply", "0" * 64, "points", 5, runs.PEER, skipped="tmc3 is not on PATH")
    one = Page(write_report([lossless, skipped], tmp_path))
    assert "occupancy.1 needs 14.4 bits per point, lossless." in one.text
    assert "tmc3 is not on PATH" in one.text
    assert not [a for n, a in one.tags if a.get("id") in ("stage", "plot-file", "bd")]
    assert "tmc3 is not on PATH" in Page(write_report([skipped], tmp_path)).text


def test_a_page_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot write"):
        write_report([], tmp_path / "missing")


def test_many_shapes_still_make_a_small_page(
    rows: list[Row], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exhibits, "BUDGET", 400_000)
    shown = exhibits.exhibits(rows, folder)
    assert 1 <= len(shown) < len(exhibits.choice(rows))
    assert sum(one.size for one in shown) <= 400_000


def test_every_file_is_shown_before_a_second_row_of_any(rows: list[Row]) -> None:
    chosen = exhibits.choice(rows)
    assert {row.file for row in chosen[:6]} == {runs.SCAN, runs.FIELD, runs.BALL}
    assert not any(row.lossless for row in chosen)
    exact = [row for row in rows if row.lossless]
    assert [row.file for row in exhibits.choice(exact)] == [runs.SCAN, runs.FIELD, runs.BALL]


def unpacked(shape: dict[str, Any]) -> tuple[Array, Array, Array]:
    """What page/points.js makes of it: places, colours and errors."""
    body = np.frombuffer(zlib.decompress(base64.b64decode(shape["columns"])), np.uint8)
    columns = body.reshape(10, shape["count"]).astype(np.int64)
    places = np.cumsum(columns[0:6:2] + 256 * columns[1:6:2], axis=1) & 0xFFFF
    colours = np.cumsum(columns[6:9], axis=1) & 0xFF
    return shape["low"] + places.T * shape["step"], colours.T, columns[9]


def test_packed_points_come_back() -> None:
    random = np.random.default_rng(0)
    points = random.uniform(-3e5, 3e5, (500, 3))
    colours, errors = random.uniform(size=(500, 3)), random.uniform(0, 7.0, 500)
    places, shades, shares = unpacked(packed(points, colours, errors, 5.0, 1000))
    nearest = np.linalg.norm(places[:, None] - points, axis=2).argmin(1)
    assert sorted(nearest) == list(range(500))
    assert np.abs(places - points[nearest]).max() < 6e5 / (1 << 14)
    assert np.abs(shades - 255 * colours[nearest]).max() <= 0.5
    assert np.abs(shares - 51 * np.minimum(errors, 5.0)[nearest]).max() <= 0.5


@pytest.mark.parametrize(("count", "most"), [(0, 9), (1, 9), (500, 40)])
def test_packing_takes_few_and_leaves_out_many(count: int, most: int) -> None:
    points = np.random.default_rng(1).normal(size=(count, 3))
    shape = packed(points, points, np.zeros(count), 0.0, most)
    assert shape["count"] == min(count, most)
    assert len(unpacked(shape)[0]) == shape["count"]


def test_errors_are_distances_to_the_original() -> None:
    original = runs.scan()
    moved = PointCloud(original.points + np.array([0, 0, 1e-3], np.float32))
    assert deviation.errors_of(original, original).max() == 0.0
    assert deviation.errors_of(original, moved) == pytest.approx(1e-3, rel=0.02)
    far = PointCloud(np.array([(0.0, 0.0, 3.0), (np.nan, 0.0, 0.0)]))
    assert deviation.errors_of(original, far) == pytest.approx([2.0, 0.0], abs=0.01)
    assert deviation.errors_of(runs.ball(), runs.ball()).max() == 0.0
    grown = replace(runs.ball(), points=runs.ball().points * np.float32(1.1))
    assert deviation.errors_of(runs.ball(), grown) == pytest.approx(0.1, abs=0.02)


def test_the_scale_of_errors_ends_at_a_round_number() -> None:
    assert deviation.largest(np.zeros(9)) == 0.0 and deviation.largest(np.zeros(0)) == 0.0
    assert deviation.largest(np.full(9, 0.0131)) == 0.015
    assert deviation.largest(np.append(np.zeros(999), 7.0)) == 8.0
    assert deviation.largest(np.append(np.ones(999), 50.0)) == 1.0


def test_a_decoded_shape_gets_the_colours_of_the_original() -> None:
    original = runs.scan()
    bare = PointCloud(original.points[::-1] * np.float32(1.001))
    coloured = deviation.recoloured(bare, original)
    assert np.array_equal(coloured.attributes["red"], original.attributes["red"][::-1])
    assert deviation.recoloured(original, bare) is original


def test_where_no_point_moved_the_errors_are_those_of_colours() -> None:
    original = runs.scan()
    duller = {name: column // 2 for name, column in original.attributes.items()}
    faded = PointCloud(original.points[::-1], {n: column[::-1] for n, column in duller.items()})
    errors = deviation.colour_errors_of(original, faded)
    assert errors is not None
    wanted = sum(original.attributes[name] - 1.0 * duller[name] for name in duller) / 3
    assert errors == pytest.approx(wanted[::-1], abs=1e-3)
    assert deviation.colour_errors_of(original, PointCloud(original.points)) is None


def test_an_error_map_has_a_labelled_bar() -> None:
    original = runs.scan()
    coarse = PointCloud((np.rint(original.points / 0.1) * 0.1).astype(np.float32))
    camera = Camera.looking_at(original, width=160, height=120)
    image = deviation.render_errors(original, coarse, camera)
    assert image.shape[1] == 160 and image.shape[0] > 150
    bar = image[136].astype(int)
    assert bar[25].sum() > bar[80].sum() > bar[135].sum()  # from pale to dark
    assert (image[145:] < 100).any()  # numbers


def test_lightness_of_ramps_runs_one_way() -> None:
    steps = ERROR.colours(np.linspace(0, 1, 50)) @ (0.299, 0.587, 0.114)
    assert (np.diff(steps) < 0).all()
    assert (
        HEIGHT.colours(np.array([-1.0, 0.0, np.nan])).tolist()
        == [HEIGHT.colours(np.zeros(1))[0].tolist()] * 3
    )
    assert Ramp(("#000000", "#ff8040")).colours(np.array(0.5)) == pytest.approx(
        [0.5, 0.251, 0.125], abs=1e-3
    )


def test_pictures_without_pillow_are_png(monkeypatch: pytest.MonkeyPatch) -> None:
    image = np.random.default_rng(0).integers(0, 256, (9, 9, 4), dtype=np.uint8)
    assert images.data_uri(image).startswith("data:image/webp;base64,")
    monkeypatch.setitem(sys.modules, "PIL", None)
    kind, body = images.data_uri(image).split(",")
    assert kind == "data:image/png;base64" and base64.b64decode(body)[1:4] == b"PNG"


def test_markup_escapes_all_but_markup() -> None:
    made = tag(
        "p",
        "1 < 2 & ",
        tag("b", "x"),
        ["'", Html("<br>")],
        class_='a"b',
        data_x=0,
        hidden=True,
        id="",
    )
    assert made == '<p class="a&quot;b" data-x="0" hidden>1 &lt; 2 &amp; <b>x</b>&#x27;<br></p>'
    assert join(["<", ["&"]]) == "&lt;&amp;" and tag("br") == "<br>"


def test_the_headline_is_about_what_was_measured(rows: list[Row]) -> None:
    found = standings(rows, [runs.OURS])
    lossy = [row for row in rows if not row.lossless]
    assert headline(lossy, standings(lossy, [runs.OURS])) == (
        "occupancy.1 needs 25.0 % fewer bits than gpcc at equal quality."
    )
    worse = [replace(r, bpp=r.bpp * (2 if r.codec == runs.OURS else 1)) for r in rows]
    assert headline(worse, found).startswith("gpcc makes the smallest lossless files: 33.3 %")
    equal = [replace(row, bpp=3.0) for row in rows]
    assert "equally small" in headline(equal, found)
    assert headline([], []) == "Nothing on 0 files."
    own = [replace(row, codec="plain.1") for row in rows if row.codec == runs.OURS and row.lossless]
    both = [*own, *(row for row in rows if row.codec == runs.OURS or not row.lossless)]
    assert "fewer bits" in headline(both, standings(both, [runs.OURS, "plain.1"]))
    assert lossless_rates(rows, "points") == {
        runs.OURS: pytest.approx(6.0),
        runs.PEER: pytest.approx(8.0),
    }
    assert lossless_rates(rows, "volume") == {}
    modes = [  # of one program: octree for one file, angular for the other
        replace(r, codec=f"{runs.PEER}-{r.file[:3]}") if r.codec == runs.PEER else r for r in rows
    ]
    assert lossless_rates(modes, "points") == lossless_rates(rows, "points")


@pytest.mark.parametrize(
    ("suffix", "start"), [(".png", b"\x89PNG"), (".pdf", b"%PDF"), (".svg", b"<?xml")]
)
def test_plots_for_papers(suffix: str, start: bytes, rows: list[Row], tmp_path: Path) -> None:
    for name in ("a", "b"):
        plot(rows, tmp_path / f"{name}{suffix}")
    first, second = (tmp_path / f"{name}{suffix}" for name in ("a", "b"))
    assert first.read_bytes().startswith(start)
    assert first.read_bytes() == second.read_bytes()
    if suffix == ".svg":
        text = first.read_text("utf-8")
        for word in (runs.OURS, runs.PEER, runs.SCAN, runs.BALL, "D1, dB", "bits per input point"):
            assert word in text


def test_plots_that_cannot_be_made(
    rows: list[Row], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(OutputError, match=r"\.png, \.pdf, \.svg"):
        plot(rows, tmp_path / "a.gif")
    with pytest.raises(InputError, match="every row is lossless"):
        plot([row for row in rows if row.lossless], tmp_path / "a.png")
    with pytest.raises(OutputError, match="cannot write"):
        plot(rows, tmp_path / "missing" / "a.png")
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(UnsupportedError, match=r"pcc-cli\[report\]"):
        plot(rows, tmp_path / "a.png")


def test_a_mesh_and_its_errors_are_shown(rows: list[Row], folder: Path) -> None:
    ball = [row for row in rows if row.file == runs.BALL and not row.lossless][:1]
    (shown,) = exhibits.exhibits(ball, folder)
    turned = shown.turned
    assert shown.top > 0 and turned
    assert turned.original["count"] > len(runs.ball())  # all over its faces
    assert unpacked(turned.reconstruction)[2].max() > 100
    assert isinstance(runs.ball(), Mesh)


def test_slices_of_a_volume_and_of_its_errors_are_shown(tmp_path: Path) -> None:
    rows = runs.made(tmp_path / "r", (runs.BLOBS,))
    found = Page(write_report(rows, tmp_path / "r"))
    images = [attributes for name, attributes in found.tags if name == "img"]
    assert len(images) == 3 * 4 and all(str(one["src"]).startswith("data:") for one in images)
    assert "slices z = 12 above, y = 10 and x = 16 below" in found.text
    assert "difference of samples" in found.text
    assert "Bits per sample" in found.text and "Max error" in found.text
    assert "neurcomp.1 makes the smallest lossless files: 25.0 % smaller than sperr." in found.text
    assert not [a for _, a in found.tags if a.get("id") in ("stage", "turn")]
    assert all("camera" not in look for look in found.data["exhibits"])
    assert {row["noun"] for row in found.data["rows"]} == {"sample"}


def test_a_plate_shows_samples_in_their_proportions() -> None:
    values = np.zeros((10, 20, 40), np.float32)
    values[5:, :, 20:] = 1.0
    image = plate(middle(values)._replace(spacing=(1.0, 1.0, 2.0)), 160, (0.0, 1.0))
    assert image.shape == (80 + 16 + 48, 160, 4)  # 40 x 20, below 40 + 20 wide and 20 high
    assert image[40, 20, 0] < 30 and image[40, 140, 0] > 200  # z = 5 is bright where x is large
    lower = image[96:]
    assert lower[10, 80, 0] > 200 > 30 > lower[40, 80, 0]  # across y: z runs upwards
    assert image[..., 3].min() == 0 and set(np.unique(image[..., 3])) == {0, 255}


def test_errors_of_slices() -> None:
    values = np.arange(60, dtype=np.float32).reshape(3, 4, 5)
    other = values + 2
    other[1, 2, 3] = np.nan
    found = middle(values).difference(middle(other))
    assert set(found.samples()) == {0.0, 2.0} and found.across_z[2, 3] == 0.0
    time = Volume(np.stack([values, other])[..., None], "tzyxc", (3.0, 2.0, 1.0))
    assert np.array_equal(middle_of(time).across_x, values[::-1, :, 2])
    assert middle_of(time).spacing == (3.0, 2.0, 1.0)
    assert not middle(values).fits(middle(values[:, 1:]))


def test_lossy_colours_have_a_curve_and_an_error_map(tmp_path: Path) -> None:
    original = runs.scan()
    case = Case("scan.ply", "0" * 64, original, original)
    exact = dict.fromkeys(("d1_psnr_db", "d2_psnr_db"), math.inf)
    first = pictures.keep_original(tmp_path, case)
    rows = []
    for codec, cost in ((runs.OURS, 1.0), ("plain.1", 1.5)):
        for step in (8, 32, 64):
            colours = {n: column // step * step for n, column in original.attributes.items()}
            kept = pictures.keep_decoded(
                tmp_path, case, codec, f"{step}", PointCloud(original.points, colours)
            )
            row = Row("scan.ply", "0" * 64, "points", len(original), codec, setting=f"{step}",
                      bpp=cost * 20 / step, metrics={**exact, "y_psnr_db": 60 - step / 4},
                      original=first, reconstruction=kept)  # fmt: skip
            rows.append(row)
    found = Page(write_report(rows, tmp_path))
    assert found.data["curved"] == ["scan.ply"]
    assert "Y BD-rate" in found.text and "+50.0 %" in found.text
    assert [a["id"] for _, a in found.tags if str(a.get("id")).startswith("plot-y")] == [
        "plot-y_psnr_db"
    ]
    assert "difference of colours, of 255" in found.text
    plot(rows, tmp_path / "y.svg")
    assert "Y, dB" in (tmp_path / "y.svg").read_text("utf-8")


def test_a_run_keeps_each_original_that_its_rows_were_compared_with(tmp_path: Path) -> None:
    cloud = runs.scan()
    voxels = np.rint(cloud.points / np.float32(0.02)).astype(np.int64)
    low = voxels.min(axis=0)
    cases = [
        Case("scan.ply", "0" * 64, PointCloud(voxels - low), cloud, (0.02,) * 3, tuple(corner))
        for corner in (low.tolist(), (0, 0, 0))
    ]
    names = [pictures.keep_original(tmp_path, case) for case in cases]
    assert names[0] != names[1] == pictures.keep_original(tmp_path, cases[1])
    first, second = (pictures.read(tmp_path / name) for name in names)
    assert isinstance(first, PointCloud) and isinstance(second, PointCloud)
    shift = second.points - first.points
    assert np.allclose(shift, -0.02 * low, atol=1e-4)


def test_slices_that_are_none_are_refused(tmp_path: Path) -> None:
    rows = runs.made(tmp_path, (runs.BLOBS,))
    kept = tmp_path / rows[1].reconstruction
    kept.write_bytes(kept.read_bytes()[:200])
    with pytest.raises(InputError, match="no slices"):
        pictures.read(kept)
    assert exhibits.exhibits(rows[1:2], tmp_path) == []
