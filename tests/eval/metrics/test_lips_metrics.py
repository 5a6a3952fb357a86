"""LMD, its warped form, and the other landmark metrics: definitions, properties, hostile input."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from d3talker.errors import UserError
from eval.metrics import lmd, lmd_dtw, lmd_iod
from eval.metrics.face import blink_agreement
from eval.metrics.family import mouth_box
from eval.metrics.lips import BAND, aperture_ratio, closure_recall

seeds = st.integers(0, 2**32 - 1)


def clip(seed, frames=6):
    return np.random.default_rng(seed).uniform(0, 512, (frames, 68, 2))


def by_hand(a, b):
    """InsTaG metrics.py:73-96, frame by frame."""
    values = []
    for p, q in zip(a, b):
        p, q = p[48:68], q[48:68]
        p, q = p - p.mean(0), q - q.mean(0)
        values.append(np.sqrt(((p - q) ** 2).sum(1)).mean())
    return values


@settings(max_examples=20, deadline=None)
@given(seeds, seeds)
def test_lmd_is_the_definition(one, other):
    a, b = clip(one), clip(other)
    np.testing.assert_allclose(lmd(a, b), by_hand(a, b))
    np.testing.assert_allclose(lmd(a, b), lmd(b, a))
    assert (lmd(a, a) == 0).all()
    np.testing.assert_allclose(lmd_iod(a, b), by_hand(a, b) / np.linalg.norm(b[:, 36] - b[:, 45], axis=1))


@settings(max_examples=20, deadline=None)
@given(seeds, st.floats(-100, 100), st.floats(-100, 100))
def test_translation_changes_nothing(seed, dx, dy):
    a, b = clip(seed), clip(seed + 1)
    moved = a + np.array([dx, dy])
    for metric in (lmd, lmd_iod, lmd_dtw):
        np.testing.assert_allclose(metric(moved, b), metric(a, b))


def test_lmd_is_in_pixels_at_512():
    a, b = clip(1), clip(2)
    np.testing.assert_allclose(lmd(a / 4, b / 4, height=128), lmd(a, b))
    assert lmd_dtw(a / 4, b / 4, height=128) == pytest.approx(lmd_dtw(a, b))
    np.testing.assert_allclose(lmd_iod(a / 4, b / 4), lmd_iod(a, b))


def test_frames_without_a_face_stay_unmeasured():
    a, b = clip(1), clip(2)
    a[2] = np.nan
    assert np.isnan(lmd(a, b)).tolist() == [False, False, True, False, False, False]
    keep = [0, 1, 3, 4, 5]
    assert lmd_dtw(a, b) == pytest.approx(lmd_dtw(a[keep], b[keep]))
    assert np.isnan(lmd_dtw(np.full_like(a, np.nan), b))


def full_dtw(a, b):
    """Textbook dynamic time warping over the whole table."""
    cost = np.array([[by_hand([p], [q])[0] for q in b] for p in a])
    best = {(-1, -1): (0.0, 0)}
    for i in range(len(a)):
        for j in range(len(b)):
            if abs(i - j) <= BAND:
                steps = [best[k] for k in ((i - 1, j - 1), (i - 1, j), (i, j - 1)) if k in best]
                total, length = min(steps)
                best[i, j] = total + cost[i, j], length + 1
    total, length = best[len(a) - 1, len(b) - 1]
    return total / length


@settings(max_examples=10, deadline=None)
@given(seeds, st.integers(1, 14))
def test_warping_is_the_textbook_one_and_never_worse_than_none(seed, frames):
    a, b = clip(seed, frames), clip(seed + 1, frames)
    assert lmd_dtw(a, b) == pytest.approx(full_dtw(a, b))
    assert lmd_dtw(a, b) <= lmd(a, b).mean() + 1e-9
    assert lmd_dtw(a, a) == 0


def test_warping_forgives_a_small_delay():
    moving = np.cumsum(clip(3, 40) - 256, axis=0)
    late = moving[np.maximum(np.arange(40) - 2, 0)]
    assert lmd_dtw(late, moving) < 0.3 * lmd(late, moving).mean()


@pytest.mark.parametrize("bad", [np.zeros((6, 20, 2)), np.zeros((5, 68, 2)), np.zeros((68, 2)), np.zeros((6, 68, 3))])
@pytest.mark.parametrize("metric", [lmd, lmd_iod, lmd_dtw])
def test_wrong_landmarks_are_refused(metric, bad):
    with pytest.raises(UserError):
        metric(bad, clip(0))


def blinking(*frames, length=100):
    ratio = np.full(length, 0.3)
    for frame in frames:
        ratio[frame : frame + 4] = 0.1
    return ratio


@pytest.mark.parametrize(
    ("ours", "value"),
    [
        ((10, 50, 80), 1), ((14, 46, 84), 1), ((), 0), ((10,), 0.5), ((10, 30, 50, 80), 6 / 7), ((30, 65), 0),
        ((10, 16), 0.4),
    ],
)  # fmt: skip
def test_blinks_are_matched_one_to_one(ours, value):
    result = blink_agreement(blinking(*ours), blinking(10, 50, 80), {})
    assert result.value == pytest.approx(value) and result.extra["blinks_reference"] == 3


def test_a_reference_without_blinks_gives_no_value():
    assert "nobody blinks" in blink_agreement(blinking(10), blinking(), {}).reason


def test_mouth_box_has_its_margin_and_stays_in_the_frame():
    points = np.zeros((68, 2))
    points[48:68] = (50, 60)
    points[48], points[54] = (40, 60), (60, 60)
    mask = mouth_box(points, (100, 100))
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    assert (rows[0], rows[-1], columns[0], columns[-1]) == (54, 66, 34, 66)
    points[48:68] -= 70
    assert not mouth_box(points, (100, 100)).any()
    assert not mouth_box(np.full((68, 2), np.nan), (100, 100)).any()


def closures_by_hand(ours, theirs):
    closed, nearly = np.quantile(theirs, 0.15), np.quantile(theirs, 0.25)
    hits = [min(ours[max(t - 2, 0):t + 3]) <= nearly for t in range(len(theirs)) if theirs[t] <= closed]
    return sum(hits) / len(hits)


@settings(max_examples=20, deadline=None)
@given(seeds, st.floats(0.1, 3), st.floats(-1, 1))
def test_closures_and_amplitude_are_their_definitions(seed, gain, gap):
    rng = np.random.default_rng(seed)
    theirs, ours = rng.uniform(0, 1, 60), gain * rng.uniform(0, 1, 60) + gap
    assert closure_recall(ours, theirs) == pytest.approx(closures_by_hand(ours, theirs))
    assert aperture_ratio(ours, theirs) == pytest.approx(ours.std() / theirs.std())
    assert closure_recall(7 * ours + 3, 7 * theirs + 3) == closure_recall(ours, theirs)  # no unit, no origin


def test_lips_that_never_shut_have_no_closures_and_late_ones_have():
    theirs = np.tile([0.0, 0.4, 0.8, 1.0, 0.9, 0.7, 0.5, 0.3], 8)
    assert closure_recall(theirs, theirs) == 1 and closure_recall(theirs + 0.45, theirs) == 0
    assert closure_recall(np.roll(theirs, 2)[2:], theirs[2:]) >= 14 / 15  # two frames late counts
    late, once = np.ones(10), np.ones(10)
    once[3:6] = late[8] = 0  # three frames after the end of the only closure
    assert closure_recall(late, once) == 0 and closure_recall(np.roll(late, -1), once) == pytest.approx(1 / 3)
    assert closure_recall(np.zeros(64), theirs) == 1  # always shut: the amplitude tells
    assert aperture_ratio(np.zeros(64), theirs) == 0


def test_openings_without_a_face():
    theirs = np.tile([0.0, 1.0, 1.0, 1.0, 1.0, 1.0], 5)
    ours = theirs.copy()
    ours[:3] = np.nan  # the first closure cannot be seen
    assert closure_recall(ours, theirs) == pytest.approx(4 / 5)
    assert closure_recall(theirs, ours) == 1
    assert np.isnan(closure_recall(theirs, np.full(30, np.nan))) and np.isnan(aperture_ratio(theirs, np.full(30, np.nan)))
    assert np.isnan(closure_recall(theirs, np.ones(30))) and np.isnan(aperture_ratio(theirs, np.ones(30)))
