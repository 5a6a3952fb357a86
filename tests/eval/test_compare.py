"""One method against another: differences by hand, outcomes by direction, gaps with their reason."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.compare import outcome_of, over_seeds, versus
from eval.intervals import Difference
from eval.metrics.result import MetricResult

RNG = np.random.default_rng(0)
NOISE = RNG.normal(0, 0.3, 200)


def scores(shift: float, metric: str = "psnr", subjects: tuple[str, ...] = ("a", "b"), frames: bool = True):
    values = 30 + shift + NOISE
    result = MetricResult(value=float(values.mean()), per_frame=values.tolist() if frames else None)
    return {s: {metric: result} for s in subjects}


@pytest.mark.parametrize(("metric", "shift", "outcome"), [
    ("psnr", 1.0, "win"), ("psnr", -1.0, "loss"), ("lpips_alex", 1.0, "loss"), ("lpips_alex", -1.0, "win"),
    ("psnr", 0.0, "tie"),
])
def test_outcome_follows_the_metrics_direction(metric, shift, outcome):
    found = versus(metric, scores(shift, metric), scores(0, metric))
    assert found.outcome == outcome and found.reason == ""
    assert found.difference.mean == pytest.approx(shift, abs=1e-9)
    assert found.mine - found.theirs == pytest.approx(shift, abs=1e-9)


def test_a_small_difference_in_noise_is_a_tie():
    rng = np.random.default_rng(1)
    mine, theirs = ({"a": {"psnr": MetricResult(value=float(v.mean()), per_frame=v.tolist())}}
                    for v in (rng.normal(30.02, 1, 200), rng.normal(30, 1, 200)))
    assert versus("psnr", mine, theirs).outcome == "tie"


def test_gaps_carry_their_reason():
    absent = {"a": {"psnr": MetricResult.missing("no weights")}}
    assert versus("psnr", scores(0, subjects=("a",)), absent).reason == "a: no weights"
    assert versus("psnr", scores(0, subjects=("a",)), {"a": {}}).reason == "a: not measured"
    assert versus("psnr", scores(0), scores(0, subjects=("c",))).reason == "no common subject"
    found = versus("sync_c", scores(1, "sync_c", frames=False), scores(0, "sync_c", frames=False))
    assert (found.difference, found.outcome, found.reason) == (None, "", "no value a frame, so no interval")
    assert found.mine - found.theirs == pytest.approx(1)
    short = {s: {"psnr": MetricResult(value=30, per_frame=[30.0] * 10)} for s in ("a", "b")}
    assert "200 frames on one side, 10 on the other" in versus("psnr", scores(0), short).reason


def test_only_common_subjects_count():
    mine = {**scores(1, subjects=("a",)), **scores(50, subjects=("only-mine",))}
    assert versus("psnr", mine, scores(0)).difference.mean == pytest.approx(1)


@given(st.floats(-5, 5), st.floats(0.01, 5))
def test_outcome_is_antisymmetric(mean, half):
    swap = {"win": "loss", "loss": "win", "tie": "tie"}
    one, other = Difference(mean, mean - half, mean + half), Difference(-mean, -mean - half, -mean + half)
    assert outcome_of("psnr", other) == swap[outcome_of("psnr", one)]
    assert outcome_of("lmd_dlib", one) == swap[outcome_of("psnr", one)]


def test_over_seeds():
    one = MetricResult(value=1.0, per_frame=[1.0, None, 1.0])
    two = MetricResult(value=3.0, per_frame=[3.0, 3.0, 3.0])
    assert over_seeds([one, two]) == MetricResult(value=2.0, per_frame=[2.0, None, 2.0])
    assert over_seeds([one]) is one
    assert over_seeds([one, MetricResult(value=3.0)]) == MetricResult(value=2.0)
    assert over_seeds([one, MetricResult.missing("crashed")]).reason == "crashed"
