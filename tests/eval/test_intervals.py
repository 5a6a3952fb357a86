"""Intervals against simulations: coverage over frames, runs and people; Holm; pairing, hostile input."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.signal import lfilter
from scipy.stats import ttest_1samp

from d3talker.errors import UserError
from eval.intervals import Estimate, common_frames, holm, jackknife, mean_over, of_frames, of_people, paired_difference


def correlated(rng, memory=0.8, n=300):
    """Frame scores that hang together as real ones do; standard deviation 1."""
    return lfilter([np.sqrt(1 - memory**2)], [1, -memory], rng.normal(size=n + 300))[300:]


def covers(estimate: Estimate, truth: float = 0.0) -> bool:
    low, high = estimate.interval
    return low <= truth <= high


@pytest.mark.parametrize(("memory", "least"), [(0.0, 0.93), (0.5, 0.93), (0.8, 0.93), (0.9, 0.93), (0.95, 0.93), (0.98, 0.9)])
def test_one_clips_interval_covers_however_long_its_memory(memory, least):
    rng = np.random.default_rng(int(100 * memory))
    covered = [covers(of_frames(correlated(rng, memory))) for _ in range(800)]
    assert least <= np.mean(covered) <= 0.98


def test_blocks_hide_in_noise_and_swing():
    """Not first-order: memory under white noise, a box filter, an oscillation."""
    rng = np.random.default_rng(1)
    series = {
        "noise": lambda: correlated(rng, 0.95) + rng.normal(size=300),
        "box": lambda: np.convolve(rng.normal(size=324), np.ones(25), "valid"),
        "swing": lambda: lfilter([1], [1, -1.6, 0.8], rng.normal(size=500))[200:],
    }
    for name, draw in series.items():
        assert np.mean([covers(of_frames(draw())) for _ in range(400)]) >= 0.9, name


def test_independent_frames_cost_little_width():
    clips = np.random.default_rng(1).normal(size=(200, 400))
    widths = [np.ptp(of_frames(clip).interval) for clip in clips]
    assert np.mean(widths) == pytest.approx(2 * 1.96 / 20, rel=0.3)


@pytest.mark.parametrize("people", [2, 3, 4, 6, 12])
@pytest.mark.parametrize("spread", [0.0, 1.0, 3.0])
@pytest.mark.parametrize("memory", [0.0, 0.9])
def test_people_are_the_unit(people, spread, memory):
    rng = np.random.default_rng(people)
    covered, alarms = [], []
    for _ in range(500):
        level = spread * rng.normal(size=people)
        clips = {str(i): [30 + level[i] + correlated(rng, memory)] for i in range(people)}
        covered.append(covers(mean_over(clips), 30.0))
        gap = spread * rng.normal(size=people)
        other = {name: [run[0] + gap[int(name)] + correlated(rng, memory)] for name, run in clips.items()}
        alarms.append(paired_difference(other, clips).significant)
    assert 0.92 <= np.mean(covered) <= 0.98
    assert 0.025 <= np.mean(alarms) <= 0.08


def test_people_agree_with_students_t():
    values = np.random.default_rng(0).normal(1, 1, 5)
    found = of_people(values)
    expected = ttest_1samp(values, 0)
    assert found.p == pytest.approx(expected.pvalue)
    assert found.interval == pytest.approx(tuple(expected.confidence_interval()))
    assert found.basis == "people" and of_people([3.0]) is None


@pytest.mark.parametrize("seeds", [2, 3])
@pytest.mark.parametrize("scatter", [0.2, 1.0])
def test_equal_methods_whose_seeds_differ_are_seldom_told_apart(seeds, scatter):
    rng = np.random.default_rng(seeds)

    def runs(clip):
        return {"anna": [clip + scatter * rng.normal() + 0.5 * correlated(rng, 0.9) for _ in range(seeds)]}

    found = []
    for _ in range(400):
        clip = 3 * correlated(rng, 0.9)
        found.append(paired_difference(runs(clip), runs(clip)))
    assert np.mean([gap.significant for gap in found]) <= 0.07
    assert {gap.basis for gap in found} == {"runs"}
    one = [paired_difference({"anna": runs(clip)["anna"][:1]}, {"anna": runs(clip)["anna"][:1]}) for _ in range(20)]
    assert {gap.basis for gap in one} == {"frames"}  # one seed a side speaks of these two runs alone


def test_two_seeds_that_happen_to_agree_do_not_shrink_an_interval():
    clip = correlated(np.random.default_rng(3), 0.9)
    one, two = mean_over({"anna": [30 + clip]}), mean_over({"anna": [30 + clip, 30.01 + clip]})
    assert two.error >= one.error > 0.05


def test_seeds_within_people_count_as_one_value_a_person():
    rng = np.random.default_rng(4)
    clips = {name: [rng.normal(30, 1, 50) for _ in range(3)] for name in "abc"}
    found = mean_over(clips)
    assert found.mean == pytest.approx(np.mean([np.mean(own) for own in clips.values()])) and found.freedom == 2
    alone = mean_over({name: [np.array([np.mean(own)])] for name, own in clips.items()})
    assert alone.interval == pytest.approx(found.interval)  # values without frames serve, too, from two people on


def test_pairing_sees_what_separate_intervals_do_not():
    rng = np.random.default_rng(5)
    common = {name: [10 * correlated(rng)] for name in "wxyz"}
    better = {name: [run[0] + 0.3 + 0.1 * correlated(rng)] for name, run in common.items()}
    difference = paired_difference(better, common)
    assert difference.mean == pytest.approx(0.3, abs=0.05) and difference.significant and difference.interval[0] > 0.1
    back = paired_difference(common, better)
    assert (back.mean, back.p) == pytest.approx((-difference.mean, difference.p))


def test_only_common_frames_are_compared():
    easy, hard = np.full(100, 1.0), np.full(100, 9.0)
    clip = np.concatenate([easy, hard]) + 0.01 * np.random.default_rng(0).normal(size=200)
    lost = clip + 0.5
    lost[100:] = np.nan
    found = paired_difference({"a": [lost]}, {"a": [clip]})
    assert found.mean == pytest.approx(0.5) and np.nanmean(lost) < clip.mean()
    one, other = common_frames([{"a": [lost]}, {"a": [clip]}])
    assert np.isnan(other["a"][0][100:]).all() and np.isfinite(one["a"][0][:100]).all()


def test_unmeasured_frames_do_not_pull_the_interval():
    values = np.full(100, 5.0)
    values[20:40] = np.nan
    assert of_frames(values).interval == (5.0, 5.0)
    assert of_frames(values[:7]) is None and of_frames(np.full(50, np.nan)) is None
    rng = np.random.default_rng(0)
    covered = []
    for _ in range(300):
        clip = correlated(rng, 0.8)
        clip[100:160] = np.nan
        clip[rng.random(300) < 0.1] = np.nan
        covered.append(covers(of_frames(clip)))
    assert np.mean(covered) >= 0.92


def test_a_jackknife_covers_a_correlation():
    rng = np.random.default_rng(2)
    covered = []
    for _ in range(150):
        a = correlated(rng, 0.5)
        b = 0.6 * a + 0.8 * correlated(rng, 0.5)
        values = jackknife(300, lambda rows, a=a, b=b: float(np.corrcoef(a[rows], b[rows])[0, 1]))
        covered.append(covers(of_frames(values), 0.6))
    assert 0.9 <= np.mean(covered) <= 0.99
    clip = rng.normal(size=100)
    assert of_frames(jackknife(100, lambda rows: float(clip[rows].mean()))).mean == pytest.approx(clip.mean())
    assert jackknife(79, np.mean) is None and jackknife(100, lambda rows: float("nan")) is None


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_lies_between_bonferroni_and_none(p):
    answered = holm(p)
    assert all(done or value >= 0.05 / len(p) for done, value in zip(answered, p))
    assert all(value < 0.05 for done, value in zip(answered, p) if done)
    assert holm([0.01, 0.02, 0.04]) == [True, True, True] and holm([0.02, 0.02, 0.04]) == [False] * 3


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ({}, {}), ({"x": [np.ones(9)]}, {"y": [np.ones(9)]}), ({"x": [np.ones(9)]}, {"x": [np.ones(8)]}),
        ({"x": [np.full(9, np.nan)]}, {"x": [np.ones(9)]}), ({"x": []}, {"x": [np.ones(9)]}),
        ({"x": [np.ones(9), np.ones(8)]}, {"x": [np.ones(9)]}),
    ],
)  # fmt: skip
def test_unpaired_input_is_refused(a, b):
    with pytest.raises(UserError):
        paired_difference(a, b)
