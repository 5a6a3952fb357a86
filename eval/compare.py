"""One method against another on the same frames: paired differences, and what may be concluded from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Literal

from d3talker.errors import UserError
from eval.intervals import Estimate, Runs, paired_difference
from eval.metrics.registry import METRICS
from eval.metrics.result import MetricResult
from eval.series import from_best, series

Outcome = Literal["win", "loss", "not significant", "equivalent", ""]
Scores = Mapping[str, Sequence[Mapping[str, MetricResult]]]
"""subject -> for each run (seed), metric -> result."""


@dataclass(frozen=True)
class Versus:
    """One metric, mine against a rival's, over the subjects that both have.

    difference: mine minus theirs (of a metric that is best at a value inside its range: of the distances from that); None where
    nothing tells how sure it is.  outcome: "win" or "loss" only where the interval leaves 0 out, "equivalent" only where it lies
    within a given margin of 0; "" where nothing can be said.  reason: why there is no value, no interval or no outcome.
    """

    metric: str
    mine: float | None
    theirs: float | None
    difference: Estimate | None = None
    outcome: Outcome = ""
    reason: str = ""


def versus(metric: str, mine: Scores, theirs: Scores, margin: float | None = None, unequal: str = "") -> Versus:
    """Compare one metric over the common subjects.

    margin: how small a difference does not matter.  unequal: what makes the two incomparable, so that nobody wins.
    """
    subjects = sorted(set(mine) & set(theirs))
    if not subjects:
        return Versus(metric, None, None, reason="no common subject")
    own, other = _mean(mine, subjects, metric), _mean(theirs, subjects, metric)
    for subject in subjects:
        for run in [*mine[subject], *theirs[subject]]:
            result = run.get(metric)
            if result is None or result.value is None:
                reason = (result.reason if result else None) or "not measured"
                return Versus(metric, own, other, reason=f"{subject}: {reason}")
    try:
        difference = paired_difference(_runs(mine, subjects, metric), _runs(theirs, subjects, metric))
    except UserError as error:
        return Versus(metric, own, other, reason=str(error))
    if difference is None:
        return Versus(metric, own, other, reason="no value a frame and one person, so no interval")
    if unequal:
        return Versus(metric, own, other, difference, reason=f"no comparison: {unequal}")
    return Versus(metric, own, other, difference, outcome_of(metric, difference, margin))


def outcome_of(metric: str, difference: Estimate, margin: float | None = None) -> Outcome:
    """What a difference says by the metric's direction; "" for a metric without one."""
    better = METRICS[metric].higher_is_better if metric in METRICS else None
    if better is None:
        return ""
    if margin is not None and max(map(abs, difference.interval)) < margin:
        return "equivalent"
    if not difference.significant:
        return "not significant"
    return "win" if (difference.mean > 0) == better else "loss"


def _runs(scores: Scores, subjects: Sequence[str], metric: str) -> Runs:
    return {s: [from_best(metric, series(metric, run[metric])) for run in scores[s]] for s in subjects}


def _mean(scores: Scores, subjects: Sequence[str], metric: str) -> float | None:
    """The mean over subjects of the mean over runs; None unless every run has a value."""
    results = [[run.get(metric) for run in scores[subject]] for subject in subjects]
    values = [[r.value for r in own if r is not None and r.value is not None] for own in results]
    if not values or any(len(found) < len(own) for found, own in zip(values, results)):
        return None
    return fmean(map(fmean, values))
