"""Sync-C and Sync-D as `score` gives them, with random SyncNet weights and a stand-in for the official pipeline."""

from __future__ import annotations

import shutil
import tempfile
import types

import numpy as np
import pytest
import torch
from skimage import data

from d3talker.people.media.video import read_audio, read_frames
from eval.metrics import sync, sync_official
from eval.metrics.score import score
from eval.metrics.syncnet import SyncNet

FACE = np.ascontiguousarray(data.astronaut()[0:240, 100:340])
SOUND = np.random.default_rng(0).normal(0, 0.1, 12 * 640).astype(np.float32)
NAMES = ("sync_c", "sync_d")


@pytest.fixture
def random_syncnet(monkeypatch):
    pytest.importorskip("dlib")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = SyncNet().eval()
    monkeypatch.setattr(sync, "load_syncnet", lambda *args, **kwargs: network)


def test_frames_mode_gives_scores_with_all_that_stands_beside_them(random_syncnet):
    results = score([FACE] * 12, None, NAMES, audio=SOUND)
    c, d = results["sync_c"], results["sync_d"]
    assert c.value >= 0 and d.value > 0
    assert {name: c.extra[name] for name in d.extra} == d.extra
    assert c.extra["windows"] == 7 and c.extra["detected"] == 1 and -15 <= c.extra["offset"] <= 15
    assert c.extra["under_official_length"] is True and len(c.extra["weights_sha256"]) == 64


@pytest.mark.parametrize(("frames", "reason"), [([FACE] * 5, "too short"), ([np.zeros_like(FACE)] * 6, "show a face")])
def test_what_cannot_be_scored_says_why(random_syncnet, frames, reason):
    results = score(frames, None, NAMES, audio=SOUND)
    assert all(result.value is None and reason in result.reason for result in results.values())


def test_silence_and_gaps_are_scored_like_any_other_clip(random_syncnet):
    silent = score([FACE] * 12, None, NAMES, audio=np.zeros_like(SOUND))
    assert silent["sync_d"].value > 0 and silent["sync_c"].value >= 0
    holed = score([*[FACE] * 7, *[np.zeros_like(FACE)] * 2, *[FACE] * 3], None, NAMES, audio=SOUND)
    assert holed["sync_d"].value > 0 and holed["sync_d"].extra["detected"] == pytest.approx(10 / 12)


def test_missing_weights_sound_and_package_are_reasons_not_errors(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("D3TALKER_WEIGHTS", raising=False)
    monkeypatch.delenv("TORCH_HOME", raising=False)
    assert "syncnet_v2.model" in score([FACE], None, ["sync_c"], audio=SOUND)["sync_c"].reason
    assert "no sound" in score([FACE], None, ["sync_c"])["sync_c"].reason
    monkeypatch.setattr(sync_official.shutil, "which", lambda name: None)
    pytest.importorskip("syncnet_python")
    assert "ffmpeg" in score([FACE], None, ["sync_c_official"], audio=SOUND)["sync_c_official"].reason


def test_official_mode_hands_lossless_frames_to_the_package(monkeypatch):
    seen = {}

    class Pipeline:
        tracks = ([2, 3], [4.0, 6.0], [9.0, 8.0])

        def __init__(self, weights, device, min_track):
            seen.update(weights=weights, min_track=min_track)
            embed = lambda windows: torch.ones(9, 1024) * windows  # noqa: E731
            network = types.SimpleNamespace(forward_lip=embed, forward_aud=embed)
            self.syncnet = types.SimpleNamespace(__S__=network, evaluate=self.evaluate)

        def evaluate(self, opt):
            self.syncnet.__S__.forward_lip(opt)
            self.syncnet.__S__.forward_aud(opt)

        def inference(self, video, audio):
            seen.update(frames=list(read_frames(video)), sound=read_audio(audio))
            for track in range(len(self.tracks[0])):
                self.syncnet.evaluate(opt=track)
            return (*self.tracks, 6.0, 8.0, "", True)

    monkeypatch.setattr(sync_official, "require", lambda *_: types.SimpleNamespace(SyncNetPipeline=Pipeline))
    monkeypatch.setattr(sync_official.shutil, "which", lambda name: "ffmpeg")
    monkeypatch.setattr(sync_official, "find_weights", lambda name, *_, **__: f"{name}.file")
    names = ("sync_c_official", "sync_d_official")
    results = score([FACE] * 3, None, names, audio=SOUND)
    assert (results["sync_c_official"].value, results["sync_d_official"].value) == (6.0, 8.0)
    assert results["sync_c_official"].extra["offset"] == 3 and results["sync_c_official"].extra["tracks"] == 2
    assert results["sync_d_official"].extra["windows"] == 9
    assert all(np.array_equal(frame, FACE) for frame in seen["frames"]) and len(seen["frames"]) == 3
    np.testing.assert_allclose(seen["sound"], SOUND, atol=1e-4)
    assert seen["min_track"] == 100 and seen["weights"]["syncnet_weights"] == "syncnet.file"
    monkeypatch.setattr(Pipeline, "tracks", ([], [], []))
    assert "no face track" in score([FACE], None, names, audio=SOUND)["sync_d_official"].reason


@pytest.fixture
def random_weights(monkeypatch, tmp_path):
    """Seeded random networks in files of the published names."""
    pytest.importorskip("syncnet_python")
    from syncnet_python.detectors.s3fd.nets import S3FDNet

    files = {"s3fd": tmp_path / "s3fd.pth", "syncnet": tmp_path / "syncnet.model"}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        torch.save(S3FDNet(device="cpu").state_dict(), files["s3fd"])
        torch.save(SyncNet().state_dict(), files["syncnet"])
    monkeypatch.setattr(sync_official, "find_weights", lambda name, *_, **__: files[name])
    return files


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="the official pipeline calls ffmpeg")
@pytest.mark.filterwarnings("ignore:kernel_size exceeds")  # the clip is shorter than the package's median filters
def test_the_real_package_goes_the_whole_way(monkeypatch, random_weights, tmp_path, capfd):
    """All of it but the weights: ffmpeg, tracking, crops, SyncNet; the face detector alone is a stand-in."""
    from syncnet_python import syncnet_pipeline

    faces = [np.array([[40.0, 30.0, 190.0, 200.0, 0.99]])]
    monkeypatch.setattr(syncnet_pipeline.S3FD, "detect_faces", lambda *_, **__: faces[0])
    monkeypatch.setattr(sync_official, "MIN_TRACK", 10)
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    clip = [np.roll(FACE, shift, axis=1) for shift in (0, 1, 2, 3, 2, 1) * 2]
    names = ("sync_c_official", "sync_d_official")
    results = score(clip, None, names, audio=SOUND)
    c, d = (results[name] for name in names)
    assert c.value >= 0 and d.value > 0
    assert {name: c.extra[name] for name in d.extra} == d.extra
    assert c.extra["tracks"] == 1 and c.extra["windows"] == len(clip) - 5 and -15 <= c.extra["offset"] <= 15
    assert d.interval is None or d.interval[0] <= d.value <= d.interval[1]
    faces[0] = np.empty((0, 5))
    assert "no face track" in score(clip, None, names, audio=SOUND)["sync_c_official"].reason
    faces[0] = np.array([[500.0, 500.0, 700.0, 700.0, 0.99]])  # outside of the frame
    assert "failed" in score(clip, None, names, audio=SOUND)["sync_c_official"].reason
    assert "ffmpeg" not in capfd.readouterr().err and not list((tmp_path / "temporary").iterdir())


def test_the_real_package_takes_our_options_and_its_failures_are_reasons(monkeypatch, random_weights):
    package = pytest.importorskip("syncnet_python")
    made = []

    class Watched(package.SyncNetPipeline):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            made.append(self.cfg)

        def inference(self, *args, **kwargs):
            raise RuntimeError("no frames were extracted")

    monkeypatch.setattr(package, "SyncNetPipeline", Watched)
    monkeypatch.setattr(sync_official.shutil, "which", lambda name: "ffmpeg")
    result = score([FACE], None, ["sync_c_official"], audio=SOUND)["sync_c_official"]
    assert result.value is None and "no frames were extracted" in result.reason
    config = made[0]
    assert (config.min_track, config.vshift, config.crop_scale) == (100, 15, 0.4)
    assert config.s3fd_weights == str(random_weights["s3fd"])
