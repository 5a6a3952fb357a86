"""The speaker's amplitude given back to predicted motion, and which coefficients are the upper face's."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from d3talker.people.head.embedded import embedded_head
from d3talker.people.head.upper import upper_face
from d3talker.people.motion.amplitude import MOST, SHARE, SHUT, Amplitude, aperture

MODEL = embedded_head()
NAMES = MODEL.expression_names


def clip(seed: int, frames: int = 200) -> np.ndarray:
    """A mouth that opens and shuts, skewed as real ones are, and some of everything else."""
    rng = np.random.default_rng(seed)
    expression = rng.uniform(0, 0.05, (frames, len(NAMES)))
    expression[:, NAMES.index("jaw_open")] = np.abs(np.sin(np.arange(frames) / 4)) ** 1.5 * rng.uniform(0.1, 0.6, frames)
    return expression


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**31), st.floats(0.3, 0.9), st.floats(-0.05, 0.05))
def test_shrunken_motion_comes_back(seed: int, shrunk: float, offset: float) -> None:
    own = clip(seed)
    predicted = own.mean(0) + shrunk * (own - own.mean(0)) + offset
    restored = Amplitude.of(own).restore(predicted)
    theirs, before, after = (aperture(e, MODEL) for e in (own, predicted, restored))
    wide = before > before.mean()
    gain = (restored - predicted.mean(0))[wide] / (predicted - predicted.mean(0))[wide]
    assert np.median(gain) == pytest.approx(min(SHARE * theirs.std() / before.std(), MOST), rel=1e-3)
    assert np.percentile(after, SHUT) <= max(np.percentile(theirs, SHUT), np.percentile(before, SHUT)) + 0.05
    assert np.corrcoef(np.argsort(before), np.argsort(after))[0, 1] > 0.99  # the order of frames by opening stays
    assert restored.dtype == np.float32


def test_what_hardly_moves_stays_nearly_still() -> None:
    own = clip(0)
    amplitude = Amplitude.of(own)
    still = np.tile(own.mean(0), (50, 1))
    np.testing.assert_array_equal(amplitude.restore(still), still.astype(np.float32))
    murmur = still + 0.01 * (own[:50] - own[:50].mean(0))
    assert aperture(amplitude.restore(murmur), MODEL).std() <= MOST * aperture(murmur, MODEL).std() * 1.001


def test_it_survives_a_checkpoint() -> None:
    amplitude = Amplitude.of(clip(1))
    assert Amplitude.from_state(json.loads(json.dumps(amplitude.state()))) == amplitude


def test_the_upper_face_is_brows_and_lids() -> None:
    upper = [name for name, is_upper in zip(NAMES, upper_face(NAMES), strict=True) if is_upper]
    assert upper == ["brow_inner_up", "brow_up_left", "brow_up_right", "brow_down", "blink_left", "blink_right", "eyes_wide", "squint"]
    above, lips = MODEL.landmarks[17:27], MODEL.landmarks[48:68]
    size = {True: [], False: []}
    for mode, is_upper in zip(MODEL.expression_basis, upper_face(NAMES), strict=True):
        size[bool(is_upper)].append((np.abs(mode[above]).max(), np.abs(mode[lips]).max()))
    assert max(lips for _, lips in size[True]) < 1e-6  # none of them moves the lips
    assert not upper_face(("exp_0", "exp_1")).any()
