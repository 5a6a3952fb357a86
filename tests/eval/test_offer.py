"""Weights are offered once, before any work, and nothing waits for an answer, a network or a file that does not come."""

from __future__ import annotations

import os
import pty
import time
from pathlib import Path

import pytest

from eval import offer
from eval.offer import missing_weights, provide


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine without weights, and no memory of having asked."""
    for name in ("D3TALKER_WEIGHTS", "D3TALKER_OFFLINE", "TORCH_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    offer._provide.cache_clear()


def test_what_is_lacking_is_named_by_metric() -> None:
    lacking = missing_weights(("psnr", "lpips_alex", "lpips_alex_mouth", "sync_c", "sync_d_official"), None)
    assert lacking == {
        "alexnet": ["LPIPS (AlexNet)", "LPIPS (AlexNet) (mouth box)"], "syncnet": ["Sync-C", "Sync-D (official)"],
        "s3fd": ["Sync-D (official)"],
    }
    assert missing_weights(("psnr", "lmd_dlib", "avc_r"), None) == {}


def test_without_a_terminal_it_goes_on_at_once_and_says_what_to_do(monkeypatch, capsys) -> None:
    monkeypatch.setattr(offer, "reachable", lambda url: pytest.fail("nobody is there to answer, so no host is asked"))
    provide(("lpips_alex", "sync_c"))
    provide(("lpips_alex", "sync_c"))
    said = capsys.readouterr().err
    assert said.count("going on without; to have them: d3talker weights fetch alexnet syncnet") == 1
    assert 'without alexnet-owt-7be5be79.pth (244 MB) there is "-" for LPIPS (AlexNet)' in said


def test_download_fetches_all_and_goes_on_without_what_fails(monkeypatch, capsys) -> None:
    asked = []

    def fetch_all(names: list[str]) -> dict[str, str]:
        asked.append(names)
        return {"syncnet": "404"}

    monkeypatch.setattr(offer, "fetch_all", fetch_all)
    provide(("lpips_alex", "sync_c"), None, True)
    assert asked == [["alexnet", "syncnet"]] and "going on without syncnet" in capsys.readouterr().err


@pytest.mark.parametrize(("typed", "answered", "fetched"), [
    (b"y\n", True, True), (b"n\n", True, False), (b"", True, False), (b"y\n", False, False),
])
def test_at_a_terminal_it_asks_once_and_waits_for_seconds(monkeypatch, capsys, typed, answered, fetched) -> None:
    main, side = pty.openpty()
    asked = []
    monkeypatch.setattr(offer, "fetch_all", lambda names: asked.append(names) or {})
    monkeypatch.setattr(offer, "reachable", lambda url: answered)
    monkeypatch.setattr(offer, "ANSWER_SECONDS", 0.2)
    with os.fdopen(side, "r") as terminal:
        monkeypatch.setattr("sys.stdin", terminal)
        monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
        os.write(main, typed)
        began = time.monotonic()
        provide(("lpips_alex",))
        assert time.monotonic() - began < 2 and bool(asked) == fetched
    os.close(main)
    said = capsys.readouterr().err
    assert ("fetch them now (244 MB" in said) == answered and ("no network answers" in said) != answered
