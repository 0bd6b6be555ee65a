"""The page in a real browser: what it draws, how it sorts, and that it fits.

Needs Chromium and chromedriver, and fails without them: run with `pytest -m browser`.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import runs

from pcc_cli.evaluation.report.html import write_report

pytestmark = pytest.mark.browser

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-dev-shm-usage", "--hide-scrollbars",
)  # fmt: skip
SOFTWARE = ("--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader")
WIDTHS = (390, 1440)
FRAMES = "return new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
INK = """
const stage = document.getElementById("stage"), copy = document.createElement("canvas");
[copy.width, copy.height] = [stage.width, stage.height];
const pen = copy.getContext("2d");
pen.drawImage(stage, 0, 0);
const seen = pen.getImageData(0, 0, copy.width, copy.height).data, colours = new Set();
let covered = 0;
for (let i = 0; i < seen.length; i += 4)
  if (seen[i + 3] > 0) { covered++; colours.add(seen[i] << 16 | seen[i + 1] << 8 | seen[i + 2]); }
return [covered / (copy.width * copy.height), colours.size];
"""


def started(folder: Path, flags: tuple[str, ...]) -> Any:
    """A browser with an empty profile in `folder`."""
    from selenium import webdriver

    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    driver = shutil.which("chromedriver")
    if not browser or not driver:
        pytest.fail("no Chromium and chromedriver on PATH (Debian: chromium, chromium-driver)")
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for flag in (*FLAGS, *flags, f"--user-data-dir={folder}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    return webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report") / "run"
    rows = runs.made(folder, (runs.SCAN, runs.FIELD, runs.BALL, runs.HOSTILE, runs.BLOBS))
    with pytest.MonkeyPatch.context() as patch:
        runs.shrink(patch)
        return write_report(rows, folder, "pcc eval scans/ --against gpcc --report run")


@pytest.fixture(scope="module", params=["webgl", "canvas"])
def browser(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Any]:
    """With WebGL in software, and without any."""
    flags = SOFTWARE if request.param == "webgl" else ("--disable-3d-apis",)
    driver = started(tmp_path_factory.mktemp("profile"), flags)
    yield driver
    driver.quit()


@pytest.fixture
def at(browser: Any, page: Path) -> Any:
    """Opens the page at a width, light or dark; fails if the console says anything is wrong."""

    def opened(width: int = 1440, scheme: str = "light") -> Any:
        command = browser.execute_cdp_cmd
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
        command("Emulation.setDeviceMetricsOverride", size)
        feature = {"name": "prefers-color-scheme", "value": scheme}
        command("Emulation.setEmulatedMedia", {"features": [feature]})
        browser.get(page.as_uri())
        wait(browser, "return document.getElementById('stage').dataset.drawn")
        return browser

    browser.get_log("browser")
    yield opened
    assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []


def wait(browser: Any, script: str, expected: Any = None) -> Any:
    """What `script` gives as soon as it gives something, or what is expected."""
    from selenium.webdriver.support.ui import WebDriverWait

    def ready(driver: Any) -> Any:
        found = driver.execute_script(script)
        return found == expected if expected is not None else found

    return WebDriverWait(browser, 20).until(ready)


def column(browser: Any, place: int) -> list[str]:
    """The texts of a column of the table, of the rows that are shown."""
    script = """return [...document.getElementById("rows").tBodies[0].rows]
        .filter(row => !row.hidden).map(row => row.cells[arguments[0]].textContent)"""
    found: list[str] = browser.execute_script(script, place)
    return found


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_fits_and_has_the_colours_that_are_wanted(
    at: Any, width: int, scheme: str
) -> None:
    browser = at(width, scheme)
    overflow = browser.execute_script(
        """const wide = document.documentElement.clientWidth;
        const right = (one) => one.closest(".scroll") ? 0 : one.getBoundingClientRect().right;
        return [document.documentElement.scrollWidth - wide,
          [...document.querySelectorAll("main *")].filter(one => right(one) > wide + 1)
          .map(one => one.outerHTML.slice(0, 80))]"""
    )
    assert overflow == [0, []]
    paper = "return getComputedStyle(document.body).backgroundColor"
    shade = [int(part) for part in browser.execute_script(paper)[4:-1].split(",")]
    assert (sum(shade) < 150) == (scheme == "dark")
    browser.find_element("id", "theme").click()
    shade = [int(part) for part in browser.execute_script(paper)[4:-1].split(",")]
    assert (sum(shade) < 150) == (scheme == "light")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_ground(at: Any, scheme: str) -> None:
    ratios = at(1440, scheme).execute_script(
        """const pen = document.createElement("canvas").getContext("2d");
        const light = (colour) => {
          pen.fillStyle = colour; pen.fillRect(0, 0, 1, 1);
          const part = [...pen.getImageData(0, 0, 1, 1).data].slice(0, 3).map(v => v / 255)
            .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
          return 0.2126 * part[0] + 0.7152 * part[1] + 0.0722 * part[2];
        };
        const ground = (one) => {
          for (; one; one = one.parentElement) {
            const colour = getComputedStyle(one).backgroundColor;
            if (colour !== "rgba(0, 0, 0, 0)") return colour;
          }
        };
        const texts = "h1, h2, h3, p, td, th, li, dt, dd, figcaption, summary, button, label, a";
        return [...document.querySelectorAll(texts)].filter(one => one.offsetParent).map(one => {
          const [a, b] = [light(getComputedStyle(one).color), light(ground(one))].sort();
          return [(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), one.outerHTML.slice(0, 80)];
        }).filter(found => found[0] < 4.5)"""
    )
    assert ratios == []


def test_curves_are_drawn_and_say_their_values(at: Any) -> None:
    browser = at()
    for metric in ("d1_psnr_db", "d2_psnr_db"):
        spots = browser.find_elements("css selector", f"#plot-{metric} .spot")
        assert len(spots) == 8  # two codecs, three rates, and the lossless
        assert len(browser.find_elements("css selector", f"#plot-{metric} .curve")) == 2
    browser.execute_script("document.querySelector('#plot-d1_psnr_db .spot:last-of-type').focus()")
    tip = wait(browser, "return document.querySelector('.tip.on')?.textContent")
    assert "gpcc" in tip and "bits per point" in tip and "D1: " in tip
    before = browser.execute_script(
        "return document.querySelector('.curve').getAttribute('points')"
    )
    browser.find_element("id", "plot-log").click()
    after = browser.execute_script("return document.querySelector('.curve').getAttribute('points')")
    assert before != after


def test_another_file_has_other_curves(at: Any) -> None:
    browser = at()
    title = "return document.querySelector('#plot-d1_psnr_db svg').getAttribute('aria-label')"
    assert runs.SCAN in browser.execute_script(title)
    browser.execute_script(
        """const file = document.getElementById("plot-file");
        file.value = arguments[0]; file.dispatchEvent(new Event("change"))""",
        runs.HOSTILE,
    )
    assert runs.HOSTILE in browser.execute_script(title)


def test_the_shape_is_drawn_in_each_mode_and_turns(at: Any) -> None:
    browser = at()
    pictures = []
    for mode, shades in (("original", 2), ("reconstruction", 2), ("error", 20)):
        browser.find_element("css selector", f"#view-mode button[value={mode}]").click()
        wait(browser, "return document.getElementById('stage').dataset.drawn", f"0 {mode}")
        covered, colours = browser.execute_script(INK)
        assert 0.05 < covered < 0.9 and colours >= shades, mode
        pictures.append(
            browser.execute_script("return document.getElementById('stage').toDataURL()")
        )
    assert len(set(pictures)) == 3
    stage = browser.find_element("id", "stage")
    for keys, selector in (("\ue012\ue012", None), ("+++", None), ("", "#view-reset")):
        if selector:
            browser.find_element("css selector", selector).click()
        else:
            stage.send_keys(keys)  # left; nearer
        browser.execute_script(FRAMES)
        pictures.append(
            browser.execute_script("return document.getElementById('stage').toDataURL()")
        )
    assert len(set(pictures)) == 5 and pictures[-1] == pictures[2]  # reset: as before


def test_dragging_turns_the_shape(at: Any) -> None:
    from selenium.webdriver import ActionChains

    browser = at(390)
    stage = browser.find_element("id", "stage")
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", stage)
    before = browser.execute_script("return document.getElementById('stage').toDataURL()")
    ActionChains(browser).drag_and_drop_by_offset(stage, 60, 20).perform()
    browser.execute_script(FRAMES)
    assert browser.execute_script("return document.getElementById('stage').toDataURL()") != before


def test_pictures_belong_to_the_chosen_row(at: Any) -> None:
    browser = at()
    script = "return [...document.querySelectorAll('.exhibit')].filter(one => !one.hidden).length"
    assert browser.execute_script(script) == 1
    browser.execute_script(
        """const file = document.getElementById("view-file");
        file.value = arguments[0]; file.dispatchEvent(new Event("change"))""",
        runs.BALL,
    )
    shown = browser.execute_script(
        """return [...document.querySelectorAll(".exhibit")].filter(one => !one.hidden)
        .flatMap(one => [...one.querySelectorAll("img")])
        .map(one => [one.alt, one.complete && one.naturalWidth])"""
    )
    assert len(shown) == 3
    assert all(runs.BALL in alt and width > 100 for alt, width in shown)
    wait(browser, "return !document.getElementById('stage').dataset.drawn.startsWith('0 ')")
    assert browser.execute_script(INK)[0] > 0.05


def test_a_volume_has_slices_and_nothing_to_turn(at: Any) -> None:
    browser = at()
    choose = """const file = document.getElementById("view-file");
        file.value = arguments[0]; file.dispatchEvent(new Event("change"))"""
    seen = """return [document.getElementById("turn").hidden,
        ...[...document.querySelectorAll(".exhibit")].filter(one => !one.hidden)
        .flatMap(one => [...one.querySelectorAll("img")])
        .map(one => [one.alt, one.complete && one.naturalWidth])]"""
    browser.execute_script(choose, runs.BLOBS)
    hidden, *shown = wait(browser, seen)
    assert hidden and len(shown) == 3
    assert all(runs.BLOBS in alt and width == 160 for alt, width in shown)
    browser.execute_script(choose, runs.SCAN)
    assert not browser.execute_script(seen)[0]
    browser.execute_script(
        """const file = document.getElementById("plot-file");
        file.value = arguments[0]; file.dispatchEvent(new Event("change"))""",
        runs.BLOBS,
    )
    assert len(browser.find_elements("css selector", "#plot-psnr_db .spot")) == 8
    title = "return document.querySelector('#plot-psnr_db svg').getAttribute('aria-label')"
    assert browser.execute_script(title) == f"PSNR over bits per sample, {runs.BLOBS}"


def test_the_table_sorts_both_ways(at: Any) -> None:
    browser = at()
    heads = browser.find_elements("css selector", "#rows thead button")
    names = [head.text for head in heads]
    rate, file = names.index("Bits per point"), names.index("File")
    for expected in ("ascending", "descending"):
        heads[rate].click()
        values = [float(text) for text in column(browser, rate)]
        assert values == sorted(values, reverse=expected == "descending")
        mark = browser.find_elements("css selector", "#rows thead th")[rate]
        assert mark.get_attribute("aria-sort") == expected
    heads[file].click()
    assert column(browser, file) == sorted(column(browser, file), key=str.lower)


def test_the_table_filters_by_words_and_by_codec(at: Any) -> None:
    browser = at()
    everything = len(column(browser, 0))
    assert everything == 40
    field = browser.find_element("id", "filter")
    field.send_keys("ball lossless")
    assert column(browser, 0) == [runs.BALL] * 2
    browser.execute_script(
        """const codec = document.getElementById("filter-codec");
        codec.value = "gpcc"; codec.dispatchEvent(new Event("change"))"""
    )
    assert column(browser, 1) == ["gpcc"]
    assert browser.find_element("id", "shown").text == "1 of 40 rows"
    field.clear()
    field.send_keys("no such file")
    assert column(browser, 0) == []


def test_on_a_phone_rows_are_cards_that_can_be_sorted(at: Any) -> None:
    browser = at(390)
    shape = browser.execute_script(
        "return getComputedStyle(document.querySelector('#rows tr')).display"
    )
    head = browser.execute_script(
        "return getComputedStyle(document.querySelector('#rows thead')).display"
    )
    assert head == "none" and shape
    browser.execute_script(
        """const sort = document.getElementById("sort");
        sort.value = "4"; sort.dispatchEvent(new Event("change"))"""
    )
    values = [float(text) for text in column(browser, 4)]
    assert values == sorted(values)
