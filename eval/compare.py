"""One method against another on the same frames: paired differences, and whether that is a win, a tie or a loss."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Literal

import numpy as np

from d3talker.errors import UserError
from eval.intervals import Difference, paired_difference
from eval.metrics.registry import METRICS
from eval.metrics.result import MetricResult

Outcome = Literal["win", "tie", "loss", ""]
Scores = Mapping[str, Mapping[str, MetricResult]]
"""subject -> metric -> result."""


@dataclass(frozen=True)
class Versus:
    """One metric, mine against a rival's, over the subjects that both have.

    difference: mine minus theirs, with its 95 % paired-bootstrap interval; None where a metric has no value a frame.
    outcome: "win" or "loss" only where the interval leaves 0 out; "" where nothing can be said.
    reason: why there is no value, no interval or no outcome.
    """

    metric: str
    mine: float | None
    theirs: float | None
    difference: Difference | None = None
    outcome: Outcome = ""
    reason: str = ""


def versus(metric: str, mine: Scores, theirs: Scores) -> Versus:
    """Compare one metric over the common subjects."""
    subjects = sorted(set(mine) & set(theirs))
    pairs = {s: (mine[s].get(metric), theirs[s].get(metric)) for s in subjects}
    for subject, pair in pairs.items():
        for result in pair:
            if result is None or result.value is None:
                reason = "not measured" if result is None else (result.reason or "not measured")
                return Versus(metric, _mean(mine, subjects, metric), _mean(theirs, subjects, metric),
                              reason=f"{subject}: {reason}")
    if not pairs:
        return Versus(metric, None, None, reason="no common subject")
    own, other = _mean(mine, subjects, metric), _mean(theirs, subjects, metric)
    left, right = ({s: _frames(pair[side]) for s, pair in pairs.items()} for side in (0, 1))
    if any(values is None for values in [*left.values(), *right.values()]):
        return Versus(metric, own, other, reason="no value a frame, so no interval")
    try:
        difference = paired_difference(left, right)  # type: ignore[arg-type]
    except UserError as error:
        return Versus(metric, own, other, reason=str(error))
    return Versus(metric, own, other, difference, outcome_of(metric, difference))


def outcome_of(metric: str, difference: Difference) -> Outcome:
    """Win, tie or loss of a significant difference by the metric's direction; "" for a metric without one."""
    better = METRICS[metric].higher_is_better if metric in METRICS else None
    if better is None:
        return ""
    if not difference.significant:
        return "tie"
    return "win" if (difference.mean > 0) == better else "loss"


def over_seeds(results: Sequence[MetricResult]) -> MetricResult:
    """The mean over seeds, frame by frame; without frames where seeds differ in length or lack them."""
    valued = [r for r in results if r.value is not None]
    if len(valued) < len(results) or len(valued) <= 1:
        return next((r for r in results if r.value is None), results[0])
    mean = fmean(r.value for r in valued if r.value is not None)
    frames = [_frames(r) for r in valued]
    if any(f is None for f in frames) or len({len(f) for f in frames if f is not None}) != 1:
        return MetricResult(value=mean)
    together = np.mean([f for f in frames if f is not None], axis=0)  # NaN in one seed stays a gap
    return MetricResult(value=mean, per_frame=[None if np.isnan(v) else float(v) for v in together])


def _mean(scores: Scores, subjects: Sequence[str], metric: str) -> float | None:
    results = [scores[s].get(metric) for s in subjects]
    values = [r.value for r in results if r is not None and r.value is not None]
    return fmean(values) if values and len(values) == len(subjects) else None


def _frames(result: MetricResult | None) -> np.ndarray | None:
    if result is None or result.per_frame is None:
        return None
    return np.array([np.nan if v is None else v for v in result.per_frame], np.float64)
