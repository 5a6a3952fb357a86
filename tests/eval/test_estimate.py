"""Costs come from records of the same picture size where there are some, and from scaled guesses elsewhere."""

from __future__ import annotations

from dataclasses import replace

import pytest
from toys import ToySubject, toy_harness, toy_sweep, toy_tasks

from baselines.registry import trained_here
from eval.estimate import GUESSES, Clock, Cost, Estimator, duration
from eval.jobs import units
from eval.protocol import D3_V1
from eval.records import Stage
from eval.store import Store

TASKS = toy_tasks(2, sounds=("A",), pretrain=True)


def test_guesses_grow_with_the_picture(tmp_path):
    estimator = Estimator(Store(tmp_path), D3_V1, "cpu")
    small, large = estimator.rates((128, 128)), estimator.rates((256, 256))
    assert small == GUESSES["cpu"] and not large.known
    assert large.step_s == 4 * small.step_s and large.frame_bytes == 4 * small.frame_bytes


def test_a_plan_is_the_sum_of_its_parts(tmp_path):
    estimator = Estimator(Store(tmp_path), D3_V1, "cpu")
    rates, open_ = estimator.rates((64, 64)), units(TASKS)
    config, frames = TASKS[0].config, 300
    training = Cost(trained_here("d3talker").steps(config) * rates.step_s, rates.run_bytes)
    one = Cost(frames * (rates.render_s + rates.score_s), frames * rates.frame_bytes)
    steps = config.pretrain
    shared = Cost((steps.face + steps.mouth) * rates.step_s, 2 * rates.run_bytes)
    total = estimator.total(open_)
    parts = [training, training, shared, *[one] * 6]  # two trainings of two clips each, two floors, one pre-training
    assert total.seconds == pytest.approx(sum(part.seconds for part in parts))
    assert total.bytes == pytest.approx(sum(part.bytes for part in parts))


def test_what_is_done_costs_nothing_again(tmp_path):
    harness = toy_harness(tmp_path)
    before = Estimator(harness.store, D3_V1, "cpu").total(units(TASKS))
    toy_sweep(harness, TASKS)
    after = Estimator(harness.store, D3_V1, "cpu").total(units(TASKS))
    assert after.bytes == 0 and after.seconds < before.seconds


def test_records_give_the_rates(tmp_path):
    harness = toy_harness(tmp_path)
    toy_sweep(harness, TASKS)
    for task in TASKS:
        record = harness.store.record(task.job)
        stages = {"render": Stage(seconds=30, exclusive=True), "evaluate": Stage(seconds=60, exclusive=True)}
        if task.config:
            stages["train"] = Stage(seconds=90, exclusive=True)
        harness.store.write(record.model_copy(update={"stages": stages}))
    (harness.store.root / "records" / "damaged.json").write_text("{")
    rates = Estimator(harness.store, D3_V1, "cpu").rates((64, 64))
    assert (rates.steps_s, rates.render_s, rates.score_s) == ({"d3talker": 3}, 0.1, 0.2)  # 30 steps, 300 frames
    assert {"render_s", "score_s", "frame_bytes", "run_bytes"} == rates.known
    assert Estimator(harness.store, D3_V1, "cpu").rates((128, 128)) == GUESSES["cpu"]


def test_the_clock_learns_from_what_is_done(monkeypatch):
    now = [0.0]
    monkeypatch.setattr("eval.estimate.time.monotonic", lambda: now[0])
    open_ = units(toy_tasks(2))
    clock = Clock(lambda unit: 10.0)
    clock.start(open_)
    assert clock.left("{} left") == ""  # nothing is known yet
    now[0] = 20.0  # twice as slow as estimated
    clock.finish(open_[0])
    assert clock.left("{} left") == "60 s left"


@pytest.mark.parametrize(("seconds", "text"), [
    (0.4, "0.4 s"), (40, "40 s"), (99, "99 s"), (100, "1.7 min"), (720, "12 min"), (12600, "3.5 h"),
    (180000, "2.1 days"),
])
def test_durations_are_short(seconds, text):
    assert duration(seconds) == text


def test_a_shorter_test_clip_costs_less(tmp_path):
    estimator = Estimator(Store(tmp_path), D3_V1, "cpu")
    (unit,) = units([TASKS[-1]])
    short = replace(unit, tasks=(replace(TASKS[-1], subject=ToySubject("short", val=31)),))  # type: ignore[arg-type]
    assert estimator.unit(short).seconds == pytest.approx(estimator.unit(unit).seconds / 10)
