"""One method against another: differences by hand, outcomes by direction, gaps with their reason."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.compare import outcome_of, versus
from eval.intervals import Estimate
from eval.metrics.result import MetricResult

RNG = np.random.default_rng(0)
NOISE = RNG.normal(0, 0.3, 200)


def scores(shift: float, metric: str = "psnr", subjects: tuple[str, ...] = ("a",), frames: bool = True):
    values = 30 + shift + NOISE
    result = MetricResult(value=float(values.mean()), per_frame=values.tolist() if frames else None)
    return {s: [{metric: result}] for s in subjects}


@pytest.mark.parametrize(("metric", "shift", "outcome"), [
    ("psnr", 1.0, "win"), ("psnr", -1.0, "loss"), ("lpips_alex", 1.0, "loss"), ("lpips_alex", -1.0, "win"),
    ("psnr", 0.0, "not significant"),
])
def test_outcome_follows_the_metrics_direction(metric, shift, outcome):
    found = versus(metric, scores(shift, metric), scores(0, metric))
    assert found.outcome == outcome and found.reason == ""
    assert found.difference.mean == pytest.approx(shift, abs=1e-9)
    assert found.mine - found.theirs == pytest.approx(shift, abs=1e-9)


def test_a_small_difference_in_noise_is_not_significant():
    rng = np.random.default_rng(1)
    mine, theirs = ({"a": [{"psnr": MetricResult(value=float(v.mean()), per_frame=v.tolist())}]}
                    for v in (rng.normal(30.02, 1, 200), rng.normal(30, 1, 200)))
    assert versus("psnr", mine, theirs).outcome == "not significant"


def test_gaps_carry_their_reason():
    absent = {"a": [{"psnr": MetricResult.missing("no weights")}]}
    assert versus("psnr", scores(0, subjects=("a",)), absent).reason == "a: no weights"
    assert versus("psnr", scores(0, subjects=("a",)), {"a": [{}]}).reason == "a: not measured"
    assert versus("psnr", scores(0), scores(0, subjects=("c",))).reason == "no common subject"
    found = versus("sync_c", scores(1, "sync_c", frames=False), scores(0, "sync_c", frames=False))
    assert (found.difference, found.outcome, found.reason) == (None, "", "no value a frame and one person, so no interval")
    assert found.mine - found.theirs == pytest.approx(1)
    short = {"a": [{"psnr": MetricResult(value=30, per_frame=[30.0] * 10)}]}
    assert "200 frames on one side, 10 on the other" in versus("psnr", scores(0), short).reason


def test_only_common_subjects_count():
    mine = {**scores(1, subjects=("a",)), **scores(50, subjects=("only-mine",))}
    assert versus("psnr", mine, scores(0)).difference.mean == pytest.approx(1)


@given(st.floats(-5, 5), st.floats(0.01, 5))
def test_outcome_is_antisymmetric(mean, error):
    swap = {"win": "loss", "loss": "win", "not significant": "not significant"}
    one, other = Estimate(mean, error, 6, "frames"), Estimate(-mean, error, 6, "frames")
    assert outcome_of("psnr", other) == swap[outcome_of("psnr", one)]
    assert outcome_of("lmd_dlib", one) == swap[outcome_of("psnr", one)]


def test_equivalence_needs_a_margin():
    gap = Estimate(0.01, 0.02, 6, "frames")
    assert outcome_of("psnr", gap) == "not significant"
    assert outcome_of("psnr", gap, margin=0.1) == "equivalent"
    assert outcome_of("psnr", gap, margin=0.05) == "not significant"


def test_nobody_wins_under_unequal_conditions():
    found = versus("psnr", scores(1), scores(0), unequal="torso: gt against synthesised")
    assert found.outcome == "" and found.difference.mean == pytest.approx(1) and "torso" in found.reason


def test_flicker_is_best_at_zero():
    """Frozen frames lie below 0 and win nothing: distances from 0 are compared."""
    frozen, real = scores(-35, "flicker"), scores(-29, "flicker")
    found = versus("flicker", frozen, real)
    assert found.mine < found.theirs < 1.1 and found.difference.mean == pytest.approx(4, abs=0.2) and found.outcome == "loss"


def test_runs_are_drawn_with_the_frames():
    def runs(*shifts):
        values = [30 + shift + NOISE for shift in shifts]
        return {"a": [{"psnr": MetricResult(value=float(v.mean()), per_frame=v.tolist())} for v in values]}

    assert versus("psnr", runs(0.3), runs(0.0)).outcome == "win"  # these two runs
    assert versus("psnr", runs(0.3, -0.3), runs(0.0, 0.3)).difference.basis == "runs"
    assert versus("psnr", runs(0.5, -0.3), runs(0.0, 0.1)).outcome == "not significant"
    missing = {"a": [*runs(0.0)["a"], {"psnr": MetricResult.missing("crashed")}]}
    assert versus("psnr", missing, runs(0.0)).reason == "a: crashed"
