"""From a video and a sound to a talking video in one line; the second time only the rendering is done."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from d3talker.cli import main
from d3talker.method.config import MINI, PRESETS
from d3talker.people.media.mark import read_mark
from d3talker.people.media.video import VideoWriter, probe, read_audio, read_frames, write_wav
from eval import speak

TINY = replace(
    MINI, device="cpu", gaussians=replace(MINI.gaussians, face_points=600, mouth_points=100, max_points=900),
    schedule=replace(MINI.schedule, face=40, mouth=20, fuse=10, warmup=10), refiner=replace(MINI.refiner, steps=6),
)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PRESETS, "mini", TINY)
    monkeypatch.setitem(speak.SIZES, "mini", 64)


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("espeakng_loader", reason="the clip is made with espeak-ng; install the extra 'synth'")
    pytest.importorskip("dlib", reason="prepare needs dlib; install the extra 'landmarks'")
    from d3talker.people.synthetic.subjects import make_subject

    return make_subject(tmp_path_factory.mktemp("speak") / "actor", seed=5, seconds=4.0, size=160) / "actor.mp4"


def test_video_and_sound_in_talking_video_out(video: Path, small: None, tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    tone = 0.2 * np.sin(np.arange(48000) / 8).astype(np.float32) * (np.arange(48000) % 12000 > 4000)
    write_wav("new.wav", tone, 48000)
    command = ["speak", str(video), "--audio", "new.wav", "--out", "talk.mp4", "--preset", "mini", "--budget", "2"]
    assert main(command) == 0
    said = capsys.readouterr().err
    assert "talk.mp4 will be 64x64, in about" in said and said.index("consent") < said.index("1 of 3: prepare the video")
    info, mark = probe("talk.mp4"), read_mark("talk.mp4")
    assert (info.width, info.codec, info.has_audio, len(list(read_frames("talk.mp4")))) == (64, "h264", True, 25)
    assert mark is not None and mark.synthetic
    heard = read_audio("talk.mp4", 48000)[:48000]
    assert np.corrcoef(np.abs(heard), np.abs(tone[:len(heard)]))[0, 1] > 0.8

    kept = {path: path.stat().st_mtime_ns for path in Path("speak/actor").rglob("*") if path.is_file()}
    write_wav("other.wav", tone[:24000], 48000)
    assert main([*command[:3], "other.wav", "--out", "talk.mp4", *command[6:]]) == 0  # over what d3talker made
    assert "prepare the video: done before; learn the head: done before" in capsys.readouterr().err
    assert {path: path.stat().st_mtime_ns for path in Path("speak/actor").rglob("*") if path.is_file()} == kept and kept
    assert len(list(read_frames("talk.mp4"))) == 12


def test_nothing_is_begun_with_wrong_words_and_no_file_is_lost(tmp_path: Path, small: None, capsys, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    with VideoWriter("in.mp4", codec="h264", audio=np.zeros(1280, np.float32)) as writer:
        for _ in range(2):
            writer.write(np.zeros((32, 32, 3), np.uint8))
    before = Path("in.mp4").read_bytes()
    for words, told in (
        (["none.mp4", "--audio", "in.mp4", "--out", "a.mp4"], "none.mp4 does not exist"),
        (["in.mp4", "--audio", "none.wav", "--out", "a.mp4"], "none.wav does not exist"),
        (["in.mp4", "--audio", "in.mp4", "--out", "a.avi"], "ends with .mp4"),
        (["in.mp4", "--audio", "in.mp4", "--out", "in.mp4"], "was not made by d3talker"),
        (["in.mp4", "--audio", "in.mp4", "--out", "a.mp4", "--budget", "0"], "give at least 2 s"),
    ):
        assert main(["speak", *words]) == 2
        assert told in capsys.readouterr().err and not Path("speak").exists()
    assert Path("in.mp4").read_bytes() == before
