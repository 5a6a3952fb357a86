"""From records to one number: mean over subjects when all are there, spread over seeds, reasons for what is missing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

import numpy as np

from eval.intervals import paired_difference
from eval.metrics.result import MetricResult
from eval.records import Record
from reports.columns import COSTS


@dataclass(frozen=True)
class Measured:
    """A value with its spread and the keys of its records; or None with the reasons, one sentence each.

    frames: subject -> per-frame values [T], for tests between rows.
    """

    value: float | None
    sd: float | None = None
    interval: tuple[float, float] | None = None
    records: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    frames: dict[str, np.ndarray] | None = None


def measure(records: Iterable[Record], metric: str, subjects: Iterable[str]) -> Measured:
    """Combine the records of one method in one condition (they differ in subject and seed only).

    The value is the mean over `subjects` of the mean over seeds; a subject without any value makes it None.  sd is the
    standard deviation over the seeds that every subject has (two at least) of the mean over subjects.
    """
    values: dict[str, dict[int, float]] = {subject: {} for subject in subjects}
    faults: dict[str, list[str]] = {subject: [] for subject in values}
    used: list[Record] = []
    for record in records:
        if record.job.subject not in values:
            continue
        result = read(record, metric)
        if result.value is None:
            faults[record.job.subject].append(str(result.reason))
        else:
            values[record.job.subject][record.job.seed] = result.value
            used.append(record)
    absent = [subject for subject, found in values.items() if not found]
    if absent or not values:
        return Measured(None, reasons=_reasons(absent, faults, len(values)))
    common = set.intersection(*(set(found) for found in values.values()))
    per_seed = [fmean(found[seed] for found in values.values()) for seed in sorted(common)]
    sd = stdev(per_seed) if len(per_seed) > 1 else None
    remarks = tuple(f"{subject}: without a seed that has no value ({why[0]})" for subject, why in faults.items() if why)
    mean = fmean(fmean(found.values()) for found in values.values())
    frames = per_frame(used, metric)
    interval = None
    if len(used) == 1:
        interval = used[0].metrics[metric].interval
    elif frames and sd is None:
        zeros = {subject: np.zeros_like(own) for subject, own in frames.items()}
        gap = paired_difference(frames, zeros)
        interval = (gap.low, gap.high)
    return Measured(mean, sd, interval, tuple(record.key for record in used), remarks=remarks, frames=frames)


def per_frame(records: Sequence[Record], metric: str) -> dict[str, np.ndarray] | None:
    """Subject -> values [T] of every frame, the mean over seeds; None unless every record has them, for equal clips."""
    clips: dict[str, list[np.ndarray]] = {}
    for record in records:
        values = record.metrics[metric].per_frame
        if values is None:
            return None
        clips.setdefault(record.job.subject, []).append(np.array(values, np.float64))
    if any(len({len(clip) for clip in own}) > 1 for own in clips.values()):
        return None
    means = {subject: np.mean(own, axis=0) for subject, own in clips.items()}
    return means if all(np.isfinite(values).any() for values in means.values()) else None


def read(record: Record, metric: str) -> MetricResult:
    """A record's metric, or the reason why it has none that may be shown."""
    if record.status != "ok":
        return MetricResult.missing(f"{record.status}: {record.reason or 'no reason was recorded'}")
    result = record.metrics.get(metric)
    if result is None:
        return MetricResult.missing("not measured in this run")
    if result.value is not None and metric in COSTS and not exclusive(record, metric):
        return MetricResult.missing("other work ran on the machine at the same time, so no time is shown")
    return result


def exclusive(record: Record, metric: str) -> bool:
    """Whether a time was measured while nothing else ran: as the metric itself says, or else its stage."""
    stated = record.metrics[metric].extra.get("exclusive")
    if stated is not None:
        return bool(stated)
    stage = record.stages.get({"train_time": "train", "fps": "render"}[metric])
    return stage is not None and stage.exclusive


def _reasons(absent: list[str], faults: dict[str, list[str]], count: int) -> tuple[str, ...]:
    if not count:
        return ("no subject",)
    by_reason: dict[str, list[str]] = {}
    for subject in absent:
        for reason in dict.fromkeys(faults[subject] or ["not run"]):
            by_reason.setdefault(reason, []).append(subject)
    return tuple(
        reason if len(names) == count else f"{', '.join(names)}: {reason}" for reason, names in by_reason.items()
    )
