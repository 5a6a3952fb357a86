"""Run jobs: train, render, time, score, write the record; each stage is kept, and never repeated once it is whole."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

from baselines.floors import floor
from d3talker.config import Config
from d3talker.errors import UserError
from d3talker.files import read_json, write_json
from d3talker.predictions import Predictions, is_predictions
from d3talker.subject.layout import Frame, Subject
from eval.environment import describe
from eval.jobs import Task
from eval.metrics.result import MetricResult
from eval.protocol import Protocol
from eval.records import Job, Record, Stage
from eval.store import Store, training_key

if TYPE_CHECKING:
    from d3talker.synthesis import TrainedTalker

TIMING = "timing.json"
FPS_FRAMES = 100


@dataclass
class Outcome:
    """What a job has brought so far."""

    stages: dict[str, Stage] = field(default_factory=dict)
    metrics: dict[str, MetricResult] = field(default_factory=dict)
    artifacts: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Harness:
    """One sweep over one results folder.  `exclusive`: the user says that nothing else runs on this machine."""

    store: Store
    protocol: Protocol
    metrics: tuple[str, ...]
    weights: Path | None
    device: str
    exclusive: bool

    def is_done(self, job: Job) -> bool:
        """Whether a good record with every wanted metric is there, and its predictions too."""
        record = self.store.record(job)
        return (
            record is not None and record.status == "ok" and set(self.metrics) <= set(record.metrics)
            and is_predictions(self.store.predictions(job))
        )

    def run(self, task: Task) -> Record:
        """Run one job to its record; a failure becomes a record too, and is tried again next time."""
        began = _now()
        outcome = Outcome()
        try:
            self._reference(task.subject)
            self._predict(task, outcome)
            self._evaluate(task, outcome)
            status, reason = "ok", None
        except (UserError, FloatingPointError) as error:
            status, reason = "failed", str(error)
        predictions = Predictions(self.store.predictions(task.job)) if status == "ok" else None
        manifest = predictions.manifest if predictions else None
        record = Record(
            key=task.job.key, job=task.job, status=status, reason=reason, metrics=outcome.metrics, stages=outcome.stages,
            torso_mode=manifest.torso_mode if manifest else None, lossless=manifest.lossless if manifest else None,
            synthetic=bool(task.subject.meta.get("synthetic")), frames=manifest.frames if manifest else None,
            size=task.subject.size, notes=manifest.notes if manifest else [], artifacts=outcome.artifacts,
            environment=describe(self.device), started=began, ended=_now(),
        )
        self.store.write(record)
        return record

    def _predict(self, task: Task, outcome: Outcome) -> None:
        out = self.store.predictions(task.job)
        train = self.protocol.train(task.subject, task.job.budget)
        test = self.protocol.test(task.subject)
        if task.config is None:
            if not is_predictions(out):
                floor(task.job.method)(task.subject, train, test, out)
        else:
            self._train(task, task.config, train, outcome)
            self._render(task, test, out, outcome)
        outcome.artifacts |= {
            "predictions": self.store.relative(out),
            "reference": self.store.relative(self.store.reference(task.subject.name)),
        }

    def _train(self, task: Task, config: Config, train: Sequence[Frame], outcome: Outcome) -> None:
        from d3talker.training.adapt import train_identity
        from d3talker.training.loop import LOG

        run = self.store.run(task.job)
        with self.store.claim(training_key(task.job), wait=True):
            seconds, cached = train_identity(config, task.subject, train, run, task.job.seed_value)
        # The flag belongs to the moment of training, so a cached stage keeps the one it was written with.
        note = run / TIMING
        if not note.exists():
            write_json(note, {"train_exclusive": self.exclusive and not cached})
        outcome.stages["train"] = Stage(seconds=seconds, exclusive=read_json(note)["train_exclusive"], cached=cached)
        outcome.metrics["train_time"] = MetricResult(value=seconds)
        outcome.artifacts["log"] = self.store.relative(run / LOG)

    def _render(self, task: Task, test: Sequence[Frame], out: Path, outcome: Outcome) -> None:
        from d3talker.synthesis import TrainedTalker, render_self

        trained = TrainedTalker(self.store.run(task.job), self.device)
        cached = is_predictions(out)
        began = time.perf_counter()
        if not cached:
            render_self(trained, task.subject, test, out, footnotes(task.config))
        outcome.stages["render"] = Stage(seconds=time.perf_counter() - began, exclusive=self.exclusive, cached=cached)
        outcome.metrics["fps"] = self._fps(trained, task, test)

    def _fps(self, trained: TrainedTalker, task: Task, test: Sequence[Frame]) -> MetricResult:
        """Measured once a job: encoding of the signals, deformation, rasterising, composing; not PNCC, nor writing files."""
        from d3talker.synthesis import back, camera
        from eval.timing import fps, time_calls

        note = self.store.timing(task.job)
        if note.exists():
            return MetricResult.model_validate(read_json(note))
        some = test[:FPS_FRAMES]
        signals = trained.drive(task.subject, some)
        cameras = [camera(task.subject, frame, trained.device) for frame in some]
        backs = [back(task.subject, frame, trained.device) for frame in some]
        seconds = time_calls(
            lambda index: trained.frame(signals, index, cameras[index], backs[index]), len(some),
            cuda=trained.device.type == "cuda",
        )
        result = fps(seconds, self.exclusive, stages="signal encoding, deformation, rasterising, composing; no refiner")
        write_json(note, result.model_dump())
        return result

    def _evaluate(self, task: Task, outcome: Outcome) -> None:
        from eval.metrics.score import score_predictions

        began = time.perf_counter()
        outcome.metrics |= score_predictions(
            Predictions(self.store.predictions(task.job)), Predictions(self.store.reference(task.subject.name)),
            task.subject, self.metrics, weights=self.weights,
        )
        outcome.stages["evaluate"] = Stage(seconds=time.perf_counter() - began, exclusive=self.exclusive)

    def _reference(self, subject: Subject) -> None:
        """The test clip's ground truth, kept lossless beside the results so that every number can be recomputed."""
        out = self.store.reference(subject.name)
        with self.store.claim(f"reference-{subject.name}", wait=True):
            if not is_predictions(out):
                test = self.protocol.test(subject)
                floor("ground-truth")(subject, test, test, out)


def footnotes(config: Config) -> list[str]:
    """What a reader of the number must know of how it came about."""
    notes = ["Head pose, torso and background of the test frames are the video's own, as in the official codes."]
    if config.signals.motion_source == "tracked":
        notes.append("ORACLE: facial motion was tracked in the test video.")
    notes.append({
        "loop": "Blinks are the training frames' in a loop.", "still": "The eyes do not blink.",
        "video": "Blinks are those of the test video, as in the official codes.",
    }[config.signals.eyes])
    return notes


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")
