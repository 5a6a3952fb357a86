"""The page in a headless Chromium: no errors, sorts, plays in sync, fits a phone, changes between light and dark."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import Browser, open_browser

from eval.metrics.result import MetricResult
from reports.report import ReportConfig, run

from .conftest import default_metrics

OURS = ("avc_r", "aperture_r", "aperture_ratio", "closure_recall")


@pytest.fixture(scope="module")
def report(tmp_path_factory, make_results) -> Path:
    folder = tmp_path_factory.mktemp("browser")
    maker = make_results(folder / "results")
    for shift, method in ((0.0, "d3talker"), (0.5, "instag"), (-0.5, "my-method")):
        for subject, clips in (("anna", True), ("ben", False)):
            more = {name: MetricResult(value=0.5 + 0.1 * shift, interval=(0.3, 0.7)) for name in OURS}
            maker.record(method, subject, shift=shift, clips=clips, metrics=default_metrics(shift) | more)
    run(ReportConfig(maker.root, folder / "report"))
    return folder / "report"


@pytest.fixture(scope="module")
def browser(tmp_path_factory) -> Iterator[Browser]:
    window = open_browser(tmp_path_factory.mktemp("profile"))
    yield window
    window.close()


def test_pages_load_without_errors(browser, report):
    pages = [report / "index.html", next((report / "records").glob("*.html")), next((report / "traces").glob("*.html"))]
    for page in pages:
        browser.open(page)
        assert browser.js("document.querySelector('h1').textContent.length") > 3
        assert browser.js("[...document.images].every(i => i.loading === 'lazy' || i.naturalWidth > 0)")
    browser.open(pages[0])
    browser.js("document.querySelector('.frames').scrollIntoView()")
    browser.wait("[...document.querySelector('.frames').querySelectorAll('img')].every(i => i.naturalWidth === 32)")
    assert browser.problems == []


def test_tables_sort_and_what_is_missing_stays_below(browser, report):
    browser.open(report / "index.html")
    column = "[...document.querySelectorAll('#table1 table')[0].tBodies[0].rows].map(r => r.cells[2].dataset.value)"
    button = "document.querySelectorAll('#table1 table')[0].tHead.rows[1].cells[2].querySelector('button')"
    before = browser.js(column)
    browser.js(f"{button}.click()")
    up = browser.js(column)
    known = [float(value) for value in up if value]
    assert known == sorted(known) and sorted(up) == sorted(before) and up != before
    assert browser.js(f"{button}.parentElement.getAttribute('aria-sort')") == "ascending"
    browser.js(f"{button}.click()")
    down = browser.js(column)
    assert [float(value) for value in down if value] == known[::-1]
    assert "" in down and all(value == "" for value in down[len(known):])
    assert browser.problems == []


def test_a_desk_shows_the_papers_columns_without_scrolling_and_the_reader_chooses(browser, report):
    size = {"width": 1280, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.call("Emulation.setDeviceMetricsOverride", **size)
    browser.open(report / "index.html")
    fits = "(() => {const f = document.querySelector('#table1 .scroll'); return f.scrollWidth <= f.clientWidth})()"
    heads = "[...document.querySelector('#table1 table').tHead.rows[1].cells].filter(c => !c.hidden).map(c => c.textContent)"
    assert browser.js(fits)
    shown = browser.js(heads)
    assert [text.split()[0] for text in shown[:5]] == ["Method", "Type", "PSNR", "SSIM", "LPIPS"] and "FPS" in " ".join(shown)
    box = "document.querySelector('#table1 [data-column=closure_recall]')"
    assert browser.js(f"{box}.checked") is False and "closure" not in " ".join(shown)
    browser.js(f"{box}.click()")
    assert browser.js(heads)[-1].startswith("Lip closure recall")
    widths = "[...document.querySelectorAll('#table1 > .scroll .groups th')].filter(c => !c.hidden).map(c => c.colSpan)"
    assert sum(browser.js(widths)) == len(browser.js(heads)) - 2
    browser.open(report / "index.html")  # the choice is remembered
    assert browser.js(f"{box}.checked") is True
    browser.js("localStorage.clear()")
    assert browser.problems == []


def test_notes_take_one_line_and_open_at_their_number(browser, report):
    browser.open(report / "index.html")
    notes = "document.querySelector('#table1 > details.notes')"
    assert browser.js(f"{notes}.getBoundingClientRect().height") < 40
    mark = "[...document.querySelectorAll('#table1 td sup a')].find(a => a.title === \"SyncNet's weights are not installed\")"
    browser.js(f"{mark}.click()")
    browser.wait(f"{notes}.open")
    assert browser.problems == []


def test_videos_play_together_under_one_control(browser, report):
    browser.open(report / "index.html")
    videos = "[...document.querySelectorAll('[data-player] video')]"
    browser.wait(f"{videos}.every(v => v.readyState >= 2)")
    assert browser.js(f"{videos}.length") == 4 and browser.js(f"{videos}.filter(v => !v.muted).length") == 1
    browser.js("document.querySelector('[data-step=\"1\"]').click()")
    browser.wait(f"{videos}.every(v => Math.abs(v.currentTime - 0.04) < 1e-3 && !v.seeking)")
    browser.js("document.querySelector('[data-play]').click()")
    browser.wait(f"{videos}.every(v => v.ended)")
    browser.js("{const s = document.querySelector('[data-seek]'); s.value = 0.5; s.dispatchEvent(new Event('input'));}")
    times = browser.js(f"{videos}.map(v => v.currentTime)")
    assert len(set(times)) == 1 and 0.1 < times[0] < 0.3
    assert browser.problems == []


@pytest.mark.parametrize(("width", "height"), [(390, 844), (1280, 900)])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_light_and_dark_on_phone_and_desk(browser, report, tmp_path, width, height, theme):
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.call("Emulation.setDeviceMetricsOverride", **size)
    browser.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": theme}])
    browser.open(report / "index.html")
    assert browser.js("document.documentElement.scrollWidth <= innerWidth"), "the page must not scroll sideways"
    ground = browser.js("getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)")
    assert (min(ground[:3]) > 200) == (theme == "light") and (max(ground[:3]) < 60) == (theme == "dark")
    picture = tmp_path / "shot.png"
    picture.write_bytes(browser.screenshot())
    from PIL import Image

    assert Image.open(picture).size == (width, height) and picture.stat().st_size > 5000
    browser.js("document.querySelector('[data-theme-toggle]').click()")
    assert browser.js("document.documentElement.dataset.theme") == ("dark" if theme == "light" else "light")
    browser.js("localStorage.clear()")
    assert browser.problems == []
