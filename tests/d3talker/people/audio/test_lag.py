"""The lag estimate: planted lags are found, chance is not trusted, real clips give their known lags."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter1d

from d3talker.errors import UserError
from d3talker.people.audio.lag import correlation, estimate_lag, held_out
from d3talker.people.audio.mel import log_mel
from d3talker.people.media.video import read_audio, read_frames
from d3talker.people.subject.landmarks import LandmarkDetector
from d3talker.people.subject.lips import lip_measures


def talking(seed, frames=300, noise=0.5):
    """Noise whose loudness in two bands drives two lip measures, one frame before it sounds."""
    rng = np.random.default_rng(seed)
    drive = gaussian_filter1d(rng.normal(size=(frames, 2)), 1.5, axis=0)
    drive /= drive.std(0)
    t = np.arange(frames * 640) / 16000
    carriers = np.stack([np.sin(2 * np.pi * f * t) for f in (300, 2500)], -1)
    loudness = np.stack([np.interp(t, (np.arange(frames) + 1.5) / 25, d) for d in drive.T], -1)
    audio = (0.1 * carriers * np.exp(0.8 * loudness)).sum(1) + 0.005 * rng.normal(size=len(t))
    return (audio / np.abs(audio).max()).astype(np.float32), drive + noise * rng.normal(size=drive.shape)


@pytest.mark.parametrize("lag", [-11, -4, 0, 1, 7])
def test_planted_lag_is_found(lag):
    audio, lips = talking(1)
    late = np.roll(audio, lag * 640)  # positive: sound comes late
    estimate = estimate_lag(late, lips)
    assert estimate.lag == lag and estimate.trustworthy and estimate.r > 0.5
    assert estimate.curve.shape == (25,) and estimate.curve[lag + 12] == estimate.r
    assert correlation(estimate.predicted, estimate.actual) == estimate.r


def test_unrelated_sound_is_not_trusted():
    audio, _ = talking(1)
    results = [estimate_lag(audio, talking(seed)[1]) for seed in range(2, 14)]
    assert sum(result.trustworthy for result in results) == 0 and max(abs(result.r) for result in results) < 0.3


def test_silence_correlates_with_nothing():
    estimate = estimate_lag(np.zeros(300 * 640, np.float32), talking(1)[1])
    assert abs(estimate.r) < 0.05 and np.ptp(estimate.curve) < 1e-9 and not estimate.trustworthy


def test_mel_may_be_given_and_unseen_frames_are_left_out():
    audio, lips = talking(3)
    whole = estimate_lag(audio, lips)
    assert estimate_lag(log_mel(audio), lips).lag == whole.lag == 0
    lips[100:140] = np.nan
    holed = estimate_lag(audio, lips)
    assert holed.lag == 0 and len(holed.actual) == len(whole.actual) - 40


def test_answer_ignores_units_and_volume():
    audio, lips = talking(4)
    a, b = estimate_lag(audio, lips), estimate_lag(audio, 37.0 * lips - 5)
    np.testing.assert_allclose(a.curve, b.curve, atol=1e-9)


def test_held_out_prediction_never_saw_its_fold():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(100, 5)), rng.normal(size=(100, 2))
    before = held_out(x, y)
    y[:20] += 100  # the first fold's own targets must not change its prediction
    np.testing.assert_allclose(held_out(x, y)[:20], before[:20])


@pytest.mark.parametrize("lips", [np.zeros((90, 2)), np.zeros(100), np.full((200, 2), np.nan)])
def test_too_little_is_refused(lips):
    with pytest.raises(UserError):
        estimate_lag(np.zeros(640 * 200, np.float32), lips)


@pytest.mark.shared
@pytest.mark.parametrize(("clip", "lag"), [("obama_late5.mp4", 5), ("cnn2.mp4", 0)])
def test_real_clips_have_their_known_lag(shared_data, clip, lag):
    pytest.importorskip("dlib")
    path = shared_data / "clips" / clip
    frames = (frame for _, frame in zip(range(250), read_frames(path)))
    estimate = estimate_lag(read_audio(path)[: 250 * 640], lip_measures(LandmarkDetector().track(frames)))
    assert estimate.lag == lag and estimate.trustworthy
