"""Metrics read off landmarks: lip distance, lip aperture, blinks, and the correlation of sound and lips."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from d3talker.people.subject.lips import eye_openness, lip_measures
from eval.intervals import jackknife, of_frames
from eval.metrics.batches import Batch
from eval.metrics.family import Context, Family, per_frame_result
from eval.metrics.hearing import audio_visual
from eval.metrics.lips import aperture_ratio, closure_recall, lmd, lmd_dtw, lmd_iod
from eval.metrics.result import MetricResult

NO_FACE = "no frame shows a face on both sides"
MOVES = {"aperture_ratio": aperture_ratio, "closure_recall": closure_recall}
SHUT = 0.75  # of the reference's median eye aspect ratio
BLINK_SLACK = 5  # frames by which two blinks may miss each other


class Faces(Family):
    """All metrics that need nothing but landmarks, of one backend (the names' second part says fan, else dlib)."""

    def __init__(self, names: Sequence[str], context: Context) -> None:
        super().__init__(names, context)
        self.backend = "fan" if any("fan" in name.split("_") for name in names) else "dlib"
        context.detector(self.backend)  # type: ignore[arg-type]
        self.with_reference = any(name not in ("avc_r", "avc_lag") for name in names)
        self.points: dict[str, list[np.ndarray]] = {"predicted": [], "reference": []}
        self.height = 0

    def update(self, batch: Batch) -> None:
        self.height = batch.predicted.shape[1]
        for side in ("predicted", "reference") if self.with_reference else ("predicted",):
            self.points[side].append(self.context.landmarks(batch, side, self.backend))  # type: ignore[arg-type]

    def results(self) -> dict[str, MetricResult]:
        sides = {side: np.concatenate(points) for side, points in self.points.items() if points}
        rates = {f"detected_{side}": float(np.isfinite(points[:, 0, 0]).mean()) for side, points in sides.items()}
        found: dict[str, MetricResult] = {}
        for name in self.names:
            if name not in ("avc_r", "avc_lag"):
                found[name] = self._paired(name, sides["predicted"], sides["reference"], rates)
        listening = [name for name in self.names if name in ("avc_r", "avc_lag")]
        if listening:
            assert self.context.audio is not None
            found |= audio_visual(listening, self.context.audio, lip_measures(sides["predicted"]), rates)
        return found

    def _paired(self, name: str, predicted: np.ndarray, reference: np.ndarray, rates: dict[str, Any]) -> MetricResult:
        if not np.isfinite(predicted[:, 0, 0] + reference[:, 0, 0]).any():
            return MetricResult(value=None, reason=NO_FACE, extra=rates)
        kind = name.replace(f"_{self.backend}", "")
        if kind == "lmd":
            return per_frame_result(lmd(predicted, reference, self.height), NO_FACE, rates)
        if kind == "lmd_iod":
            return per_frame_result(lmd_iod(predicted, reference), NO_FACE, rates)
        if kind == "lmd_dtw":
            return MetricResult(value=lmd_dtw(predicted, reference, self.height), extra=rates)
        if kind == "blink_f1":
            return blink_agreement(eye_openness(predicted), eye_openness(reference), rates)
        a, b = lip_measures(predicted)[:, 0], lip_measures(reference)[:, 0]
        if kind == "aperture_error":
            return per_frame_result(np.abs(a - b), NO_FACE, rates)
        if kind in MOVES:
            return _moved(kind, a, b, rates)
        return _correlated(a, b, rates)


def blink_agreement(predicted: np.ndarray, reference: np.ndarray, extra: dict[str, Any]) -> MetricResult:
    """F1 of blinks, matched one to one where they come within 5 frames of each other; eye aspect ratios [T].

    A blink is a run of frames below 0.75 of the reference's median ratio; a reference without one gives no value.
    """
    threshold = SHUT * float(np.nanmedian(reference))
    theirs, ours = _runs(reference < threshold), _runs(predicted < threshold)
    extra = {**extra, "blinks_predicted": len(ours), "blinks_reference": len(theirs)}
    if not theirs:
        return MetricResult(value=None, reason="nobody blinks in the reference", extra=extra)
    left = list(ours)
    for begin, end in theirs:
        match = next((run for run in left if run[0] <= end + BLINK_SLACK and begin <= run[1] + BLINK_SLACK), None)
        if match is not None:
            left.remove(match)
    matched = len(ours) - len(left)
    return MetricResult(value=2 * matched / (len(ours) + len(theirs)), extra={**extra, "matched": matched})


def _moved(kind: str, a: np.ndarray, b: np.ndarray, extra: dict[str, Any]) -> MetricResult:
    """One of MOVES, with its interval by the jackknife."""
    value = MOVES[kind](a, b)
    if not np.isfinite(value):
        return MetricResult(value=None, reason="the reference's lips never move", extra=extra)
    return MetricResult(value=value, interval=_interval(len(a), lambda rows: MOVES[kind](a[rows], b[rows])), extra=extra)


def _correlated(a: np.ndarray, b: np.ndarray, extra: dict[str, Any]) -> MetricResult:
    seen = np.isfinite(a) & np.isfinite(b)
    a, b = a[seen], b[seen]

    def pearson(index: np.ndarray | slice) -> float:
        x, y = a[index] - a[index].mean(), b[index] - b[index].mean()
        scale = np.linalg.norm(x) * np.linalg.norm(y)
        return float(x @ y / scale) if scale > 1e-12 else float("nan")

    value = pearson(slice(None))
    if not np.isfinite(value):
        return MetricResult(value=None, reason="the lips of one side never move", extra=extra)
    return MetricResult(value=value, interval=_interval(len(a), pearson), extra=extra)


def _interval(n: int, statistic: Callable[[np.ndarray], float]) -> tuple[float, float] | None:
    """95 % interval of a statistic of n frames."""
    values = jackknife(n, statistic)
    found = of_frames(values) if values is not None else None
    return found.interval if found else None


def _runs(shut: np.ndarray) -> list[tuple[int, int]]:
    """First and last frame of each run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], shut.astype(int), [0]])))
    return [(int(begin), int(end) - 1) for begin, end in edges.reshape(-1, 2)]
