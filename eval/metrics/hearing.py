"""avc_r and avc_lag: how well lips follow a sound, above what they follow any sound by chance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from d3talker.errors import UserError
from d3talker.people.audio.lag import ROWS_PER_FRAME, LagEstimate, correlation, estimate_lag
from d3talker.people.audio.mel import log_mel
from eval.intervals import jackknife, of_frames
from eval.metrics.chance import above_chance, chance_facts, offsets
from eval.metrics.result import MetricResult

SHIFTS = 12  # frames either way


def audio_visual(
    names: Sequence[str], sound: np.ndarray, lips: np.ndarray, rates: dict[str, Any]
) -> dict[str, MetricResult]:
    """Those of avc_r and avc_lag that are in `names`, of sound [S] at 16 kHz and lip measures [T, D], NaN where unseen.

    rates: what stands beside both.  avc_r is the held-out correlation at the best of 25 shifts less its mean over the same clip
    with other sounds, for each of which shift and regression are fitted anew: the spread of those is the least that its interval
    allows for.
    """
    mel = log_mel(sound)
    try:
        found = estimate_lag(mel, lips, SHIFTS)
    except UserError as error:
        missing = MetricResult(value=None, reason=str(error), extra=rates)
        return dict.fromkeys(names, missing)
    if np.ptp(found.curve) == 0:
        silent = MetricResult(value=None, reason="sound or lips never change, so nothing correlates", extra=rates)
        return dict.fromkeys(names, silent)
    extra = {**rates, "trustworthy": found.trustworthy, "frames": len(found.actual), "lag": found.lag, "r": found.r}
    results = {"avc_lag": MetricResult(value=found.lag, extra=extra)} if "avc_lag" in names else {}
    return results | ({"avc_r": _above_others(mel, lips, found, extra)} if "avc_r" in names else {})


def _above_others(mel: np.ndarray, lips: np.ndarray, found: LagEstimate, extra: dict[str, Any]) -> MetricResult:
    frames = min(len(lips), len(mel) // ROWS_PER_FRAME)
    mel, lips = mel[: frames * ROWS_PER_FRAME], lips[:frames]
    null = [estimate_lag(np.roll(mel, ROWS_PER_FRAME * offset, 0), lips, SHIFTS).r for offset in offsets(frames)]
    if not null:
        reason = f"{frames} frames are too few to tell the correlation from that with another sound"
        return MetricResult(value=None, reason=reason, extra=extra)
    above = above_chance(found.r, _error(found), null)
    facts = extra | {"shuffled": chance_facts(above, null)["shuffled"]}
    return MetricResult(value=above.mean, interval=above.interval, extra=facts)


def _error(found: LagEstimate) -> float:
    """Standard error of the correlation of held-out predictions, each fold's from a regression of its own; 0 where untold."""
    values = jackknife(len(found.actual), lambda rows: correlation(found.predicted[rows], found.actual[rows]))
    estimate = of_frames(values) if values is not None else None
    return estimate.error if estimate else 0.0
