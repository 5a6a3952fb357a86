"""A results folder: where each job's parts lie, and who works on them now."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from d3talker.errors import UserError
from d3talker.files import sha256_json
from eval.records import Job, Record, read_record, write_record


@dataclass(frozen=True)
class Store:
    """RESULTS: records/<key>.json, predictions/<key>/, reference/<subject>/, runs/<training key>/, locks/."""

    root: Path

    def record_path(self, job: Job) -> Path:
        return self.root / "records" / f"{job.key}.json"

    def predictions(self, job: Job) -> Path:
        return self.root / "predictions" / job.key

    def timing(self, job: Job) -> Path:
        return self.root / "timing" / f"{job.key}.json"

    def reference(self, subject: str) -> Path:
        return self.root / "reference" / subject

    def run(self, job: Job) -> Path:
        return self.root / "runs" / training_key(job)

    def record(self, job: Job) -> Record | None:
        """The job's record, or None when there is none, or none that can be trusted (it is then made again)."""
        path = self.record_path(job)
        if not path.exists():
            return None
        try:
            return read_record(path)
        except UserError:
            return None

    def write(self, record: Record) -> None:
        """Write a record."""
        write_record(self.root / "records" / f"{record.key}.json", record)

    def relative(self, path: Path) -> str:
        """Path inside the results folder, as records name it."""
        return path.relative_to(self.root).as_posix()

    @contextmanager
    def claim(self, name: str, wait: bool = False) -> Iterator[bool]:
        """Whether this process may work on `name`; the claim ends with the block, or with the process however it dies."""
        folder = self.root / "locks"
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / f"{name}.lock")
        try:
            lock.acquire(timeout=-1 if wait else 0)
        except Timeout:
            yield False
            return
        try:
            yield True
        finally:
            lock.release()


def training_key(job: Job) -> str:
    """Jobs that differ only in what drives the finished model share one training."""
    value = job.model_dump()
    signals = value["config"].get("signals", {})
    value["config"] = {**value["config"], "signals": {k: v for k, v in signals.items() if k not in TEST_TIME}}
    return sha256_json({k: v for k, v in value.items() if k not in ("setting", "audio", "protocol")})


TEST_TIME = ("motion_source", "eyes")
