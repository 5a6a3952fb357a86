"""Timing: what is counted, in which order, how it is summed up; and peak memory."""

from __future__ import annotations

import sys
import time

import numpy as np
import pytest

from d3talker.errors import UserError
from eval.timing import fps, peak_memory, stages_fps, time_stages


def test_warm_up_runs_but_is_not_counted():
    calls = []
    seconds = time_stages({"all": lambda index, _: calls.append(index)}, 4, warm_up=6)
    assert len(seconds["all"]) == 4 and len(calls) == 10 and calls[-4:] == [0, 1, 2, 3]


def test_stages_hand_on_their_values_and_are_timed_apart():
    seen = []

    def slow(index, before):
        time.sleep(0.02)
        return index * 10

    seconds = time_stages({"slow": slow, "fast": lambda index, before: seen.append((index, before))}, 3, warm_up=0)
    assert seen == [(0, 0), (1, 10), (2, 20)]
    assert min(seconds["slow"]) >= 0.02 > max(seconds["fast"])


def test_fps_is_what_comes_out_not_the_median():
    """Every tenth frame slow: a median of 100 frames a second, of which 66.7 come out."""
    result = fps(([0.01] * 9 + [0.06]) * 20, exclusive=True, note="x")
    assert result.value == pytest.approx(66.7, abs=0.05) and result.extra["median"] == pytest.approx(100)
    assert result.extra["slowest_percentile"] == pytest.approx(1 / 0.06, rel=0.01)
    assert result.extra["frames"] == 200 and result.extra["note"] == "x" and result.extra["exclusive"] is True


def test_stages_add_up_frame_by_frame():
    result = stages_fps({"a": [0.1, 0.3, 0.1], "b": [0.1, 0.1, 0.1]}, exclusive=False)
    assert result.value == pytest.approx(3.75) and result.extra["stages"] == pytest.approx({"a": 0.5 / 3, "b": 0.1})


@pytest.mark.parametrize(("stages", "count"), [({}, 3), ({"a": lambda *_: None}, 0)])
def test_nothing_to_time_is_refused(stages, count):
    with pytest.raises(UserError):
        time_stages(stages, count)


@pytest.mark.skipif(sys.platform != "linux", reason="the resident set's high-water mark is Linux's")
def test_peak_memory_sees_what_came_and_went():
    with peak_memory() as small:
        pass
    with peak_memory() as large:
        np.ones(30_000_000).sum()  # 240 MB
    if small.bytes is None:
        pytest.skip("this kernel does not tell")
    assert large.what == "process" and 200e6 < large.bytes - small.bytes < 400e6
