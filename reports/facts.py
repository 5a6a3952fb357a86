"""What stands under a table: how its numbers came about, and what sets single rows apart."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import mode

from eval.records import Record
from reports.columns import COSTS
from reports.load import Results

PAPER_SIZE = (512, 512)
CONTEXT = "published numbers are for 512×512 pixels and other subjects: read them as context, not as a target"


def kind_remarks(own: Sequence[Record], everyone: Sequence[Record]) -> list[str]:
    """What sets a row apart from most others of its table: its torso mode, lossy frames, another size."""
    names = ("torso: {}", "{} frames", "{} pixels")
    remarks = []
    for template, usual, found in zip(names, _usual(everyone), zip(*kinds(own))):
        remarks += [template.format(value) for value in sorted(set(found) - {usual})]
    return remarks


def seed_remarks(own: Sequence[Record], rows: Sequence[Sequence[Record]]) -> list[str]:
    """The seeds of a row whose people have unequal ones, or other ones than most rows."""
    seeds = _seeds(own)
    usual = mode([found for row in rows if row for found in set(_seeds(row).values())] or [()])
    if not seeds or set(seeds.values()) == {usual}:
        return []
    if len(set(seeds.values())) == 1:
        return [f"seeds: {', '.join(map(str, next(iter(seeds.values()))))}; most rows: {', '.join(map(str, usual))}"]
    return ["seeds: " + "; ".join(f"{', '.join(map(str, found))} ({subject})" for subject, found in sorted(seeds.items()))]


def _seeds(records: Iterable[Record]) -> dict[str, tuple[int, ...]]:
    found: dict[str, set[int]] = {}
    for record in records:
        if record.status == "ok":
            found.setdefault(record.job.subject, set()).add(record.job.seed)
    return {subject: tuple(sorted(seeds)) for subject, seeds in found.items()}


def _usual(records: Sequence[Record]) -> tuple[str, str, str]:
    """The torso mode, losslessness and size of most records."""
    every = [kinds([record]) for record in records]
    return tuple(mode(values) for values in zip(*(kind for found in every for kind in found)))  # type: ignore[return-value]


def kinds(records: Iterable[Record]) -> set[tuple[str, str, str]]:
    """(torso mode, lossless or lossy, size) of finished records: rows that differ in it are not comparable."""
    return {
        (str(record.torso_mode), "lossless" if record.lossless else "lossy", size_text(record))
        for record in records if record.status == "ok"
    }


def size_text(record: Record) -> str:
    """Width and height of a record's frames, e.g. 512×512; a record that does not say is taken for the paper's size."""
    width, height = record.size or PAPER_SIZE
    return f"{width}×{height}"


def facts(records: Sequence[Record], results: Results) -> tuple[str, ...]:
    """What stands under every table: protocol, subjects, seeds, frames, torso mode, losslessness, commit."""
    if not records:
        return (f"Protocol {results.protocol}", "nothing was measured for this table: all numbers are published ones")
    done = [record for record in records if record.status == "ok"]
    subjects = {record.job.subject: record.synthetic for record in records}
    names = ", ".join(f"{name} (synthetic)" if fake else name for name, fake in sorted(subjects.items()))
    seeds = sorted({record.job.seed for record in records})
    out = [f"Protocol {results.protocol}", f"subjects: {names}", f"seeds: {', '.join(map(str, seeds))}"]
    frames = sorted({record.frames for record in done if record.frames})
    found = kinds(done)
    if found:
        torso, losses, sizes = (sorted(set(values)) for values in zip(*found))
        out.append(f"{_either(frames)} test frames of {_either(sizes)} pixels")
        out += [f"torso: {_either(torso)}", f"{_either(losses)} frames"]
        out.append(f"commit {_either(sorted({_commit(record) for record in done}))}")
        if timed_on(done):
            out.append(f"timed on {_either(sorted(timed_on(done)))}")
        if any(record.size != PAPER_SIZE for record in done):
            out.append(CONTEXT)
    return tuple(out)


def _commit(record: Record) -> str:
    return (record.environment.commit or "unknown")[:9] + ("+changes" if record.environment.dirty else "")


def _either(values: Iterable[object]) -> str:
    return " or ".join(map(str, values))


def timed_on(records: Iterable[Record]) -> set[str]:
    """The devices on which times of these records were measured."""
    return {
        str(record.metrics[name].extra.get("device") or record.environment.device)
        for record in records for name in COSTS if name in record.metrics
    }
