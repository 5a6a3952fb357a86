"""What a sweep is made of: tasks (a job and what it needs), the pre-training some share, and units that run as one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from d3talker.files import sha256_json
from d3talker.method.ablations import ablation, same_setting
from d3talker.method.config import Config
from d3talker.method.seen import NEUTRAL, TEST_TIME, UNSEEN_BY_PRETRAINING, seen
from d3talker.options import ALL, without
from d3talker.people.subject.layout import Subject
from eval.records import Job

METHOD = "d3talker"


@dataclass(frozen=True)
class Pretraining:
    """One pre-training: all tasks whose options are the same as far as it sees them share it."""

    config: Config
    subjects: tuple[Subject, ...]

    @property
    def key(self) -> str:
        """Hex SHA-256 of the data and the options that pre-training sees."""
        return sha256_json({
            "subjects": [subject.data_hash for subject in self.subjects],
            "config": seen(self.config, UNSEEN_BY_PRETRAINING),
        })


@dataclass(frozen=True)
class Task:
    """A job together with what is needed to run it.

    config: of our own model, None for others.  audio: the driving sound of the cross setting.  predictions: a finished
    predictions folder of another code.  pretraining: what the training starts from, if anything.  motion: the folder of
    the audio-to-motion model, if one was given.
    """

    job: Job
    subject: Subject
    config: Config | None = None
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
    """Jobs that differ only in what drives the finished model share one training."""
    value = job.model_dump(exclude={"setting", "audio", "protocol", "source_hash"})
    value["config"] = without(value["config"], {"signals": TEST_TIME})
    return sha256_json(value)


def training_seed(key: str) -> int:
    """The random seed of a training: a part of its key, so that whichever job comes first gives the same."""
    return int(key[:12], 16) % (2**31)


def canonical(names: Sequence[str]) -> list[str]:
    """Rows of Table 4 without those that train the same model as another: each setting by its first name there."""
    return list(dict.fromkeys(same_setting(name)[0] for name in names))


def needs_pretraining(name: str) -> bool:
    """Whether a row differs from the full model in nothing but its pre-training."""
    return set(ablation(name).switches) == {"contrast"}


def start_of(config: Config, base: Config, subjects: Sequence[Subject]) -> Pretraining | None:
    """The pre-training of one row; the row without the refiner shares the full model's, and leaves it out later."""
    if not subjects:
        return None
    switches = replace(config.ablation, refiner=base.ablation.refiner)
    return Pretraining(replace(config, ablation=switches), tuple(subjects))


def signature(config: Config, pretraining: Pretraining | None, motion: str | None = None) -> dict[str, Any]:
    """The options that can change a number, as plain data; a pre-training stands there as its key, and an audio-to-motion
    model as the SHA-256 of its checkpoint."""
    value = without(asdict(config), {**NEUTRAL, "pretrain": ALL})
    start = {} if pretraining is None else {"pretrain": pretraining.key}
    return {**value, **start, **({} if motion is None else {"motion": motion})}
