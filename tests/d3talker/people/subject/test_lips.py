"""Lip and eye measures: independent of head motion, and what they read."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from d3talker.people.subject.lips import eye_openness, face_axes, lip_measures

REST = np.random.default_rng(0).uniform(0, 100, (68, 2))
REST[36], REST[45] = (20, 40), (80, 40)
REST[[61, 62, 63], 1], REST[[65, 66, 67], 1] = 70, 76
REST[48], REST[54] = (35, 73), (65, 73)


def moved(points, angle, scale, shift):
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return scale * points @ turn.T + shift


@given(st.floats(-0.5, 0.5), st.floats(0.5, 2), st.floats(-50, 50))
def test_head_motion_does_not_show(angle, scale, shift):
    clip = np.stack([REST, moved(REST, angle, scale, shift)])
    still, other = face_axes(clip)
    np.testing.assert_allclose(other, still, atol=1e-9)
    np.testing.assert_allclose(np.diff(lip_measures(clip), axis=0), 0, atol=1e-9)
    np.testing.assert_allclose(np.diff(eye_openness(clip)), 0, atol=1e-9)


def test_measures_read_lips_in_eye_distances():
    opened = REST.copy()
    opened[[65, 66, 67], 1] += 6
    opened[54, 0] += 3
    first, second = lip_measures(np.stack([REST, opened]))
    assert first[0] == pytest.approx(6 / 60) and first[1] == pytest.approx(30 / 60)
    np.testing.assert_allclose((second - first)[[0, 1, 3]], [6 / 60, 3 / 60, 0], atol=1e-12)
    assert second[2] - first[2] == pytest.approx(3 / 60)


def test_unseen_frames_stay_unseen():
    clip = np.stack([REST, np.full((68, 2), np.nan)])
    assert np.isfinite(lip_measures(clip)[0]).all() and np.isnan(lip_measures(clip)[1]).all()
    assert np.isnan(face_axes(clip[1:])).all() and np.isnan(eye_openness(clip)[1])


def test_a_shut_eye_has_ratio_zero():
    eye = REST.copy()
    for first in (36, 42):
        eye[first : first + 6] = [(0, 0), (1, 1), (2, 1), (3, 0), (2, -1), (1, -1)]
    shut = eye.copy()
    shut[36:48, 1] = 0
    np.testing.assert_allclose(eye_openness(np.stack([eye, shut])), [2 / 3, 0])
