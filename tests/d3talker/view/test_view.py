"""The views in headless Chromium: something is drawn, sound moves it in time, sliders and boxes change it, only loopback answers."""

from __future__ import annotations

import http.client
import io
import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import numpy as np
import pytest
import torch
from browser import FLAGS, Browser, open_browser
from PIL import Image

from d3talker import cli
from d3talker.export.splats import of_frame
from d3talker.graphics.options import REGIONS
from d3talker.learning.rendering import driven
from d3talker.method.adapt import train_identity
from d3talker.method.synthesis import TrainedTalker
from d3talker.people.subject.layout import Subject
from d3talker.view.command import open_view
from d3talker.view.options import ViewConfig
from d3talker.view.scene import pose
from d3talker.view.state import Controls, Speaking

from ..method.test_adapt import TINY

DRAWS = (  # WebGL in software, and the loopback alone
    *(flag for flag in FLAGS if not flag.startswith(("--disable-gpu", "--host-resolver-rules"))), "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)


@pytest.fixture(scope="module")
def trained(person: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    subject, out = Subject(person), tmp_path_factory.mktemp("run") / "run"
    train_identity(TINY, subject, subject.frames("train")[:20], out, 1)
    return out


@pytest.fixture(scope="module")
def speaking(trained: Path, person: Path) -> Speaking:
    talker, subject = TrainedTalker(trained, "cpu"), Subject(person)
    return Speaking(talker, subject, driven(talker, subject, subject.frames("val"), None))


@pytest.fixture
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    window = open_browser(tmp_path_factory.mktemp("profile"), DRAWS)
    window.call("Emulation.setDeviceMetricsOverride", width=1280, height=800, deviceScaleFactor=1, mobile=False)
    yield window
    window.close()


def drawn(window: Browser, box: tuple[int, int, int, int]) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(window.screenshot())).convert("RGB").crop(box), np.int32)


def wait_for_picture(window: Browser, box: tuple[int, int, int, int], seconds: float = 120) -> np.ndarray:
    """Pixels of a part of the window, once it is no longer of one colour."""
    end = time.monotonic() + seconds
    while True:
        pixels = drawn(window, box)
        if pixels.std(axis=(0, 1)).max() > 8:
            return pixels
        assert time.monotonic() < end, "nothing was drawn"
        time.sleep(0.5)


def test_the_controls_do_what_they_say(speaking: Speaking) -> None:
    plain = speaking.gaussians(3, Controls())
    exact = of_frame(speaking.trained, speaking.shot.signals, 3)
    assert plain is not None and torch.equal(plain.means, torch.cat([exact[region].means for region in REGIONS]))
    static = torch.cat([speaking.trained.talker.gaussians(region).means for region in REGIONS])
    still = speaking.gaussians(3, Controls(dict.fromkeys(speaking.parts, 0.0)))
    assert torch.equal(still.means, static) and not torch.equal(plain.means, static)
    twice = speaking.gaussians(3, Controls(dict.fromkeys(speaking.parts, 2.0)))
    torch.testing.assert_close(twice.means - static, 2 * (plain.means - static), atol=1e-6, rtol=1e-4)
    face = speaking.gaussians(3, Controls(shown=("face",)))
    assert len(face.means) == len(exact["face"].means) and speaking.gaussians(3, Controls(shown=())) is None
    assert "jaw_open" in speaking.steerable
    open_mouth = speaking.gaussians(3, Controls(added={"jaw_open": 0.8}))
    assert not torch.equal(open_mouth.means, plain.means)
    assert torch.equal(speaking.gaussians(3, Controls(added={"jaw_open": 0.0})).means, plain.means)
    frame = speaking.shot.frames[3]
    np.testing.assert_array_equal(speaking.truth(3), speaking.subject.gt(frame.img_id))
    assert (speaking.picture(3, Controls()) != speaking.picture(3, Controls(added={"jaw_open": 0.8}))).any()


def test_a_camera_in_the_viewers_terms_sees_the_same(speaking: Speaking) -> None:
    from scipy.spatial.transform import Rotation

    viewmat = Subject.viewmats([speaking.shot.frames[0]])[0]
    wxyz, position = pose(viewmat)
    turn = Rotation.from_quat(np.roll(wxyz, -1)).as_matrix()
    np.testing.assert_allclose(turn.T, viewmat[:3, :3], atol=1e-9)
    np.testing.assert_allclose(-turn.T @ position, viewmat[:3, 3], atol=1e-9)


def test_a_head_is_drawn_and_moves_with_its_sound(trained: Path, person: Path, browser: Browser) -> None:
    pytest.importorskip("viser")
    with open_view(ViewConfig(trained, person, port=0, device="cpu")) as (url, view):
        assert url.startswith("http://127.0.0.1:") and view.server.get_host() == "127.0.0.1"
        browser.visit(url)
        browser.wait("typeof facts === 'object' && facts && document.getElementById('picture').naturalWidth === 64", 60)
        head = wait_for_picture(browser, (50, 100, 650, 700))
        assert browser.js("document.getElementById('truth').naturalWidth") == 64
        browser.wait("sound.readyState >= 3", 30)
        browser.js("sound.currentTime = 0.2")
        browser.wait("shown === 5", 20)
        end = time.monotonic() + 20
        while view.drawn != 5:
            assert time.monotonic() < end
            time.sleep(0.05)
        browser.js("sound.play()")
        browser.wait("sound.ended", 60)
        last = len(view.speaking) - 1
        browser.wait(f"shown >= {last - 2}", 20)
        view.boxes["face"].value = view.boxes["mouth"].value = False
        view._changed()
        end = time.monotonic() + 60
        while drawn(browser, (50, 200, 650, 700)).std(axis=(0, 1)).max() > 8:  # nothing is left of the head
            assert time.monotonic() < end
            time.sleep(0.5)
        assert head.std(axis=(0, 1)).max() > 8
        asked = [text for text in browser.problems if text.startswith("asks for") and "//127.0.0.1:" not in text]
        assert asked == []  # nothing is fetched from elsewhere


def test_a_subjects_tracking_is_drawn(person: Path, browser: Browser) -> None:
    pytest.importorskip("viser")
    with open_view(ViewConfig(person, port=0)) as (url, view):
        browser.visit(url)
        wait_for_picture(browser, (50, 100, 800, 700))
        error = view.error(0)
        assert error is not None and error < 1.5  # px of 64: a synthetic person is fitted exactly but for the detector
        assert f"fit {error:.2f} px" in view.told.content and "training" in view.told.content
        view.at.value = len(view.frames) - 1
        view.show()
        assert "test" in view.told.content


def test_only_its_own_names_are_answered(trained: Path, person: Path) -> None:
    pytest.importorskip("viser")
    with open_view(ViewConfig(trained, person, port=0, device="cpu")) as (url, _):
        port = int(url.rsplit(":", 1)[1].strip("/"))
        for host, status in (("evil.example", 403), ("localhost", 200)):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
            connection.request("GET", "/facts", headers={"Host": host})
            assert connection.getresponse().status == status
        with urlopen(f"{url}facts") as answer:
            assert json.load(answer)["frames"] > 10
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            assert cli.main(["view", str(person), "--port", str(taken.getsockname()[1])]) == 2


def test_wrong_folders_are_refused(trained: Path, other_person: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    pytest.importorskip("viser")
    assert cli.main(["view", str(tmp_path)]) == 2 and "neither a finished training of D³-Talker nor a subject" in capsys.readouterr().err
    assert cli.main(["view", str(trained)]) == 2 and "--subject is missing" in capsys.readouterr().err
    assert cli.main(["view", str(trained), "--subject", str(other_person)]) == 2
    assert "was trained on other data" in capsys.readouterr().err
