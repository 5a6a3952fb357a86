"""Spread, bootstrap intervals, paired differences and ranks: coverage, width, and agreement with plain formulas."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.signal import lfilter

from d3talker.errors import UserError
from eval.intervals import (
    block_indices,
    bootstrap,
    marks,
    mean_interval,
    paired_difference,
)


def correlated(rng, n=300, memory=0.8):
    """Frame scores that hang together as real ones do; standard deviation 1."""
    return lfilter([np.sqrt(1 - memory**2)], [1, -memory], rng.normal(size=n + 100))[100:]


@given(st.integers(8, 400), st.integers(0, 1000))
def test_blocks_are_runs_of_consecutive_frames(n, seed):
    indices = block_indices(n, 3, np.random.default_rng(seed))
    assert indices.shape == (3, n) and indices.min() >= 0 and indices.max() < n
    block = min(25, n // 4)
    steps = np.diff(indices, axis=1) % n
    starts = np.arange(1, n) % block == 0
    assert (steps[:, ~starts] == 1).all()


def test_intervals_cover_the_truth_though_frames_correlate():
    rng = np.random.default_rng(0)
    covered = [low <= 0 <= high for low, high in (mean_interval(correlated(rng), seed) for seed in range(120))]
    assert 0.86 <= np.mean(covered) <= 1.0  # 95 % asked for; blocks of a second reach about 90 on 12 s
    naive = [abs(values.mean()) < 1.96 * values.std() / 300**0.5 for values in (correlated(rng) for _ in range(120))]
    assert np.mean(naive) < 0.7


def test_interval_of_independent_values_has_the_textbook_width():
    clips = np.random.default_rng(1).normal(size=(30, 400))
    widths = [high - low for low, high in map(mean_interval, clips)]
    assert np.mean(widths) == pytest.approx(2 * 1.96 / 20, rel=0.1)
    assert bootstrap(400, lambda index: clips[0][index].mean()) == pytest.approx(mean_interval(clips[0]), abs=0.02)


def test_intervals_are_seeded_and_need_frames():
    values = np.random.default_rng(2).normal(size=50)
    assert mean_interval(values, 3) == mean_interval(values, 3) != mean_interval(values, 4)
    assert mean_interval(values[:7]) is None and bootstrap(7, np.mean) is None
    assert mean_interval(np.full(50, np.nan)) is None
    assert bootstrap(50, lambda index: float("nan")) is None


def test_unmeasured_frames_do_not_pull_the_interval():
    values = np.full(100, 5.0)
    values[20:40] = np.nan
    assert mean_interval(values) == pytest.approx((5.0, 5.0))


def test_pairing_sees_what_separate_intervals_do_not():
    rng = np.random.default_rng(5)
    common = {name: 10 * correlated(rng) for name in "xyz"}
    better = {name: values + 0.3 + 0.1 * correlated(rng) for name, values in common.items()}
    difference = paired_difference(better, common)
    assert difference.mean == pytest.approx(0.3, abs=0.05) and difference.significant and difference.low > 0.2
    back = paired_difference(common, better)
    mirrored = (-difference.mean, -difference.high, -difference.low)
    assert (back.mean, back.low, back.high) == pytest.approx(mirrored, abs=0.01)


def test_equal_methods_are_seldom_told_apart():
    rng = np.random.default_rng(6)
    found = [
        paired_difference({s: correlated(rng) for s in "ab"}, {s: correlated(rng) for s in "ab"}, seed, 500).significant
        for seed in range(60)
    ]
    assert np.mean(found) <= 0.2


def test_disagreement_between_subjects_widens_the_interval():
    values = {"a": np.full(100, 1.0), "b": np.full(100, -1.0), "c": np.full(100, 1.0)}
    zero = dict.fromkeys(values, np.zeros(100))
    assert not paired_difference(values, zero).significant


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ({}, {}), ({"x": np.ones(9)}, {"y": np.ones(9)}), ({"x": np.ones(9)}, {"x": np.ones(8)}),
        ({"x": np.full(9, np.nan)}, {"x": np.ones(9)}),
    ],
)  # fmt: skip
def test_unpaired_input_is_refused(a, b):
    with pytest.raises(UserError):
        paired_difference(a, b)


@pytest.mark.parametrize(
    ("values", "higher", "expected"),
    [
        ({"a": 3.0, "b": 2.0, "c": 1.0}, True, {"a": "best", "b": "second", "c": ""}),
        ({"a": 3.0, "b": 2.0, "c": None}, False, {"a": "second", "b": "best", "c": ""}),
        ({"a": 3.1941, "b": 3.1944, "c": 5.0}, False, {"a": "best", "b": "best", "c": ""}),
        ({"a": 1.0, "b": 2.0, "c": 2.0}, False, {"a": "best", "b": "second", "c": "second"}),
        ({"a": 1.0, "b": None}, True, {"a": "", "b": ""}),
        ({"a": 1.0, "b": 2.0}, None, {"a": "", "b": ""}),
    ],
)
def test_marks(values, higher, expected):
    assert marks(values, higher) == expected
