"""d3talker run: train and render with an official code, and collect its predictions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from baselines.adapter import Skip
from baselines.official.options import RunConfig
from baselines.official.work import Work
from baselines.recipe import Recipe
from baselines.registry import Registry
from d3talker.errors import UserError

if TYPE_CHECKING:
    from d3talker.people.subject.layout import Frame, Subject

TrainFrames = Callable[["Subject", float], Sequence["Frame"]]
TestFrames = Callable[["Subject"], Sequence["Frame"]]


def run(config: RunConfig, train_frames: TrainFrames, test_frames: TestFrames) -> Path:
    """Run what is not done yet; returns the predictions folder, of the cross-driven clip where a sound was given.

    Raises UserError that names the step, its log and what to do when a step fails, hangs or leaves out its output.
    """
    from filelock import FileLock, Timeout

    from d3talker.people.subject.layout import Subject

    registry = Registry(config.plugin)
    spec, adapter = registry.get(config.method), registry.adapter(config.method)
    if isinstance(adapter.run, Skip):
        raise UserError(f"'{spec.name}' cannot be run from here: {adapter.run.reason}")
    subject = Subject(config.subject)
    train, test = train_frames(subject, config.budget), test_frames(subject)
    predictions = config.out / "predictions"
    if not isinstance(adapter.run, Recipe):
        adapter.run(subject, train, test, predictions)
        return predictions
    work = Work(config, spec, adapter, adapter.run, subject, train)
    if config.dry_run:
        print("\n".join(work.plan()))
        return predictions
    work.check()
    config.out.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(config.out / "lock", timeout=0):
            work.execute()
            work.collect(test, predictions)
            return work.cross(test) if config.audio else predictions
    except Timeout:
        raise UserError(f"{config.out} is in use by another run; wait for it, or give another --out") from None
