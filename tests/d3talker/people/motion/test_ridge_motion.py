"""Ridge from sound to expression: exact where the truth is linear, cautious where there is none."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter1d

from d3talker.errors import UserError
from d3talker.people.motion.audio_to_motion import RidgeMotion

ROWS = np.arange(200)


@pytest.fixture
def clip() -> tuple[dict[str, np.ndarray], np.ndarray]:
    rng = np.random.default_rng(0)
    hidden = gaussian_filter1d(rng.normal(size=(400, 3)), 3, axis=0) * 3
    columns = rng.normal(size=(3, 29))
    steps = np.repeat((hidden @ columns)[:, None], 2, 1) + 0.05 * rng.normal(size=(400, 2, 29))
    return {"mel": steps}, np.stack([hidden[:, 0] * 0.2 + 0.4, rng.normal(size=400)], 1)


def test_a_linear_truth_is_found_on_unseen_frames(clip) -> None:
    heard, expression = clip
    predicted = RidgeMotion.fit(heard, ROWS, expression[:200]).predict(heard)[200:]
    assert np.corrcoef(predicted[:, 0], expression[200:, 0])[0, 1] > 0.98


def test_noise_is_answered_with_the_mean(clip) -> None:
    heard, expression = clip
    predicted = RidgeMotion.fit(heard, ROWS, expression[:200]).predict(heard)[200:]
    assert predicted[:, 1].std() < 0.3 and abs(predicted[:, 1].mean() - expression[:200, 1].mean()) < 0.1


def test_state_survives_json(clip) -> None:
    fitted = RidgeMotion.fit(clip[0], np.arange(400), clip[1])
    again = RidgeMotion.from_state(json.loads(json.dumps(fitted.state())))
    np.testing.assert_array_equal(fitted.predict(clip[0]), again.predict(clip[0]))


def test_main_lip_motions_carry_the_rest_along_and_stay_among_seen_faces(clip) -> None:
    heard, expression = clip
    rng = np.random.default_rng(1)
    whole = np.concatenate([expression[:, :1], 2 * expression[:, :1] + 1, rng.normal(size=(400, 5))], 1)
    lips = np.zeros((7, 6))
    lips[0], lips[1] = rng.normal(size=6), rng.normal(size=6)
    predicted = RidgeMotion.fit(heard, ROWS, whole[:200], lips).predict(heard)[200:]
    assert np.corrcoef(predicted[:, 0], whole[200:, 0])[0, 1] > 0.97
    np.testing.assert_allclose(predicted[:, 1], 2 * predicted[:, 0] + 1, atol=0.05)
    assert predicted[:, 2:].std() < 0.3


def test_a_fit_to_other_features_is_one_sentence(clip) -> None:
    fitted = RidgeMotion.fit(clip[0], ROWS, clip[1][:200])
    with pytest.raises(UserError, match="earlier"):
        fitted.predict({"mel": clip[0]["mel"][..., :8]})


def test_a_quieter_sound_moves_the_lips_as_far(clip) -> None:
    heard, expression = clip
    fitted = RidgeMotion.fit(heard, ROWS, expression[:200])
    np.testing.assert_allclose(fitted.predict({"mel": 0.5 * heard["mel"] - 1}), fitted.predict(heard), atol=2e-2)
