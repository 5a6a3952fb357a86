"""Read a results folder: its records, the ones that cannot be read, and the files that records point to."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from d3talker.errors import UserError
from d3talker.files import read_json, sha256_json
from d3talker.people.media.predictions import Predictions, is_predictions
from eval.records import Job, Record, read_record

NAMELESS = ("results", "result", "out", "output")


@dataclass(frozen=True)
class Results:
    """What `bench` left behind.

    broken: file name -> why it was passed over.  planned: jobs of the last plan.  superseded: how many records of
    another configuration than the plan's were passed over.
    """

    root: Path
    records: tuple[Record, ...]
    broken: dict[str, str]
    planned: tuple[Job, ...] = ()
    superseded: int = 0

    @property
    def title(self) -> str:
        """The folder's name; where that only says what it is, its parent's."""
        own = self.root.resolve()
        return own.parent.name if own.name in NAMELESS and own.parent.name else own.name

    @property
    def protocol(self) -> str:
        """The one protocol of all records."""
        return self.records[0].job.protocol

    @property
    def synthetic(self) -> bool:
        """Whether every subject was made by `d3talker synth`."""
        return all(record.synthetic for record in self.records)

    def subjects(self, setting: str, budgets: Sequence[float]) -> tuple[str, ...]:
        """Every subject of these conditions, whether measured, failed, or only planned: a mean needs them all."""
        jobs = [*(record.job for record in self.records), *self.planned]
        return tuple(sorted({job.subject for job in jobs if job.setting == setting and job.budget in budgets}))

    def artifact(self, record: Record, name: str) -> Path | None:
        """The existing path of a record's artifact; None when absent or when it leads out of the results folder."""
        relative = record.artifacts.get(name)
        if not relative:
            return None
        path = (self.root / relative).resolve()
        return path if path.is_relative_to(self.root.resolve()) and path.exists() else None

    def predictions(self, record: Record, name: str = "predictions") -> Predictions | None:
        """The predictions folder behind a record ("predictions") or its ground truth ("reference"), if it is there."""
        path = self.artifact(record, name)
        return Predictions(path) if path and is_predictions(path) else None


def load_results(root: Path | str, protocol: str | None = None) -> Results:
    """Read every record of a results folder, in a stable order.

    Raises UserError when there is none, or when they hold more than one protocol version or variant and `protocol` does
    not choose one, or one method in two configurations: such numbers never share a table.
    """
    root = Path(root)
    folder = root / "records"
    if not folder.is_dir():
        raise UserError(f"{root} has no records folder; give the folder that `d3talker bench --out` wrote")
    records, broken = _read_all(folder)
    planned = _planned(root)
    if protocol is not None:
        records = [record for record in records if record.job.protocol == protocol]
        planned = [job for job in planned if job.protocol == protocol]
    if not records:
        chosen = f" of protocol {protocol}" if protocol else ""
        why = f" ({len(broken)} are damaged: {next(iter(broken.values()))})" if broken else ""
        raise UserError(f"{folder} holds no readable record{chosen}{why}; run `d3talker bench` first")
    current = _current(records, planned)
    _refuse_mixtures(root, current)
    ordered = tuple(sorted(current, key=_order))
    return Results(root, ordered, broken, tuple(planned), len(records) - len(current))


def _read_all(folder: Path) -> tuple[list[Record], dict[str, str]]:
    records: list[Record] = []
    broken: dict[str, str] = {}
    for path in sorted(folder.glob("*.json")):
        try:
            record = read_record(path)
            json.dumps(record.model_dump(), allow_nan=False)
            records.append(record)
        except UserError as error:
            broken[path.name] = str(error)
        except ValueError:
            broken[path.name] = f"{path} holds NaN or infinity, which is no measurement; run the job again"
    return records, broken


def _planned(root: Path) -> list[Job]:
    """The jobs of plan.json; an absent or foreign plan is no plan."""
    try:
        jobs = read_json(root / "plan.json")["jobs"]
        return [Job.model_validate({name: value for name, value in job.items() if name != "key"}) for job in jobs]
    except (UserError, ValidationError, KeyError, TypeError, AttributeError):
        return []


def _order(record: Record) -> tuple[str, float, str, str, str, str, int, str]:
    job = record.job
    return job.method, job.budget, job.setting, job.audio or "", job.ablation, job.subject, job.seed, record.key


def _place(job: Job) -> str:
    """Where in the tables a job belongs: all but its options, its subject's data, and what comes from outside, but that it does."""
    return sha256_json({"imported": job.imported, **job.model_dump(exclude={"config", "subject_hash", "source_hash"})})


def _current(records: list[Record], planned: Sequence[Job]) -> list[Record]:
    """Without the records that the last plan replaced by others in the same place."""
    keys = {job.key for job in planned}
    taken = {_place(record.job) for record in records if record.key in keys}
    return [record for record in records if record.key in keys or _place(record.job) not in taken]


def _refuse_mixtures(root: Path, records: Sequence[Record]) -> None:
    protocols = sorted({record.job.protocol for record in records})
    if len(protocols) > 1:
        raise UserError(f"{root} mixes the protocols {', '.join(protocols)}; choose one with --protocol")
    places: dict[str, Record] = {}
    trained: dict[tuple[str, str, bool], Record] = {}
    for record in records:
        job = record.job
        other = places.setdefault(_place(job), record)
        if other is record and "train" in record.stages:
            other = trained.setdefault((job.method, job.ablation, job.imported), record)
        differ = differences(job, other.job)
        if other is not record and differ:
            raise UserError(
                f"the records {other.key[:12]} and {record.key[:12]} of {job.method} ({job.ablation}) in {root} differ "
                f"in {', '.join(differ[:5])}, so no table may hold both; keep them in separate results folders"
            )


def differences(one: Job, other: Job) -> list[str]:
    """Options (dotted) in which two jobs differ, and the data of a subject that both share."""
    now, before = flat(one.config), flat(other.config)
    names = sorted(name for name in {*now, *before} if now.get(name) != before.get(name))
    if one.subject == other.subject and one.subject_hash != other.subject_hash:
        names.append("the subject's data")
    if _place(one) == _place(other) and one.source_hash != other.source_hash:
        names.append("the driving sound" if one.setting == "cross" else "the imported predictions")
    return names


def flat(config: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested options as {"signals.eyes": "loop", ...}."""
    out: dict[str, Any] = {}
    for name, value in config.items():
        out |= flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: value}
    return out


def slug(text: str) -> str:
    """A file name for any text: plain letters kept, the rest replaced; a hash makes it unique where some were lost."""
    plain = re.sub(r"[^A-Za-z0-9_.-]+", "-", text).strip("-.")[:60]
    return plain if plain == text and plain else f"{plain or 'x'}-{sha256_json(text)[:6]}"
