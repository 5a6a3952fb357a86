"""A results folder: where each job's parts lie, what is wrong with them, who works on them now."""

from __future__ import annotations

import enum
import os
import platform
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from d3talker.errors import UserError
from d3talker.files import write_text
from d3talker.people.media.predictions import Predictions
from eval.jobs import training_key
from eval.records import Job, Record, read_record, write_record


class Overwrite(enum.Enum):
    """What an earlier run left that is made anew; each member includes nothing of the others but what it says."""

    never = "never"  # only what is missing or damaged
    failed = "failed"  # and jobs that failed
    unmeasured = "unmeasured"  # and failed jobs, and metrics that had no value
    metrics = "metrics"  # every metric; frames and trainings stay
    frames = "frames"  # every frame and metric; trainings stay
    always = "always"  # everything but pre-training


@dataclass(frozen=True)
class Store:
    """RESULTS: records/KEY.json, predictions/KEY/, timing/KEY.json, logs/KEY.txt, reference, runs, pretrain, locks."""

    root: Path

    def record_path(self, job: Job) -> Path:
        return self.root / "records" / f"{job.key}.json"

    def predictions(self, job: Job) -> Path:
        return self.root / "predictions" / job.key

    def timing(self, job: Job) -> Path:
        return self.root / "timing" / f"{job.key}.json"

    def log(self, job: Job) -> Path:
        return self.root / "logs" / f"{job.key}.txt"

    def reference(self, job: Job) -> Path:
        """Ground truth of a job's test frames; another version of the subject's data has another."""
        return self.root / "reference" / f"{job.subject}-{job.subject_hash[:12]}"

    def run(self, job: Job) -> Path:
        return self.root / "runs" / training_key(job)

    def pretraining(self, key: str) -> Path:
        return self.root / "pretrain" / key

    def record(self, job: Job) -> Record | None:
        """The job's record, or None when there is none.  Raises UserError that names the file when it is damaged."""
        path = self.record_path(job)
        return read_record(path) if path.exists() else None

    def write(self, record: Record) -> None:
        """Write a record."""
        write_record(self.record_path(record.job), record)

    def write_log(self, job: Job, text: str) -> Path:
        """Keep why a job failed."""
        write_text(self.log(job), text)
        return self.log(job)

    def relative(self, path: Path) -> str:
        """Path inside the results folder, as records name it."""
        return path.relative_to(self.root).as_posix()

    def fault(self, job: Job, metrics: Sequence[str], checksums: bool = False) -> str | None:
        """Why a job must run (again); None for a failed one, and a good one with all `metrics` and whole predictions.

        checksums: read every file and compare, instead of looking whether it is there.
        """
        try:
            record = self.record(job)
        except UserError as error:
            return str(error)
        if record is None:
            return "not run yet"
        if record.status != "ok":
            return None
        missing = [name for name in metrics if name not in record.metrics]
        if missing:
            return f"lacks {', '.join(missing)}"
        for name in ("predictions", "reference"):
            if name in record.artifacts:
                fault = damage(self.root / record.artifacts[name], checksums)
                if fault:
                    return fault
        return None

    def is_stale(self, job: Job, what: Overwrite) -> bool:
        """Whether the policy wants anew what an earlier run left of a job."""
        try:
            record = self.record(job)
        except UserError:
            return False  # it is damaged, and made anew whatever the policy says
        if record is None or what is Overwrite.never:
            return False
        if what in (Overwrite.failed, Overwrite.unmeasured) and record.status == "ok":
            return what is Overwrite.unmeasured and any(metric.value is None for metric in record.metrics.values())
        return True

    def forget(self, job: Job, what: Overwrite) -> None:
        """Remove what the policy wants anew; a record that lacks values alone loses only their reasons."""
        if not self.is_stale(job, what):
            return
        record = self.record(job)
        if record and record.status == "ok" and what is Overwrite.unmeasured:
            kept = {name: metric for name, metric in record.metrics.items() if metric.value is not None}
            self.write(record.model_copy(update={"metrics": kept}))
            return
        self.record_path(job).unlink()
        if what in (Overwrite.frames, Overwrite.always):
            self.timing(job).unlink(missing_ok=True)
            shutil.rmtree(self.predictions(job), ignore_errors=True)
        if what is Overwrite.always:
            shutil.rmtree(self.run(job), ignore_errors=True)

    def sweep_up(self, job: Job) -> None:
        """Remove what a killed run of this job left half made; only for whoever has claimed it."""
        for path in (self.record_path(job), self.predictions(job), self.timing(job), self.log(job)):
            sweep_up(path.parent, path.stem)

    @contextmanager
    def claim(self, name: str, wait: bool = False) -> Iterator[bool]:
        """Whether we may work on `name`; the claim ends with the block, or with the process however it dies."""
        lock = FileLock(self._lock(name))
        try:
            lock.acquire(timeout=-1 if wait else 0)
        except Timeout:
            yield False
            return
        try:
            yield True
        finally:
            lock.release()

    @contextmanager
    def presence(self) -> Iterator[str]:
        """Be seen by other processes of this machine that work on this folder; yields the name to pass to `alone`."""
        name = f"here-{platform.node()}-{os.getpid()}"
        try:
            with self.claim(name, wait=True):
                yield name
        finally:
            self._lock(name).unlink(missing_ok=True)

    def alone(self, me: str) -> bool:
        """Whether no other process of this machine works on this folder."""
        for path in self._lock("").parent.glob(f"here-{platform.node()}-*.lock"):
            if path.stem != me:
                with self.claim(path.stem) as free:
                    if not free:
                        return False
        return True

    def _lock(self, name: str) -> Path:
        folder = self.root / "locks"
        folder.mkdir(parents=True, exist_ok=True)
        return folder / f"{name}.lock"


def sweep_up(folder: Path, stem: str = "") -> None:
    """Remove the temporary files and folders that `d3talker.files` makes beside its targets."""
    for rest in folder.glob(f".{stem}*-*"):
        shutil.rmtree(rest) if rest.is_dir() else rest.unlink(missing_ok=True)


def damage(folder: Path, checksums: bool = True) -> str | None:
    """What is wrong with a predictions folder, or None; with checksums every file is read."""
    try:
        predictions = Predictions(folder)
        if checksums:
            predictions.verify()
    except UserError as error:
        return str(error)
    absent = [name for name in predictions.manifest.sha256 if not (folder / name).is_file()]
    return f"{folder / absent[0]} is missing; it is made again" if absent else None
