"""Toy stages of milliseconds that write down everything they do, for tests of the harness."""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from d3talker.files import atomic_folder, read_json, sha256_file, write_json
from d3talker.method.config import PAPER
from d3talker.people.media.predictions import MANIFEST, Manifest
from eval.executors import Serial
from eval.harness import Harness
from eval.jobs import Pretraining, Task
from eval.metrics.result import MetricResult
from eval.records import Job
from eval.store import Store, damage
from eval.sweep import Sweep

STEPS = 3


@dataclass(frozen=True)
class ToySubject:
    """As much of a Subject as planning and the harness look at."""

    name: str = "anna"
    train: int = 600
    val: int = 301
    size: tuple[int, int] = (64, 64)
    meta: dict = field(default_factory=lambda: {"synthetic": True})

    @property
    def root(self) -> Path:
        return Path("data") / self.name

    @property
    def data_hash(self) -> str:
        return self.name * 4

    def frames(self, split: str) -> list[int]:
        return list(range({"train": self.train, "val": self.val}[split]))


@dataclass(frozen=True)
class ToyStages:
    """Writes tiny files where real stages write large ones, and a line in `log` for everything it does.

    wrong: subject name -> what its training does: "crash" (an exception), "die" (the process), "full" (the disk).
    """

    log: Path
    seconds: float = 0.0
    wrong: dict = field(default_factory=dict)

    def note(self, what: str, name: str) -> None:
        """One line, whole whoever else writes and whenever the process is killed."""
        handle = os.open(self.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(handle, f"{what} {name}\n".encode())
        os.close(handle)

    def reference(self, subject: Any, out: Path) -> None:
        self.note("reference", subject.name)
        clip(out, subject, "truth")

    def pretrain(self, pretraining: Pretraining, out: Path, seed: int) -> float:
        return self._learn("pretrain", pretraining.key, out)

    def train(self, task: Task, out: Path, seed: int, general: Path | None) -> float:
        wrong = self.wrong.get(task.subject.name)
        if wrong == "crash":
            raise ZeroDivisionError("the toy crashed")
        if wrong == "full":
            raise OSError(28, "No space left on device", str(out))
        if wrong == "full, says a library":
            raise RuntimeError("Error while serializing: I/O error: No space left on device (os error 28)")
        if wrong == "die":
            self.note("die", task.subject.name)
            os._exit(9)
        assert general is None or read_json(general / "state.json")["step"] == STEPS
        return self._learn("train", out.name, out)

    def _learn(self, what: str, name: str, out: Path) -> float:
        """Steps with a checkpoint after each, as real training has them."""
        state = read_json(out / "state.json") if (out / "state.json").exists() else {"step": 0}
        for step in range(state["step"], STEPS):
            self.note(f"{what}-step-{step}", name)
            time.sleep(self.seconds)
            write_json(out / "state.json", {"step": step + 1})
        return 1.5

    def render(self, task: Task, run: Path | None, out: Path) -> None:
        assert run is None or read_json(run / "state.json")["step"] == STEPS
        self.note("render", task.job.key)
        time.sleep(self.seconds)
        clip(out, task.subject, task.job.key, task.job.setting)

    def fps(self, task: Task, run: Path, exclusive: bool) -> MetricResult:
        self.note("fps", task.job.key)
        return MetricResult(value=25.0)

    def score(self, task: Task, predictions: Path, reference: Path, metrics: list[str]) -> dict[str, MetricResult]:
        assert damage(predictions) is None and damage(reference) is None
        self.note("score", task.job.key)
        time.sleep(self.seconds)
        unmeasured = MetricResult.missing("the toy has no weights")
        value = int(task.job.key[:4], 16) / 1000
        return {name: unmeasured if name == "sync_c" else MetricResult(value=value) for name in metrics}

    def done(self) -> Counter:
        """How often each thing was done."""
        return Counter(self.log.read_text().splitlines() if self.log.exists() else [])


def clip(out: Path, subject: Any, content: str, setting: Any = "self") -> None:
    """A predictions folder whose frames are a text."""
    with atomic_folder(out) as folder:
        (folder / "frames.mkv").write_text(content)
        manifest = Manifest(
            method="toy", subject=subject.name, setting=setting, first_img_id=0, frames=300, height=subject.size[0],
            width=subject.size[1], torso_mode="gt", source="toy", lossless=True,
            sha256={"frames.mkv": sha256_file(folder / "frames.mkv")},
        )
        write_json(folder / MANIFEST, manifest.model_dump())


def toy_tasks(count: int, sounds: tuple[str, ...] = (), pretrain: bool = False) -> list[Task]:
    """`count` trained jobs and as many floors; each trained one also driven by every sound."""
    start = Pretraining("d3talker", PAPER, (ToySubject("pia"), ToySubject("pim"))) if pretrain else None  # type: ignore[arg-type]
    tasks = []
    for index in range(count):
        subject: Any = ToySubject(f"s{index}")
        common: dict[str, Any] = {
            "protocol": "d3-v2", "subject": subject.name, "subject_hash": subject.data_hash, "budget": 10,
        }
        options = {"schedule": {"face": 10, "mouth": 10, "fuse": 10}, "signals": {"eyes": "loop"}}
        for sound in (None, *sounds):
            job = Job(method="d3talker", setting="cross" if sound else "self", audio=sound, config=options, **common)
            tasks.append(Task(job, subject, PAPER, audio=sound and Path(sound), pretraining=start))  # type: ignore[arg-type]
        tasks.append(Task(Job(method="mean-frame", **common), subject))
    return tasks


def toy_harness(root: Path, metrics: tuple[str, ...] = ("psnr",), **stages: Any) -> Harness:
    """A harness over root/results with toy stages that log to root/log."""
    root.mkdir(parents=True, exist_ok=True)
    toys = ToyStages(root / "log", **stages)
    return Harness(Store(root / "results"), toys, metrics, "cpu", exclusive=True, me="test")


def toy_sweep(harness: Harness, tasks: list[Task], executor: Any = None) -> int:
    """Run; returns how many failed."""
    return Sweep(harness, executor or Serial(), prepare=nothing).run(tasks)


def nothing() -> None:
    """Toys have nothing to compile."""


def contents(results: Path) -> dict[str, Any]:
    """Everything in a results folder that must not depend on how it came about, by relative path."""
    found: dict[str, Any] = {}
    for path in sorted(results.rglob("*")):
        relative = path.relative_to(results)
        if relative.parts[0] in ("locks", "logs") or not path.is_file():
            continue
        text = path.read_text()
        value = json.loads(text) if path.suffix == ".json" else text
        if relative.parts[0] == "records":
            value = {name: value[name] for name in ("key", "status", "reason", "metrics", "artifacts", "frames")}
            if "train_time" in value["metrics"]:  # a clock: its steps alone are the toy's own
                value["metrics"]["train_time"] = value["metrics"]["train_time"]["extra"]["steps_s"]
        if relative.name == "timing.json":
            value.pop("wall", None)
        found[str(relative)] = value
    return found
