"""Run one job to its record: each stage is kept, never repeated once it is whole, and a failure is a record too."""

from __future__ import annotations

import errno
import os
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timezone
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from d3talker.errors import UserError
from d3talker.files import read_json, write_json
from d3talker.people.media.predictions import Predictions
from eval.environment import describe
from eval.jobs import Pretraining, Task, training_seed
from eval.metrics.registry import METRICS
from eval.metrics.result import MetricResult
from eval.records import Environment, Job, Record, Stage
from eval.stages import Stages
from eval.store import Store, damage, sweep_up
from eval.timing import fps

NOTE = "timing.json"
NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
describe_once = lru_cache(describe)  # the code that runs is the code as it was when the process began


@dataclass
class Outcome:
    """What a job has brought so far."""

    stages: dict[str, Stage] = field(default_factory=dict)
    metrics: dict[str, MetricResult] = field(default_factory=dict)
    artifacts: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Harness:
    """How the jobs of one results folder are run.

    device: "cpu" or "cuda".  exclusive: nothing else runs on this machine, as far as the user and the executor know.
    me: this process' name for `Store.alone`.
    """

    store: Store
    stages: Stages
    metrics: tuple[str, ...]
    device: str
    exclusive: bool = False
    me: str = ""

    def wanted(self, job: Job) -> list[str]:
        """The metrics that this job can have: without ground truth there is nothing to compare with."""
        if job.setting == "self":
            return list(self.metrics)
        return [name for name in self.metrics if "reference" not in METRICS[name].needs]

    def fault(self, task: Task, checksums: bool = False) -> str | None:
        """Why a task must run, or None when it is done or has failed."""
        return self.store.fault(task.job, self.wanted(task.job), checksums) or self._untimed(task)

    def run(self, task: Task) -> Record:
        """Run what is missing of one job and write its record.

        A job that raises leaves a failed record and its traceback; only a full disk or an interruption stops the sweep.
        """
        began, outcome, job = _now(), Outcome(), task.job
        self.store.sweep_up(job)
        old = self._kept(job)
        environment, reason = None, None
        status: Literal["ok", "failed"] = "ok"
        try:
            self._reference(task)
            made = self._predict(task, outcome, old)
            environment = self._score(task, outcome, None if made else old)
        except Exception as error:  # a stage runs anybody's code
            raise_if_full(error, self.store.root)
            status = "failed"
            reason = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
            log = self.store.write_log(job, "".join(traceback.format_exception(error)))
            outcome.artifacts["failure"] = self.store.relative(log)
        manifest = Predictions(self.store.predictions(job)).manifest if status == "ok" else None
        record = Record(
            key=job.key, job=job, status=status, reason=reason, metrics=outcome.metrics, stages=outcome.stages,
            torso_mode=manifest.torso_mode if manifest else None, lossless=manifest.lossless if manifest else None,
            synthetic=bool(task.subject.meta.get("synthetic")), frames=manifest.frames if manifest else None,
            size=(manifest.height, manifest.width) if manifest else None, notes=manifest.notes if manifest else [],
            artifacts=outcome.artifacts, environment=environment or describe_once(self.device), started=began,
            ended=_now(),
        )
        if status == "ok" or old is None or damage(self.store.predictions(job)):  # else the earlier record stays true
            self.store.write(record)
        return record

    def fail(self, task: Task, reason: str) -> Record:
        """The record of a job whose worker died: killed for its memory, a lost machine, a crash below Python."""
        self.store.write_log(task.job, reason)
        record = Record(
            key=task.job.key, job=task.job, status="failed", reason=reason.strip().splitlines()[-1],
            synthetic=bool(task.subject.meta.get("synthetic")),
            artifacts={"failure": self.store.relative(self.store.log(task.job))},
            environment=describe_once(self.device), started=_now(), ended=_now(),
        )
        self.store.write(record)
        return record

    def _kept(self, job: Job) -> Record | None:
        """An earlier good record, whose measurements are still true of what lies in the folder."""
        try:
            record = self.store.record(job)
        except UserError:
            return None
        return record if record and record.status == "ok" else None

    def _predict(self, task: Task, outcome: Outcome, old: Record | None) -> bool:
        """Whole predictions, checked byte by byte; returns whether they had to be made."""
        store, out = self.store, self.store.predictions(task.job)
        cached = damage(out) is None
        outcome.artifacts["predictions"] = store.relative(out)
        outcome.artifacts["reference"] = store.relative(store.reference(task.job))
        if cached and old is not None:
            earlier = {name: stage for name, stage in old.stages.items() if name != "evaluate"}
            outcome.stages |= {name: stage.model_copy(update={"cached": True}) for name, stage in earlier.items()}
            outcome.metrics |= {n: m for n, m in old.metrics.items() if n not in METRICS}
            outcome.artifacts = old.artifacts | outcome.artifacts
        elif task.config is not None:
            self._train(task, outcome)
        run = None if task.config is None else store.run(task.job)
        if not cached:
            began, quiet = time.perf_counter(), self._quiet()
            self.stages.render(task, run, out)
            outcome.stages["render"] = Stage(seconds=time.perf_counter() - began, exclusive=quiet and self._quiet())
        if run is not None and task.job.setting == "self":
            self._speed(task, run, outcome)
        elif task.predictions is not None:
            _foreign_times(out, outcome)
        return not cached

    def _train(self, task: Task, outcome: Outcome) -> None:
        general = self.pretrain(task.pretraining, outcome) if task.pretraining else None
        run, seed = self.store.run(task.job), training_seed(task.job)
        stage = self._learn(run, lambda: self.stages.train(task, run, seed, general))
        outcome.stages["train"] = stage
        outcome.metrics["train_time"] = _training_time(stage, read_json(run / NOTE)["device"])
        if (run / "log.json").exists():
            outcome.artifacts["log"] = self.store.relative(run / "log.json")

    def pretrain(self, pretraining: Pretraining, outcome: Outcome | None = None) -> Path:
        """The folder of a finished pre-training; one process makes it, others wait for it."""
        run, seed = self.store.pretraining(pretraining.key), pretraining.seed
        with self.store.claim(f"pretrain-{pretraining.key}", wait=True):
            stage = self._learn(run, lambda: self.stages.pretrain(pretraining, run, seed))
        if outcome is not None:
            outcome.stages["pretrain"] = stage
            if (run / "log.json").exists():
                outcome.artifacts["pretrain_log"] = self.store.relative(run / "log.json")
        return run

    def _learn(self, run: Path, work: Callable[[], float]) -> Stage:
        """Train in `run`.  Its note says whether every session of the training had the machine for itself, and its wall clock.

        A session that was killed could not write how long it took: then the wall clock is not known.
        """
        sweep_up(run)
        path, device = run / NOTE, describe_once(self.device).device
        try:
            note = read_json(path)
        except UserError:
            note = {}
        if "seconds" in note and work() == note["seconds"]:
            return _stage(note, cached=True)
        # a run without a note, or made anew because it was damaged, has a session of which nothing is known
        known = note.get("exclusive", not any(run.glob("*"))) if "seconds" not in note else False
        before = note.get("wall", None if any(run.glob("*")) else 0.0) if "seconds" not in note else None
        note = {"exclusive": known and self._quiet(), "device": device, "wall": None}
        write_json(path, note)
        began = time.perf_counter()
        try:
            seconds = work()
            note |= {"exclusive": note["exclusive"] and self._quiet(), "seconds": seconds}
        finally:  # an interrupted session tells its time, too
            if before is not None:
                note["wall"] = before + time.perf_counter() - began
            write_json(path, note)
        return _stage(note)

    def _speed(self, task: Task, run: Path, outcome: Outcome) -> None:
        """FPS, once a job; measured again when it was measured beside other work and can now be measured alone."""
        path, quiet = self.store.timing(task.job), self._quiet()
        try:
            known = MetricResult.model_validate(read_json(path))
        except (UserError, ValueError):
            known = None
        if known is None or (quiet and not known.extra["exclusive"]):
            if not run.exists():
                self._train(task, outcome)
            known = self.stages.fps(task, run, quiet)
            facts = {"exclusive": quiet and self._quiet(), "device": describe_once(self.device).device}
            known = known.model_copy(update={"extra": known.extra | facts})
            write_json(path, known.model_dump())
        outcome.metrics["fps"] = known

    def _untimed(self, task: Task) -> str | None:
        """Whether a done job waits for its speed to be measured alone, and this process can."""
        if task.config is None or task.job.setting != "self" or not self.exclusive:
            return None
        record = self._kept(task.job)
        speed = record.metrics.get("fps") if record else None
        if speed is not None and not speed.extra.get("exclusive", True):
            return "its FPS was measured beside other work"
        return None

    def _score(self, task: Task, outcome: Outcome, old: Record | None) -> Environment:
        """All metrics, unless an earlier record has them of the same frames; returns the environment they come from."""
        wanted = self.wanted(task.job)
        if old is not None:
            known = {name: metric for name, metric in old.metrics.items() if name in METRICS}
            if set(wanted) <= set(known):
                outcome.metrics |= known
                outcome.stages["evaluate"] = old.stages["evaluate"].model_copy(update={"cached": True})
                return old.environment
            wanted = list(dict.fromkeys([*known, *wanted]))
        began, quiet = time.perf_counter(), self._quiet()
        outcome.metrics |= self.stages.score(
            task, self.store.predictions(task.job), self.store.reference(task.job), wanted
        )
        outcome.stages["evaluate"] = Stage(seconds=time.perf_counter() - began, exclusive=quiet and self._quiet())
        return describe_once(self.device)

    def _reference(self, task: Task) -> None:
        """The test clip's ground truth, kept lossless beside the results so that every number can be recomputed."""
        out = self.store.reference(task.job)
        with self.store.claim(f"reference-{out.name}", wait=True):
            if damage(out) is not None:
                sweep_up(out.parent, out.name)
                self.stages.reference(task.subject, out)

    def _quiet(self) -> bool:
        return self.exclusive and self.store.alone(self.me)


def raise_if_full(error: Exception, folder: Path) -> None:
    """Raise OSError where an error means that nothing can be written any more; some libraries say so in words only."""
    number = getattr(error, "errno", None)
    if number in NO_SPACE:
        raise error
    if "No space left on device" in str(error):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder)) from error


def _stage(note: dict[str, Any], cached: bool = False) -> Stage:
    """A training's note as a stage: its wall clock, or its steps alone where that is not known."""
    wall, steps = note.get("wall"), note["seconds"]
    seconds = steps if wall is None else wall
    return Stage(seconds=seconds, steps=steps, wall=wall is not None, exclusive=note["exclusive"], cached=cached)


def _training_time(stage: Stage, device: str) -> MetricResult:
    """Wall clock from the call to the finished training, loading and saving included; the steps alone stand beside it."""
    facts = {"exclusive": stage.exclusive, "device": device, "steps_s": stage.steps}
    if not stage.wall:
        reason = f"the training was killed and went on, so its wall clock is not known; its steps took {stage.steps:.0f} s"
        return MetricResult(value=None, reason=reason, extra=facts)
    return MetricResult(value=stage.seconds, extra=facts)


def _foreign_times(out: Path, outcome: Outcome) -> None:
    """Training time and speed of another code, where `d3talker run` measured them."""
    timing = Predictions(out).manifest.timing
    if timing is None:
        return
    facts = {"exclusive": timing.exclusive, "device": timing.device}
    if timing.train_s is not None:
        outcome.stages["train"] = Stage(seconds=timing.train_s, exclusive=timing.exclusive)
        outcome.metrics["train_time"] = MetricResult(value=timing.train_s, extra=facts)
    if timing.render_s:
        outcome.metrics["fps"] = fps(timing.render_s, timing.exclusive, device=timing.device)


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")
