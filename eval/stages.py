"""The stages of a real job: reference, pre-training, training, rendering, timing, scoring; each told where to write."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from baselines.floors import floor
from baselines.registry import trained_here
from d3talker.files import atomic_folder
from d3talker.people.media.predictions import Predictions
from d3talker.people.subject.layout import Subject
from d3talker.progress import say
from d3talker.weights import ENVIRONMENT
from eval import protocol
from eval.alignment import write_alignment
from eval.jobs import Pretraining, Task
from eval.metrics.result import MetricResult

if TYPE_CHECKING:
    from d3talker.learning.contract import Trained

FPS_FRAMES = 100


class Stages(Protocol):
    """What the harness calls; tests give others.  Every stage may raise anything: the job then failed."""

    def reference(self, subject: Subject, out: Path) -> None:
        """Write the ground truth of the test frames as a predictions folder."""

    def pretrain(self, pretraining: Pretraining, out: Path, seed: int) -> float:
        """Pre-train in `out`, or go on there, or find it done; returns seconds of work so far."""

    def train(self, task: Task, out: Path, seed: int, general: Path | None) -> float:
        """Adapt in `out`, or go on there, or find it done; returns seconds of work so far.  general: a pre-training."""

    def render(self, task: Task, run: Path | None, out: Path) -> None:
        """Write the task's predictions folder; run: the finished training, None for other methods."""

    def fps(self, task: Task, run: Path, exclusive: bool) -> MetricResult:
        """Measure the rendering speed of a finished training."""

    def score(self, task: Task, predictions: Path, reference: Path, metrics: Sequence[str]) -> dict[str, MetricResult]:
        """Compute metrics from finished predictions."""


@dataclass(frozen=True)
class ModelStages:
    """The stages as the tables need them.  device: "cpu" or "cuda".  weights: folder with metric networks' weights."""

    protocol: protocol.Protocol
    device: str
    weights: Path | None = None

    def reference(self, subject: Subject, out: Path) -> None:
        test = self.protocol.test(subject)
        floor("ground-truth")(subject, test, test, out)
        write_alignment(subject, test, out)

    def pretrain(self, pretraining: Pretraining, out: Path, seed: int) -> float:
        how = trained_here(pretraining.method)
        with weights_at(self.weights):
            return or_anew(lambda: how.pretrain(pretraining.config, pretraining.subjects, out, seed)[0], out)

    def train(self, task: Task, out: Path, seed: int, general: Path | None) -> float:
        how, frames = trained_here(task.job.method), self.protocol.train(task.subject, task.job.budget)
        with weights_at(self.weights):
            return or_anew(lambda: how.train(task.config, task.subject, frames, out, seed, general, task.motion)[0], out)

    def render(self, task: Task, run: Path | None, out: Path) -> None:
        test, method = self.protocol.test(task.subject), task.job.method
        if task.predictions is not None:
            _copy(task.predictions, out)
        elif run is None:
            floor(method)(task.subject, self.protocol.train(task.subject, task.job.budget), test, out)
        else:
            from d3talker.learning.rendering import render

            notes = footnotes(method, task.config, task.motion)
            render(self._trained(task, run), method, task.subject, test, task.audio, out, notes)

    def fps(self, task: Task, run: Path, exclusive: bool) -> MetricResult:
        from d3talker.learning.rendering import back, camera
        from eval.timing import stages_fps, time_stages

        trained = self._trained(task, run)
        some = self.protocol.test(task.subject)[:FPS_FRAMES]
        began = time.perf_counter()
        signals = trained.drive(task.subject, some)
        driving = (time.perf_counter() - began) / len(some)
        views = [(camera(task.subject, frame, trained.device), back(task.subject, frame, trained.device)) for frame in some]
        (name, first), *others = trained.stages().items()
        stages: dict[str, Callable[[int, Any], Any]] = {name: lambda index, _: first(signals, index, *views[index])}
        stages |= {name: partial(_after, stage) for name, stage in others}
        seconds = time_stages(stages, len(some), cuda=trained.device.type == "cuda")
        return stages_fps(seconds, exclusive, driving_s=driving)

    def score(self, task: Task, predictions: Path, reference: Path, metrics: Sequence[str]) -> dict[str, MetricResult]:
        from eval.metrics.score import score_predictions

        return score_predictions(
            Predictions(predictions), Predictions(reference), task.subject, metrics, weights=self.weights,
        )

    def _trained(self, task: Task, run: Path) -> Trained:
        """The finished training, driven as this task says: trainings are shared by tasks that differ in this alone."""
        return trained_here(task.job.method).load(run, task.config, self.device)


def footnotes(method: str, options: Any, motion: Path | None = None) -> list[str]:
    """What a reader of the number must know of how it came about."""
    how = trained_here(method)
    return [
        "Head pose, torso and background of the test frames are the video's own, as in the official codes.",
        *(how.driven(options, motion) if how.hears_motion else how.driven(options)), *how.deviations,
    ]


def _after(stage: Callable[[Any], Any], _: int, before: Any) -> Any:
    """A stage that reads what the one before it returned, whatever the frame."""
    return stage(before)


@contextmanager
def weights_at(folder: Path | None) -> Iterator[None]:
    """Let training find the refiner's perceptual network where the metrics find theirs."""
    before = os.environ.get(ENVIRONMENT)
    if folder is not None:
        os.environ[ENVIRONMENT] = str(folder)
    try:
        yield
    finally:
        if before is not None:
            os.environ[ENVIRONMENT] = before
        elif folder is not None:
            del os.environ[ENVIRONMENT]


def or_anew(train: Callable[[], float], out: Path) -> float:
    """Train in `out`; where its checkpoint there cannot be used, rename that and begin anew instead of failing for ever."""
    from d3talker.checkpoint import Unusable

    try:
        return train()
    except Unusable as unusable:
        if unusable.path.parent != out:  # the pre-training's, say, is not this training's to replace
            raise
        say(f"{unusable}; it is renamed, and the training begins anew")
        unusable.path.replace(unusable.path.with_suffix(".damaged"))
        return train()


def _copy(source: Path, out: Path) -> None:
    """A checked copy of a predictions folder: results stay whole whatever happens to the original."""
    Predictions(source).verify()
    with atomic_folder(out) as folder:
        shutil.copytree(source, folder, dirs_exist_ok=True)
