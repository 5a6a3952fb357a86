"""Scores above chance: what Sync-C and the correlation of sound and lips say where nobody listens."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter1d

from eval.metrics import hearing
from eval.metrics.chance import above_chance, offsets
from eval.metrics.hearing import audio_visual
from eval.metrics.syncnet import distances, shuffled, sync

RNG = np.random.default_rng


def embeddings(seed, follow, n=300):
    """Lips and sound of 16 numbers that hang together over 3 frames; `follow` of the lips is the sound's."""
    rng = RNG(seed)
    sound, own = (gaussian_filter1d(rng.normal(size=(n, 16)), 3.0, axis=0) for _ in range(2))
    lips = follow * sound + own
    return torch.from_numpy(lips / lips.std()).float(), torch.from_numpy(sound / sound.std()).float()


def test_sync_c_without_a_dip_is_not_above_shuffled_sound():
    found = [sync(distances(*pair), shuffled(*pair)) for pair in (embeddings(seed, 0.0) for seed in range(25))]
    assert np.mean([one.confidence for one in found]) > 0.1  # the least of 31 means lies below their median
    above = np.array([one.facts["above_shuffled"] for one in found])
    assert abs(above.mean()) < 0.1
    assert np.mean([one.facts["above_shuffled_interval"][0] > 0 for one in found]) <= 0.1
    heard = sync(distances(*embeddings(0, 2.0)), shuffled(*embeddings(0, 2.0)))
    assert heard.facts["above_shuffled_interval"][0] > 0.5


def test_a_windows_parts_have_the_scores_as_their_means():
    distance = distances(*embeddings(1, 1.0))
    found = sync(distance)
    assert found.confidence == pytest.approx(np.median(distance.mean(0)) - distance.mean(0).min())
    assert found.distance == pytest.approx(distance.mean(0).min()) == pytest.approx(found.distances.mean())
    assert found.result("sync_c", {}).value == pytest.approx(found.confidence)
    assert np.shape(found.result("sync_c", {}).extra["distances"]) == (300, 31)
    assert "above_shuffled" not in found.facts


def test_lips_that_do_not_hear_have_no_correlation_above_chance(monkeypatch):
    monkeypatch.setattr(hearing, "log_mel", lambda sound: sound)

    def clip(seed, follow):
        rng = RNG(seed)
        mel = gaussian_filter1d(rng.normal(size=(1220, 6)), 6.0, axis=0) @ rng.normal(size=(6, 16))
        lips = gaussian_filter1d(rng.normal(size=(300, 1)), 2.0, axis=0)
        heard = mel[2:1202, 0].reshape(300, 4).mean(1, keepdims=True)
        lips = lips / lips.std() + follow * heard / heard.std()
        return audio_visual(["avc_r"], mel + 0.1 * rng.normal(size=mel.shape), lips, {})["avc_r"]

    deaf = [clip(seed, 0.0) for seed in range(12)]
    assert np.mean([one.extra["r"] for one in deaf]) > 0.04  # the best of 25 shifts is above 0 by chance
    assert abs(np.mean([one.value for one in deaf])) < 0.08
    assert sum(one.interval[0] > 0 or one.interval[1] < 0 for one in deaf) <= 2
    assert clip(0, 1.5).interval[0] > 0.2


def test_the_null_is_taken_off_and_its_spread_counts():
    found = above_chance(0.5, 0.01, [0.1, 0.3])
    assert found.mean == pytest.approx(0.3) and found.error == pytest.approx((0.02 + 0.01) ** 0.5)
    assert len(offsets(300)) == 9 and offsets(100) == []
