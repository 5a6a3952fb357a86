"""`score` as a whole: one pass, right pairing, regions, reasons for what is missing, and hostile clips."""

from __future__ import annotations

import json
import subprocess
import sys

import cv2
import numpy as np
import pytest
from skimage import data

from d3talker.errors import UserError
from eval.metrics import METRICS, MetricResult, lmd, psnr, ssim
from eval.metrics.batches import batches
from eval.metrics.registry import check_names
from eval.metrics.score import score

FACE = np.ascontiguousarray(data.astronaut()[0:240, 100:340])
BLACK = np.zeros_like(FACE)
SHIFTS = (0, 1, 3, 2, 0, 4, 1, 0, 2, 3, 1, 0)
CLIP = [np.roll(FACE, shift, axis=1) for shift in SHIFTS]
BLURRED = [cv2.GaussianBlur(frame, (0, 0), 1.2) for frame in CLIP]
LANDMARK_METRICS = ("lmd_dlib", "lmd_dlib_iod", "lmd_dlib_dtw", "aperture_error")


def stream(frames):
    """A clip that can be read only once."""
    yield from frames


def test_one_pass_gives_what_the_functions_give():
    results = score(stream(BLURRED), stream(CLIP), ["ssim", "psnr"])
    assert list(results) == ["ssim", "psnr"]
    for name, function in (("psnr", psnr), ("ssim", ssim)):
        expected = function(np.stack(BLURRED), np.stack(CLIP))
        np.testing.assert_allclose(results[name].per_frame, expected)
        assert results[name].value == pytest.approx(expected.mean())
        low, high = results[name].interval
        assert low < results[name].value < high


def test_intervals_end_where_the_range_does():
    almost = [frame.copy() for frame in CLIP]
    almost[0][0, 0, 0] ^= 1
    almost[6][9:60] //= 2
    psnr_interval = score(almost, CLIP, ["psnr"])["psnr"].interval
    assert psnr_interval[0] < 100 and psnr_interval[1] == 100


def test_results_survive_json():
    results = score(BLURRED, CLIP, ["psnr", "psnr_head"])
    for result in results.values():
        assert MetricResult.model_validate(json.loads(result.model_dump_json())) == result


def test_regions_use_their_masks_and_the_mouth_its_landmarks():
    pytest.importorskip("dlib")
    left = np.zeros(FACE.shape[:2], bool)
    left[:, :120] = True
    masks = ({"head": left, "torso": np.zeros_like(left)} for _ in CLIP)
    results = score(BLURRED, CLIP, ["psnr_head", "psnr_torso", "psnr_mouth", "ssim_mouth"], masks=masks)
    expected = psnr(np.stack(BLURRED), np.stack(CLIP), [left] * len(CLIP))
    np.testing.assert_allclose(results["psnr_head"].per_frame, expected)
    assert results["psnr_torso"].value is None and "empty" in results["psnr_torso"].reason
    damaged = [frame.copy() for frame in CLIP]
    for frame in damaged:
        frame[180:] = 255  # below the mouth
    assert score(damaged, CLIP, ["psnr_mouth"])["psnr_mouth"].value == 100 > results["psnr_mouth"].value


def test_landmark_metrics_see_faces_and_count_them():
    pytest.importorskip("dlib")
    same = score(CLIP, CLIP, LANDMARK_METRICS)
    assert all(result.value == 0 and result.extra["detected_predicted"] == 1 for result in same.values())
    holed = [BLACK if index in (3, 4, 5) else frame for index, frame in enumerate(BLURRED)]
    results = score(holed, CLIP, LANDMARK_METRICS)
    assert results["lmd_dlib"].extra == {"detected_predicted": 0.75, "detected_reference": 1.0}
    assert [value is None for value in results["lmd_dlib"].per_frame] == [index in (3, 4, 5) for index in range(12)]
    assert 0 < results["lmd_dlib"].value < 10
    nobody = score([BLACK] * 3, CLIP[:3], LANDMARK_METRICS)
    assert all(result.value is None and "face" in result.reason for result in nobody.values())


def test_given_reference_landmarks_spare_detection():
    pytest.importorskip("dlib")
    points = np.random.default_rng(0).uniform(0, 240, (12, 68, 2))
    result = score(CLIP, CLIP, ["lmd_dlib"], reference_landmarks=points)["lmd_dlib"]
    from d3talker.people.subject.landmarks import LandmarkDetector

    expected = lmd(LandmarkDetector().track(CLIP), points, 240)
    np.testing.assert_allclose(result.per_frame, expected)
    with pytest.raises(UserError, match="landmarks for 5"):
        score(CLIP, CLIP, ["lmd_dlib"], reference_landmarks=points[:5])


def test_a_reference_is_searched_for_faces_once(monkeypatch):
    """A second clip against the same reference finds its landmarks known, and gets the same values."""
    pytest.importorskip("dlib")
    from d3talker.people.subject.landmarks import LandmarkDetector

    found, original = [], LandmarkDetector.track
    monkeypatch.setattr(LandmarkDetector, "track", lambda self, frames: found.append(len(frames)) or original(self, frames))
    known: dict = {}
    alone = score(CLIP[::-1], CLIP, ["lmd_dlib"])
    first = score(CLIP, CLIP, ["lmd_dlib"], known=known)
    found.clear()
    second = score(CLIP[::-1], CLIP, ["lmd_dlib"], known=known)
    assert sum(found) == len(CLIP) and second == alone and second != first
    assert sorted(known) == [("dlib", 0), ("dlib", 8)]


def test_identity_knows_the_same_face():
    pytest.importorskip("dlib")
    broad = cv2.resize(FACE, (240, 200))
    other = np.concatenate([broad, BLACK[:40]])
    results = score([FACE, BLACK] * 3, [FACE] * 6, ["identity"])["identity"]
    assert results.value == pytest.approx(1) and results.extra["euclidean"] == pytest.approx(0, abs=1e-6)
    assert [value is None for value in results.per_frame] == [False, True, True, True, True, True]
    assert score([other], [FACE], ["identity"])["identity"].value < 0.99


def test_flicker_is_what_the_prediction_adds():
    rng = np.random.default_rng(0)
    still = [FACE] * 10
    noisy = [np.clip(FACE.astype(int) + rng.integers(-3, 4, FACE.shape), 0, 255).astype(np.uint8) for _ in still]
    assert score(still, still, ["flicker"])["flicker"].value == 0
    result = score(noisy, still, ["flicker"])["flicker"]
    assert 1.5 < result.value < 3 and result.per_frame[0] is None and result.extra["reference"] == 0
    assert score(still, noisy, ["flicker"])["flicker"].value < 0
    assert "stands still" in score([FACE, BLACK], [BLACK, BLACK + 255], ["flicker"])["flicker"].reason


@pytest.mark.parametrize("delay", [-4, 0, 3])
def test_lag_free_psnr_finds_the_shift(delay):
    rng = np.random.default_rng(1)
    frames = [rng.integers(0, 256, (16, 16, 3), dtype=np.uint8) for _ in range(40)]
    late = [frames[(index - delay) % 40] for index in range(40)]
    result = score(late, frames, ["psnr_lagfree", "psnr"])
    assert result["psnr_lagfree"].value > 90 > result["psnr"].value or delay == 0
    assert result["psnr_lagfree"].extra["shift"] == -delay
    assert len(result["psnr_lagfree"].per_frame) == 40 and result["psnr_lagfree"].per_frame[:5] == [None] * 5
    assert "fewer than" in score(late[:10], frames[:10], ["psnr_lagfree"])["psnr_lagfree"].reason


def test_what_is_not_there_is_a_reason_not_an_error(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("D3TALKER_WEIGHTS", raising=False)
    monkeypatch.delenv("TORCH_HOME", raising=False)
    monkeypatch.setitem(sys.modules, "face_alignment", None)
    results = score(CLIP[:2], CLIP[:2], list(METRICS), audio=None)
    assert set(results) == set(METRICS)
    expected = {
        "lpips_vgg": "vgg16-397923af.pth", "lmd_fan": "face_alignment", "psnr_head": "masks", "avc_r": "sound",
        "sync_c": "sound", "psnr_lagfree": "fewer than",
    }  # fmt: skip
    for name, words in expected.items():
        assert results[name].value is None and words in results[name].reason
    assert results["psnr"].value == 100
    alone = score(CLIP[:2], None, ["psnr", "lmd_dlib"])
    assert all("no ground truth" in result.reason for result in alone.values())


def talking_face(frames, seed=0):
    """A face whose mouth region opens with the sound's loudness, 40 ms ahead of it."""
    rng = np.random.default_rng(seed)
    drive = np.abs(np.convolve(rng.normal(size=frames + 4), [1, 2, 1, 1], "same"))[:frames]
    t = np.arange(frames * 640) / 16000
    loud = np.interp(t, (np.arange(frames) + 1.5) / 25, drive)
    audio = 0.05 * loud * rng.normal(size=t.size)
    return drive, np.clip(audio, -1, 1).astype(np.float32)


def test_avc_reads_lips_and_sound(monkeypatch):
    pytest.importorskip("dlib")
    from d3talker.people.subject.landmarks import LandmarkDetector

    drive, audio = talking_face(250)
    rest = LandmarkDetector().detect(FACE)[0].points
    points = np.repeat(rest[None], 250, 0)
    points[:, [65, 66, 67, 56, 57, 58], 1] += 4 * drive[:, None]
    points += np.random.default_rng(1).normal(0, 0.2, points.shape)
    tracks = iter(points)
    monkeypatch.setattr(LandmarkDetector, "track", lambda self, frames: np.stack([next(tracks) for _ in frames]))
    frames = [BLACK[:8, :8]] * 250
    before = score(frames, None, ["avc_lag"], audio=audio)["avc_lag"].value
    tracks = iter(points)
    results = score(frames, None, ["avc_r", "avc_lag"], audio=np.roll(audio, 3 * 640))
    assert results["avc_lag"].value == before + 3 and results["avc_r"].extra["trustworthy"]
    low, high = results["avc_r"].interval
    assert 0.1 < low < results["avc_r"].value < high < 1.2
    assert results["avc_r"].value == pytest.approx(results["avc_r"].extra["r"] - results["avc_r"].extra["shuffled"])
    tracks = iter(points)
    silent = score(frames, None, ["avc_r"], audio=np.zeros(250 * 640, np.float32))["avc_r"]
    assert silent.value is None and "never change" in silent.reason
    tracks = iter(points)
    assert "75 frames" in score(frames[:60], None, ["avc_r"], audio=audio)["avc_r"].reason


@pytest.mark.parametrize(
    ("predicted", "reference", "words"),
    [
        (CLIP, CLIP[:-1], "ends after 11 frames"),
        (CLIP[:-1], CLIP, "ends after 11 frames"),
        (CLIP, [frame[:200] for frame in CLIP], "px"),
        ([*CLIP[:5], FACE[:100]], CLIP[:6], "frame 5"),
        ([frame / 255 for frame in CLIP], CLIP, "float64"),
        ([frame[..., 0] for frame in CLIP], CLIP, "uint8 RGB"),
        ([np.full(FACE.shape, np.nan)], [FACE], "float64"),
        ([], [], "no frame"),
        ([None], [FACE], "NoneType"),
    ],
)
def test_hostile_pairs_are_refused(predicted, reference, words):
    with pytest.raises(UserError, match=words):
        score(predicted, reference, ["psnr"])


def test_hostile_sound_masks_and_names_are_refused():
    for audio in (np.zeros(100, np.int16), np.full(100, np.nan), np.zeros((2, 100))):
        with pytest.raises(UserError, match="sound"):
            score(CLIP, CLIP, ["psnr"], audio=audio)
    with pytest.raises(UserError, match="head mask of frame 0"):
        score(CLIP, CLIP, ["psnr_head"], masks=[{"head": np.ones((3, 3), bool)}] * 12)
    with pytest.raises(UserError, match="the masks"):
        score(CLIP, CLIP, ["psnr_head"], masks=[{"head": np.ones(FACE.shape[:2], bool)}] * 5)
    with pytest.raises(UserError, match="torso masks"):
        score(CLIP, CLIP, ["psnr_torso"], masks=[{"head": np.ones(FACE.shape[:2], bool)}] * 12)
    with pytest.raises(UserError, match="no metric 'fid'"):
        score(CLIP, CLIP, ["fid"])


def test_black_frames_are_a_clip_like_any_other():
    results = score([BLACK] * 3, [BLACK] * 3, ["psnr", "ssim", "flicker"])
    assert [results[name].value for name in ("psnr", "ssim", "flicker")] == pytest.approx([100, 1, 0])


def test_batches_hold_few_frames():
    alive = 0

    def counted():
        nonlocal alive
        for frame in CLIP * 3:
            alive += 1
            yield frame

    for number, batch in enumerate(batches(counted(), counted(), None, size=4)):
        assert alive == 2 * 4 * (number + 1) and batch.start == 4 * number and len(batch) == 4


def test_registry_is_whole_and_needs_no_torch():
    for name, metric in METRICS.items():
        assert metric.id == name and metric.title and metric.definition.endswith(".")
        low, high = metric.range
        assert low is None or high is None or low < high
    check_names(METRICS)
    code = "import sys, eval.metrics.registry; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_golden_values():
    """Measured once with dlib 20.0; a change means that a definition, or a dependency's arithmetic, has changed."""
    pytest.importorskip("dlib")
    clip = [np.roll(FACE, shift, axis=1) for shift in (0, 2, 4)]
    blurred = [cv2.GaussianBlur(frame, (0, 0), 1.2) for frame in clip]
    golden = {
        "psnr": (28.4898, 0.002), "psnr_mouth": (28.9871, 0.1), "ssim": (0.88501, 1e-4), "ssim_mouth": (0.88293, 0.005),
        "lmd_dlib": (0.6567, 0.15), "lmd_dlib_iod": (0.00511, 0.0012), "flicker": (0.4451, 0.01),
        "identity": (0.9826, 0.005),
    }  # fmt: skip
    results = score(blurred, clip, list(golden))
    for name, (value, tolerance) in golden.items():
        assert results[name].value == pytest.approx(value, abs=tolerance), name
