"""Means, spreads and reasons: against numpy, and with every kind of gap."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ttest_1samp

from eval.metrics.result import MetricResult
from reports.aggregate import measure

VALUES = st.lists(st.lists(st.floats(-100, 100), min_size=2, max_size=3), min_size=1, max_size=4)


def value(number: float, frames: list[float | None] | None = None, **fields) -> dict[str, MetricResult]:
    return {"psnr": MetricResult(value=number, per_frame=frames, **fields)}


@given(table=VALUES)
@settings(max_examples=30, deadline=None)
def test_mean_and_sd_equal_numpy(table, tmp_path_factory, make_results):
    seeds = min(map(len, table))
    table = [row[:seeds] for row in table]
    maker = make_results(tmp_path_factory.mktemp("results"))
    records = [
        maker.record(subject=f"s{i}", seed=seed, metrics=value(number))
        for i, row in enumerate(table) for seed, number in enumerate(row)
    ]
    found = measure(records, "psnr", [f"s{i}" for i in range(len(table))])
    assert found.value == pytest.approx(np.mean(table), abs=1e-9)
    assert found.sd == pytest.approx(np.std(np.mean(table, axis=0), ddof=1), abs=1e-9)
    assert sorted(found.records) == sorted(record.key for record in records)


def test_a_mean_needs_every_subject(maker):
    records = [
        maker.record(subject="anna", metrics=value(30.0)),
        maker.record(subject="ben", status="failed", reason="no face was found"),
    ]
    found = measure(records, "psnr", ["anna", "ben", "cleo"])
    assert found.value is None and found.sd is None and found.records == ()
    assert found.reasons == ("ben: failed: no face was found", "cleo: not run")
    assert measure(records, "psnr", ["anna"]).value == 30.0


def test_a_failed_seed_is_left_out_and_told(maker):
    records = [maker.record(seed=seed, metrics=value(30.0 + seed)) for seed in range(2)]
    records.append(maker.record(seed=2, status="failed", reason="disk full"))
    found = measure(records, "psnr", ["anna"])
    assert found.value == 30.5 and found.sd == pytest.approx(0.5**0.5)
    assert found.remarks == ("anna: without a seed that has no value (failed: disk full)",)


def test_a_reason_shared_by_all_subjects_stands_once(maker):
    missing = {"psnr": MetricResult.missing("no weights")}
    records = [maker.record(subject=subject, metrics=missing) for subject in ("anna", "ben")]
    assert measure(records, "psnr", ["anna", "ben"]).reasons == ("no weights",)
    assert measure(records, "ssim", ["anna", "ben"]).reasons == ("not measured in this run",)


@pytest.mark.parametrize("metric", ["train_time", "fps"])
def test_times_are_shown_from_exclusive_runs_alone(maker, metric):
    alone = maker.record()
    shared = maker.record("instag", exclusive=False)
    unknown = maker.record("er-nerf", stages={})
    assert measure([alone], metric, ["anna"]).value is not None
    for record in (shared, unknown):
        found = measure([record], metric, ["anna"])
        assert found.value is None and "at the same time" in found.reasons[0]
        assert measure([record], "psnr", ["anna"]).value is not None


def test_the_interval_is_a_single_runs_own_or_over_frames_and_seeds_or_over_people(maker):
    rng = np.random.default_rng(0)
    frames = [list(rng.normal(30 + i, 1, 100)) for i in range(3)]
    records = [
        maker.record(subject=f"s{i}", metrics=value(float(np.mean(own)), own, interval=(1.0, 2.0)))
        for i, own in enumerate(frames)
    ]
    assert measure(records[:1], "psnr", ["s0"]).interval == (1.0, 2.0)
    low, high = measure(records, "psnr", ["s0", "s1", "s2"]).interval
    expected = ttest_1samp([np.mean(own) for own in frames], 0).confidence_interval()
    assert (low, high) == pytest.approx(tuple(expected))  # three people a decibel apart: not the frames' tenth of one
    other = maker.record(subject="s0", seed=1, metrics=value(float(np.mean(frames[0])) + 0.01, [v + 0.01 for v in frames[0]]))
    low, high = measure([records[0], other], "psnr", ["s0"]).interval
    assert high - low > 0.3  # two seeds that agree are no certainty


def test_intervals_stay_in_range_and_speeds_have_a_harmonic_mean(maker):
    share = [maker.record(subject=s, metrics={"closure_recall": MetricResult(value=v)}) for s, v in (("a", 0.2), ("b", 0.98))]
    assert measure(share, "closure_recall", "ab").interval == (0.0, 1.0)
    fast = [maker.record(subject=s, metrics={"fps": MetricResult(value=v)}) for s, v in (("a", 20.0), ("b", 60.0))]
    assert measure(fast, "fps", "ab").value == pytest.approx(30)  # as many frames of each take 2 / (1/20 + 1/60)


def test_lost_faces_and_chance_are_told(maker):
    def lmd(rate):
        return {"lmd_dlib": MetricResult(value=3.0, extra={"detected_predicted": rate})}

    assert measure([maker.record(metrics=lmd(0.99))], "lmd_dlib", ["anna"]).remarks == ()
    assert measure([maker.record(metrics=lmd(0.95))], "lmd_dlib", ["anna"]).remarks == ("a face was found in 95 % of the frames",)
    low = measure([maker.record(metrics=lmd(0.8))], "lmd_dlib", ["anna"])
    assert low.remarks[0].endswith("not ranked") and low.detected == 0.8
    extra = {"shuffled": 0.31, "above_shuffled": 2.0, "above_shuffled_interval": [1.5, 2.5]}
    sync = maker.record(metrics={"sync_c": MetricResult(value=2.31, extra=extra)})
    assert measure([sync], "sync_c", ["anna"]).remarks == (
        "2.00 [1.50, 2.50] above the same picture with shuffled sound, which has 0.31",
    )
