"""d3talker run: train and render with an official code, and collect its predictions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import tyro

from baselines.adapter import Skip
from baselines.recipe import Recipe
from baselines.registry import Registry
from baselines.work import Work
from d3talker.errors import UserError

if TYPE_CHECKING:
    from d3talker.subject.layout import Frame, Subject

TrainFrames = Callable[["Subject", float], Sequence["Frame"]]
TestFrames = Callable[["Subject"], Sequence["Frame"]]


@dataclass(frozen=True)
class RunConfig:
    """Train and render with a method's official code, in its own environment, and collect a predictions folder."""

    method: tyro.conf.Positional[str]
    """A name from `d3talker methods`."""
    subject: Path
    """The subject folder."""
    out: Path
    """Work folder of this run; its predictions/ is what `d3talker evaluate` reads.  Run again to go on."""
    code: Path | None = None
    """Checkout of the official code at the pinned commit."""
    python: Path = Path("python")
    """Interpreter of the code's own environment."""
    weights: Path | None = None
    """Folder with the code's pre-trained weights, for the methods that start from some."""
    budget: float = 10.0
    """Seconds of training video."""
    audio: Path | None = None
    """Another sound: render the finished model with it too, cross-driven."""
    features: Path | None = None
    """DeepSpeech features [N, 16, 29] of --audio, from the code's own extract_ds_features.py."""
    gpu: str | None = None
    """Value of CUDA_VISIBLE_DEVICES."""
    timeout_h: float | None = None
    """Hours after which one step is stopped; by default the recipe's."""
    any_commit: bool = False
    """Accept another commit than the pinned one."""
    shared_machine: bool = False
    """Other work runs on this machine meanwhile: the times are then recorded, but not shown."""
    dry_run: bool = False
    """Print everything that would be done, and stop."""
    plugin: tuple[Path, ...] = ()
    """Python files that define more methods."""


def run(config: RunConfig, train_frames: TrainFrames, test_frames: TestFrames) -> Path:
    """Run what is not done yet; returns the predictions folder, of the cross-driven clip where a sound was given.

    Raises UserError that names the step, its log and what to do when a step fails, hangs or leaves out its output.
    """
    from filelock import FileLock, Timeout

    from d3talker.subject.layout import Subject

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
