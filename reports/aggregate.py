"""From records to one number: mean over subjects when all are there, its interval, reasons for what is missing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean, harmonic_mean, stdev

from d3talker.errors import UserError
from eval.intervals import Runs, mean_over, of_people, within
from eval.metrics.registry import METRICS
from eval.metrics.result import MetricResult
from eval.records import Record
from eval.series import FPS, series
from reports.columns import COSTS
from reports.rank import LEAST_DETECTED

GOOD_DETECTION = 0.98  # share of frames with a face, below which a footnote says so
POSITIVE = (0.0, None)


@dataclass(frozen=True)
class Measured:
    """A value with its spread and the keys of its records; or None with the reasons, one sentence each.

    runs: subject -> values of each seed, for tests between rows.  detected: least share of frames that show a face.
    """

    value: float | None
    sd: float | None = None
    interval: tuple[float, float] | None = None
    records: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    runs: Runs | None = None
    detected: float | None = None


def measure(records: Iterable[Record], metric: str, subjects: Iterable[str]) -> Measured:
    """Combine the records of one method in one condition (they differ in subject and seed only).

    The value is the mean over `subjects` of the mean over seeds, the harmonic one for FPS; a subject without any value makes it
    None.  interval: over people, or over frames and seeds of a single one.  sd is the standard deviation over the seeds that every
    subject has (two at least) of the mean over subjects.
    """
    values: dict[str, dict[int, MetricResult]] = {subject: {} for subject in subjects}
    faults: dict[str, list[str]] = {subject: [] for subject in values}
    used: list[Record] = []
    for record in records:
        if record.job.subject not in values:
            continue
        result = read(record, metric)
        if result.value is None:
            faults[record.job.subject].append(str(result.reason))
        else:
            values[record.job.subject][record.job.seed] = result
            used.append(record)
    absent = [subject for subject, found in values.items() if not found]
    if absent or not values:
        return Measured(None, reasons=_reasons(absent, faults, len(values)))
    mean = harmonic_mean if metric == FPS else fmean
    numbers = {s: {seed: float(r.value or 0.0) for seed, r in found.items()} for s, found in values.items()}
    common = set.intersection(*(set(found) for found in numbers.values()))
    per_seed = [mean([found[seed] for found in numbers.values()]) for seed in sorted(common)]
    runs = {subject: [series(metric, result) for result in found.values()] for subject, found in values.items()}
    rates = [rate for found in values.values() for r in found.values() if (rate := detection(r)) is not None]
    detected = min(rates, default=None)
    remarks = [f"{subject}: without a seed that has no value ({why[0]})" for subject, why in faults.items() if why]
    remarks += _face_remarks(detected) + _chance_remarks(values)
    return Measured(
        mean([mean(list(found.values())) for found in numbers.values()]), stdev(per_seed) if len(per_seed) > 1 else None,
        _interval(used, metric, runs), tuple(record.key for record in used), (), tuple(remarks), runs, detected,
    )


def _interval(used: Sequence[Record], metric: str, runs: Runs) -> tuple[float, float] | None:
    """A single run's own interval, else that of the mean; inside the metric's range."""
    if len(used) == 1:
        return used[0].metrics[metric].interval
    try:
        found = mean_over(runs)
    except UserError:  # clips of different lengths
        return None
    if found is None:
        return None
    low, high = within(found.interval, METRICS[metric].range if metric in METRICS else POSITIVE)
    if metric != FPS:
        return low, high
    return (1 / high, 1 / low) if low > 0 else None


def detection(result: MetricResult) -> float | None:
    """Share of a clip's frames in which a face was found; None for a metric that needs none."""
    rate = result.extra.get("detected_predicted", result.extra.get("detected"))
    return None if rate is None else float(rate)


def _face_remarks(detected: float | None) -> list[str]:
    if detected is None or detected >= GOOD_DETECTION:
        return []
    unranked = ", so it is not ranked" if detected < LEAST_DETECTED else ""
    return [f"a face was found in {100 * detected:.0f} % of the frames{unranked}"]


def _chance_remarks(values: dict[str, dict[int, MetricResult]]) -> list[str]:
    """How far Sync-C lies above the same clips with shuffled sound."""
    extras = [[result.extra for result in found.values()] for found in values.values()]
    if any("above_shuffled" not in extra for own in extras for extra in own):
        return []
    above = [fmean(extra["above_shuffled"] for extra in own) for own in extras]
    chance = fmean(fmean(extra["shuffled"] for extra in own) for own in extras)
    people = of_people(above)
    alone = extras[0][0]["above_shuffled_interval"] if len(extras) == len(extras[0]) == 1 else None
    interval = people.interval if people else alone
    told = f" [{interval[0]:.2f}, {interval[1]:.2f}]" if interval else ""
    return [f"{fmean(above):.2f}{told} above the same picture with shuffled sound, which has {chance:.2f}"]


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
