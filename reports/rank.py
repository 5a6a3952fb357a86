"""Best and second best of a column, among rows that may be compared, and no finer than paired tests allow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import fmean

import numpy as np

from d3talker.errors import UserError
from eval.intervals import Runs, common_frames, holm, paired_difference
from reports.grid import Mark

TESTED = (
    "Bold is best, with what does not differ from it significantly; underlined is next; where nothing differs from the best, "
    "nothing is marked. Order and test (5 %, Holm's correction over all pairs of a column) use the frames that all rows have: "
    "Student's t over people, or over frames and seeds where there is one person; without a test there is no mark. Only rows of "
    "one torso mode, losslessness, size, with a face in 90 % of the frames and, for times, of one device are ranked together."
)
LEAST_DETECTED = 0.9  # share of frames with a face, below which a value speaks of the easy frames


@dataclass(frozen=True)
class Entry:
    """A row's value in one column.  group: only equals are ranked together.  runs: what it was made from.

    detected: share of frames that show a face, None where it does not matter.
    """

    name: str
    group: str
    runs: Runs | None
    detected: float | None = None


def rank(entries: Sequence[Entry], higher_is_better: bool) -> dict[str, Mark]:
    """Marks by row name; rows that cannot be paired with the most of their group, and single rows, have none."""
    out: dict[str, Mark] = {}
    fit = [entry for entry in entries if entry.runs and (entry.detected is None or entry.detected >= LEAST_DETECTED)]
    for group in dict.fromkeys(entry.group for entry in fit):
        own = [entry for entry in fit if entry.group == group]
        shapes = [_shape(entry) for entry in own]
        usual = max(shapes, key=shapes.count)
        if shapes.count(usual) > 1:
            out |= _rank_group([entry for entry, shape in zip(own, shapes) if shape == usual], higher_is_better)
    return out


def _shape(entry: Entry) -> tuple[tuple[str, tuple[int, ...]], ...]:
    """What two rows must share to be paired: subjects, and the lengths of their clips."""
    assert entry.runs is not None
    return tuple((subject, tuple(sorted({len(run) for run in runs}))) for subject, runs in sorted(entry.runs.items()))


def _rank_group(entries: Sequence[Entry], higher_is_better: bool) -> dict[str, Mark]:
    rows = common_frames([entry.runs for entry in entries])  # type: ignore[misc]
    try:
        tests = [(i, j, paired_difference(rows[i], rows[j])) for i, j in combinations(range(len(rows)), 2)]
    except UserError:  # no frame that all of them have
        return {}
    if any(test is None for *_, test in tests):
        return {}
    answered = holm([test.p for *_, test in tests if test])
    apart = {frozenset((i, j)) for (i, j, _), sure in zip(tests, answered) if sure}
    values = [fmean(float(np.nanmean(np.mean(runs, 0))) for runs in row.values()) for row in rows]
    rest = sorted(range(len(rows)), key=values.__getitem__, reverse=higher_is_better)
    out: dict[str, Mark] = {}
    places: tuple[Mark, Mark] = ("best", "second")
    for place in places:
        leaders = [i for i in rest if i == rest[0] or frozenset((i, rest[0])) not in apart]
        if place == "best" and len(leaders) == len(rest):
            return {}  # nothing can be told apart, so nothing stands out
        out |= {entries[i].name: place for i in leaders}
        rest = [i for i in rest if i not in leaders]
        if not rest:
            break
    return out
