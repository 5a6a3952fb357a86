"""What a sweep is made of: tasks (a job and what it needs), the pre-training some share, and units that run as one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from baselines.registry import trained_here
from d3talker.files import sha256_json
from d3talker.learning.contract import Row, same_setting
from d3talker.options import ALL, without
from d3talker.people.subject.layout import Subject
from eval.records import Job


@dataclass(frozen=True)
class Pretraining:
    """One pre-training of a method: all tasks whose options are the same as far as it sees them share it."""

    method: str
    config: Any
    subjects: tuple[Subject, ...]

    @property
    def key(self) -> str:
        """Hex SHA-256 of the method, the data and the options that pre-training sees."""
        how = trained_here(self.method)
        return sha256_json({
            "method": self.method, "subjects": [subject.data_hash for subject in self.subjects],
            "config": without(without(asdict(self.config), how.neutral), how.unseen_by_pretraining),
        })

    @property
    def seed(self) -> int:
        """Of its people alone: whatever is switched, the draws are the same."""
        return _seed({"subjects": [subject.data_hash for subject in self.subjects]})


@dataclass(frozen=True)
class Task:
    """A job together with what is needed to run it.

    config: options of the method, None where nothing is trained.
    audio: the driving sound of the cross setting.  predictions: a finished
    predictions folder of another code.  pretraining: what the training starts from, if anything.  motion: the folder of
    the audio-to-motion model, if one was given.
    """

    job: Job
    subject: Subject
    config: Any = None
    audio: Path | None = None
    predictions: Path | None = None
    pretraining: Pretraining | None = None
    motion: Path | None = None


@dataclass(frozen=True)
class Unit:
    """Tasks that one worker runs in turn, because they share a training.  `name` is what is claimed meanwhile."""

    name: str
    tasks: tuple[Task, ...]


def units(tasks: Iterable[Task]) -> list[Unit]:
    """Tasks grouped by their training, in the order of the first of each; others stand alone."""
    groups: dict[str, list[Task]] = {}
    for task in tasks:
        groups.setdefault(task.job.key if task.config is None else training_key(task.job), []).append(task)
    return [Unit(name, tuple(group)) for name, group in groups.items()]


def training_key(job: Job) -> str:
    """Jobs that differ only in what drives the finished model, or what it leaves out, share one training."""
    value = job.model_dump(exclude={"setting", "audio", "protocol", "source_hash", "ablation"})
    if job.trained:
        value["config"] = without(value["config"], trained_here(job.method).test_time)
    return sha256_json(value)


def training_seed(job: Job) -> int:
    """The random seed of a training: of its subject, budget and seed index, so that rows of Table 4 share every draw they can."""
    return _seed({"subject": job.subject_hash, "budget": job.budget, "seed": job.seed})


def _seed(value: dict[str, Any]) -> int:
    return int(sha256_json(value)[:12], 16) % (2**31)


def canonical(rows: Mapping[str, Row], names: Sequence[str]) -> list[str]:
    """Rows of a method without those of the same setting as another: each setting by its first name there."""
    return list(dict.fromkeys(same_setting(rows, name)[0] for name in names))


def start_of(method: str, config: Any, base: Any, subjects: Sequence[Subject]) -> Pretraining | None:
    """The pre-training of one row, if there is any; base: the options of the whole model."""
    how = trained_here(method)
    return Pretraining(method, how.starts_from(config, base), tuple(subjects)) if subjects and how.pretrains else None


def signature(method: str, config: Any, pretraining: Pretraining | None, motion: str | None = None) -> dict[str, Any]:
    """The options that can change a number, as plain data; a pre-training stands there as its key, and an audio-to-motion
    model as the SHA-256 of its checkpoint."""
    how = trained_here(method)
    value = without(asdict(config), {**how.neutral, "pretrain": ALL})
    start = {} if pretraining is None else {"pretrain": pretraining.key}
    found = {**value, **start, **({} if motion is None or not how.hears_motion else {"motion": motion})}
    return found or {"method": method}  # of a method without options: what is trained has some (Job.trained)
