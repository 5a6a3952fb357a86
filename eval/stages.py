"""The stages of a real job: reference, pre-training, training, rendering, timing, scoring; each told where to write."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from baselines.floors import floor
from d3talker.errors import UserError
from d3talker.files import atomic_folder
from d3talker.method.config import Config
from d3talker.method.seen import TEST_TIME
from d3talker.people.media.predictions import Predictions
from d3talker.people.subject.layout import Subject
from d3talker.progress import say
from d3talker.weights import ENVIRONMENT
from eval import protocol
from eval.alignment import write_alignment
from eval.jobs import Pretraining, Task
from eval.metrics.result import MetricResult

if TYPE_CHECKING:
    from d3talker.method.synthesis import TrainedTalker

FPS_FRAMES = 100
NAMED = 8  # speakers of a motion model; more are counted


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
        from d3talker.method.pretrain import CHECKPOINT, pretrain

        with weights_at(self.weights):
            return or_anew(lambda: pretrain(pretraining.config, pretraining.subjects, out, seed)[0], out / CHECKPOINT)

    def train(self, task: Task, out: Path, seed: int, general: Path | None) -> float:
        from d3talker.method.adapt import CHECKPOINT, train_identity

        frames = self.protocol.train(task.subject, task.job.budget)
        config, motion = _config(task), task.motion
        with weights_at(self.weights):
            return or_anew(
                lambda: train_identity(config, task.subject, frames, out, seed, general, motion)[0], out / CHECKPOINT
            )

    def render(self, task: Task, run: Path | None, out: Path) -> None:
        test = self.protocol.test(task.subject)
        if task.predictions is not None:
            _copy(task.predictions, out)
        elif run is None:
            floor(task.job.method)(task.subject, self.protocol.train(task.subject, task.job.budget), test, out)
        elif task.audio is not None:
            from d3talker.method.synthesis import render_cross

            render_cross(self._trained(task, run), task.subject, test, task.audio, out, footnotes(_config(task), task.motion))
        else:
            from d3talker.method.synthesis import render_self

            render_self(self._trained(task, run), task.subject, test, out, footnotes(_config(task), task.motion))

    def fps(self, task: Task, run: Path, exclusive: bool) -> MetricResult:
        from d3talker.method.synthesis import back, camera
        from eval.timing import stages_fps, time_stages

        trained = self._trained(task, run)
        some = self.protocol.test(task.subject)[:FPS_FRAMES]
        began = time.perf_counter()
        signals = trained.drive(task.subject, some)
        driving = (time.perf_counter() - began) / len(some)
        cameras = [camera(task.subject, frame, trained.device) for frame in some]
        backs = [back(task.subject, frame, trained.device) for frame in some]
        coarse = "encode, deform, rasterise, compose"
        stages: dict[str, Callable[[int, Any], Any]] = {
            coarse: lambda index, _: trained.frame(signals, index, cameras[index], backs[index])
        }
        if trained.refiner is not None:
            stages["refine"] = lambda _, picture: trained.refine(picture)
        seconds = time_stages(stages, len(some), cuda=trained.device.type == "cuda")
        without = len(some) / sum(seconds[coarse])
        return stages_fps(seconds, exclusive, without_refiner=without, audio_to_motion_and_pncc_s=driving)

    def score(self, task: Task, predictions: Path, reference: Path, metrics: Sequence[str]) -> dict[str, MetricResult]:
        from eval.metrics.score import score_predictions

        return score_predictions(
            Predictions(predictions), Predictions(reference), task.subject, metrics, weights=self.weights,
        )

    def _trained(self, task: Task, run: Path) -> TrainedTalker:
        """The finished training, driven as this task says: trainings are shared by tasks that differ in this alone."""
        from d3talker.method.synthesis import TrainedTalker

        trained = TrainedTalker(run, self.device)
        signals = _config(task).signals
        driven = replace(trained.config.signals, **{name: getattr(signals, name) for name in TEST_TIME})
        trained.config = replace(trained.config, signals=driven)
        return trained


def footnotes(config: Config, motion: Path | None = None) -> list[str]:
    """What a reader of the number must know of how it came about."""
    notes = ["Head pose, torso and background of the test frames are the video's own, as in the official codes."]
    if config.signals.motion_source == "tracked":
        notes.append("ORACLE: facial motion was tracked in the test video.")
    elif config.signals.motion_source == "imported":
        notes.append("Facial motion comes from sound by Real3D-Portrait's own model.")
    elif motion is not None:
        from d3talker.people.motion.model import MotionModel

        names = MotionModel.load(motion).speakers
        who = ", ".join(names) if len(names) <= NAMED else f"{len(names)} speakers, none of --subjects"
        notes.append(f"Facial motion comes from sound by a model trained on {who}, calibrated on the training frames.")
    notes.append({
        "loop": "Blinks are the training frames' in a loop.", "still": "The eyes do not blink.",
        "video": "Blinks are those of the test video, as in the official codes.",
    }[config.signals.eyes])
    return notes


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


def or_anew(train: Callable[[], float], path: Path) -> float:
    """Train; where its checkpoint at `path` cannot be used, rename that and begin anew instead of failing for ever."""
    from d3talker.checkpoint import Unusable

    try:
        return train()
    except Unusable as unusable:
        if unusable.path != path:  # the pre-training's, say, is not this training's to replace
            raise
        say(f"{unusable}; it is renamed, and the training begins anew")
        path.replace(path.with_suffix(".damaged"))
        return train()


def _config(task: Task) -> Config:
    if task.config is None:
        raise UserError(f"{task.job.method} is not trained here")
    return task.config


def _copy(source: Path, out: Path) -> None:
    """A checked copy of a predictions folder: results stay whole whatever happens to the original."""
    Predictions(source).verify()
    with atomic_folder(out) as folder:
        shutil.copytree(source, folder, dirs_exist_ok=True)
