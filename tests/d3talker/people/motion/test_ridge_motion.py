"""Ridge from sound to expression: exact where the truth is linear, cautious where there is none."""

from __future__ import annotations

import json

import numpy as np
import pytest

from d3talker.people.motion.audio_to_motion import RidgeMotion


@pytest.fixture
def clip() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    hidden = rng.normal(size=(400, 3))
    columns = rng.normal(size=(3, 29))
    features = np.repeat((hidden @ columns)[:, None], 16, 1) + 0.05 * rng.normal(size=(400, 16, 29))
    return features, np.stack([hidden[:, 0] * 0.2 + 0.4, rng.normal(size=400)], 1)


def test_a_linear_truth_is_found_on_unseen_frames(clip) -> None:
    features, expression = clip
    predicted = RidgeMotion.fit(features[:200], expression[:200]).predict(features[200:])
    assert np.corrcoef(predicted[:, 0], expression[200:, 0])[0, 1] > 0.98


def test_noise_is_answered_with_the_mean(clip) -> None:
    features, expression = clip
    predicted = RidgeMotion.fit(features[:200], expression[:200]).predict(features[200:])
    assert predicted[:, 1].std() < 0.3 and abs(predicted[:, 1].mean() - expression[:200, 1].mean()) < 0.1


def test_state_survives_json(clip) -> None:
    fitted = RidgeMotion.fit(*clip)
    again = RidgeMotion.from_state(json.loads(json.dumps(fitted.state())))
    np.testing.assert_array_equal(fitted.predict(clip[0]), again.predict(clip[0]))


def test_main_lip_motions_carry_the_rest_along_and_stay_among_seen_faces(clip) -> None:
    features, expression = clip
    rng = np.random.default_rng(1)
    whole = np.concatenate([expression[:, :1], 2 * expression[:, :1] + 1, rng.normal(size=(400, 5))], 1)
    lips = np.zeros((7, 6))
    lips[0], lips[1] = rng.normal(size=6), rng.normal(size=6)
    predicted = RidgeMotion.fit(features[:200], whole[:200], lips).predict(features[200:])
    assert np.corrcoef(predicted[:, 0], whole[200:, 0])[0, 1] > 0.97
    np.testing.assert_allclose(predicted[:, 1], 2 * predicted[:, 0] + 1, atol=0.05)
    assert predicted[:, 2:].std() < 0.3
