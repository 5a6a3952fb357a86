"""From what the user asks for to a list of jobs: subjects x budgets x (ablations x seeds, and the floors)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from d3talker.ablations import ablation
from d3talker.config import Config
from d3talker.errors import UserError
from d3talker.subject.layout import Subject
from eval.protocol import Protocol
from eval.records import Job

METHOD = "d3talker"
# Options that say where to compute or how often to save; they change no number that a table shows.
NEUTRAL = {"device": None, "schedule": ("checkpoint_every",)}


@dataclass(frozen=True)
class Task:
    """A job together with what is needed to run it; `config` is None for methods that are not trained here."""

    job: Job
    subject: Subject
    config: Config | None


def expand(
    protocol: Protocol, subjects: Sequence[Path], budgets: Sequence[float], ablations: Sequence[str], seeds: int,
    floors: Sequence[str], config: Config,
) -> list[Task]:
    """All jobs of a sweep, floors last.  Raises UserError for a subject too short for a budget, or an unknown name."""
    tasks: list[Task] = []
    opened = [Subject(path) for path in subjects]
    names = [subject.name for subject in opened]
    if len(set(names)) < len(names):
        raise UserError(f"two subjects share a name ({', '.join(sorted(names))}); rename one of the folders")
    for subject in opened:
        for budget in budgets:
            protocol.train(subject, budget)
            common: dict[str, Any] = {
                "protocol": protocol.variant(subject), "subject": subject.name, "subject_hash": subject.data_hash,
                "budget": budget,
            }
            for name in ablations:
                own = ablated(config, name)
                tasks += [
                    Task(Job(method=METHOD, ablation=name, seed=seed, config=signature(own), **common), subject, own)
                    for seed in range(seeds)
                ]
            tasks += [Task(Job(method=name, **common), subject, None) for name in floors]
    return tasks


def ablated(config: Config, name: str) -> Config:
    """The configuration with the switches of one row of Table 4."""
    return replace(config, ablation=replace(config.ablation, **ablation(name).switches))


def signature(config: Config) -> dict[str, Any]:
    """The options that can change a number, as plain data."""
    value = asdict(config)
    for section, names in NEUTRAL.items():
        if names is None:
            del value[section]
        else:
            for name in names:
                del value[section][name]
    return value
