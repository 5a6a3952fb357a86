"""`--verify`: compute a sample of the numbers again from the predictions, and compare them with the records."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from d3talker.errors import UserError
from eval.metrics.registry import METRICS
from eval.metrics.score import score_predictions
from eval.records import Record
from reports.load import Results

TOLERANCE = 1e-3


@dataclass(frozen=True)
class Check:
    """One number, or one record that cannot be checked (`metric` empty).  verdict: same | differs | not repeated."""

    record: str
    metric: str
    stored: float | None
    again: float | None
    verdict: str
    why: str = ""


def verify(results: Results, count: int, weights: Path | None = None) -> list[Check]:
    """Check `count` records drawn by chance, the same ones for the same results."""
    done = [record for record in results.records if record.status == "ok" and "predictions" in record.artifacts]
    keys = sorted(record.key for record in done)
    seed = int(keys[0][:12], 16) if keys else 0
    drawn = np.random.default_rng(seed).permutation(len(done))[:count]
    return [check for i in sorted(drawn) for check in check_record(results, done[i], weights)]


def check_record(results: Results, record: Record, weights: Path | None = None) -> list[Check]:
    """Compare every metric of a record that its frames and sound alone give; checksums of the frames come first."""
    names = [
        name for name, metric in record.metrics.items()
        if metric.value is not None and name in METRICS and "masks" not in METRICS[name].needs
    ]
    try:
        predictions = results.predictions(record)
        if predictions is None:
            raise UserError("its predictions are no longer in the results folder")
        predictions.verify()
        reference = results.predictions(record, "reference")
        if reference is not None:
            reference.verify()
        again = score_predictions(predictions, reference, None, names, weights=weights)
    except UserError as error:
        return [Check(record.key, "", None, None, "not repeated", str(error))]
    return [_compare(record, name, again[name].value, again[name].reason) for name in names]


def _compare(record: Record, name: str, again: float | None, reason: str | None) -> Check:
    stored = record.metrics[name].value
    assert stored is not None
    if again is None:
        return Check(record.key, name, stored, None, "not repeated", reason or "")
    same = abs(again - stored) <= TOLERANCE * max(1.0, abs(stored))
    return Check(record.key, name, stored, again, "same" if same else "differs")


def summary(checks: Sequence[Check]) -> str:
    """One sentence about all checks."""
    count = Counter(check.verdict for check in checks)
    records = len({check.record for check in checks})
    return (
        f"{count['same']} numbers of {records} records were computed again and agree, {count['differs']} differ, "
        f"{count['not repeated']} could not be repeated."
    )
