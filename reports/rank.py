"""Best and second best of a column, among rows that may be compared, and no finer than the paired bootstrap allows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from d3talker.errors import UserError
from eval.intervals import Mark, marks, paired_difference

TESTED = (
    "Bold is best, with what does not differ from it significantly (95 % paired bootstrap over subjects and blocks of "
    "frames; by value alone where a metric has no value a frame); underlined is next; where "
    "nothing differs from the best, nothing is marked. Only rows of one torso mode, losslessness, size and, for times, device are "
    "ranked together."
)
Frames = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Entry:
    """A row's value in one column.  group: only equals are ranked together.  frames: subject -> per-frame values."""

    name: str
    group: str
    value: float
    frames: Frames | None


def rank(entries: Sequence[Entry], higher_is_better: bool, digits: int) -> dict[str, Mark]:
    """Marks by row name; a group with a single row has none."""
    out: dict[str, Mark] = {}
    for group in dict.fromkeys(entry.group for entry in entries):
        own = [entry for entry in entries if entry.group == group]
        if len(own) > 1:
            out |= _rank_group(own, higher_is_better, digits)
    return out


def _rank_group(entries: Sequence[Entry], higher_is_better: bool, digits: int) -> dict[str, Mark]:
    if any(entry.frames is None for entry in entries):
        found = marks({entry.name: entry.value for entry in entries}, higher_is_better, digits)
        return {name: mark for name, mark in found.items() if mark}
    rest = sorted(entries, key=lambda entry: entry.value, reverse=higher_is_better)
    out: dict[str, Mark] = {}
    places: tuple[Mark, Mark] = ("best", "second")
    for place in places:
        leaders = [entry for entry in rest if entry is rest[0] or not differ(rest[0], entry)]
        if place == "best" and len(leaders) == len(rest):
            return {}  # nothing can be told apart, so nothing stands out
        out |= {entry.name: place for entry in leaders}
        rest = [entry for entry in rest if entry not in leaders]
        if not rest:
            break
    return out


def differ(one: Entry, other: Entry) -> bool:
    """Whether the paired difference of two rows excludes 0; rows that cannot be paired are taken to differ."""
    assert one.frames is not None and other.frames is not None
    try:
        return paired_difference(one.frames, other.frames).significant
    except UserError:
        return True
