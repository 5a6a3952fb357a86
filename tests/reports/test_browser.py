"""The page in a headless Chromium: no errors, sorts, plays in sync, fits a phone, changes between light and dark."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from reports.report import ReportConfig, run

LOCAL = ("file:", "data:", "about:")
NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
FLAGS = (
    "--headless=new", "--disable-gpu", "--no-first-run", "--hide-scrollbars", "--remote-debugging-pipe",
    "--autoplay-policy=no-user-gesture-required", "--mute-audio", "--disable-background-networking",
    "--disable-component-update", "--host-resolver-rules=MAP * ~NOTFOUND",
)


class Browser:
    """A page driven through Chromium's debugging pipe (fd 3 in, fd 4 out, messages end with NUL); no library needed."""

    def __init__(self, binary: str, profile: Path) -> None:
        theirs_in, self._out = os.pipe()
        self._in, theirs_out = os.pipe()
        # Copies above 9: the child overwrites 3 and 4.
        ends = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in (theirs_in, theirs_out)]
        sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
        self._process = subprocess.Popen(
            [binary, *FLAGS, f"--user-data-dir={profile}", *sandbox, "about:blank"], close_fds=False,
            preexec_fn=lambda: [os.dup2(end, place) for place, end in zip((3, 4), ends)], stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
        for end in ends:
            os.close(end)
        os.close(theirs_in)
        os.close(theirs_out)
        self._buffer, self._count, self._session = b"", 0, None
        self.problems: list[str] = []
        target = next(t for t in self.call("Target.getTargets")["targetInfos"] if t["type"] == "page")
        self._session = self.call("Target.attachToTarget", targetId=target["targetId"], flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Send a command and wait for its answer, noting errors that the page reports meanwhile."""
        self._count += 1
        message = {"id": self._count, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._read()
            if answer.get("id") == self._count:
                assert "error" not in answer, answer
                return answer["result"]

    def _read(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            block = os.read(self._in, 1 << 16)
            assert block, "the browser has ended"
            self._buffer += block
        line, self._buffer = self._buffer.split(b"\0", 1)
        event = json.loads(line)
        kind, params = event.get("method"), event.get("params", {})
        if kind == "Runtime.exceptionThrown":
            self.problems.append(str(params["exceptionDetails"]))
        if kind == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning", "assert"):
            self.problems.append(str(params["args"]))
        if kind == "Log.entryAdded" and params["entry"]["level"] in ("error", "warning"):
            self.problems.append(str(params["entry"]))
        if kind == "Network.requestWillBeSent" and not params["request"]["url"].startswith(LOCAL):
            self.problems.append(f"asks for {params['request']['url']}")
        return event

    def js(self, code: str) -> Any:
        """The value of an expression, promises awaited."""
        answer = self.call(
            "Runtime.evaluate", expression=code, awaitPromise=True, returnByValue=True, userGesture=True
        )
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def open(self, page: Path) -> None:
        """Load a page and wait until it is complete."""
        self.call("Page.navigate", url=page.resolve().as_uri())
        self.wait(f"document.readyState === 'complete' && location.pathname.endsWith({json.dumps(page.name)})")

    def wait(self, condition: str, seconds: float = 20) -> None:
        """Wait until an expression is true."""
        end = time.monotonic() + seconds
        while not self.js(condition):
            assert time.monotonic() < end, f"never true: {condition}"
            time.sleep(0.05)

    def screenshot(self) -> bytes:
        """PNG of what is seen."""
        return base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"])

    def close(self) -> None:
        """End the browser."""
        self._process.terminate()
        self._process.wait(10)
        os.close(self._in)
        os.close(self._out)


@pytest.fixture(scope="module")
def report(tmp_path_factory, make_results) -> Path:
    folder = tmp_path_factory.mktemp("browser")
    maker = make_results(folder / "results")
    for shift, method in ((0.0, "d3talker"), (0.5, "instag"), (-0.5, "my-method")):
        maker.record(method, shift=shift, clips=True)
        maker.record(method, "ben", shift=shift)
    run(ReportConfig(maker.root, folder / "report"))
    return folder / "report"


@pytest.fixture(scope="module")
def browser(tmp_path_factory) -> Iterator[Browser]:
    binary = next(filter(None, map(shutil.which, NAMES)), None)
    if binary is None:
        pytest.skip(f"no browser is installed (looked for {', '.join(NAMES)})")
    window = Browser(binary, tmp_path_factory.mktemp("profile"))
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
